//! What people order of one delayed task, and the rows as people see them.
//!
//! An order changes a row only while it waits (status 1), which is checked under the row's lock. So it is decided
//! against every claim: a claim takes rows of status 1 and no others, and whichever of the two commits first has the
//! row. A daemon claims a row up to two seconds before its time and does not ask the database again before it starts
//! it: a row that is claimed is answered as one that runs or is about to, and stays as it is.

use diesel::sql_types::{BigInt, Binary, Integer, Nullable, Text};

use super::columns::{DONE, FAILED, RUNNING, WAITING};
use super::rows::due_ms;
use super::truncate::{readable, result_text};

/// Rows that a list reads where it searches for names: as many as are read in 0.1 s.
pub(crate) const SEARCHED_TASKS: u32 = 20_000;

/// An order about one delayed task.
#[derive(Debug, Clone)]
pub(crate) struct TaskOrder {
    pub(crate) environment: String,
    pub(crate) ordered_by: String,
    pub(crate) id: i64,
    pub(crate) wish: TaskWish,
}

/// What is to become of the task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TaskWish {
    /// It never runs: status 4, and no dead letter. Dead letters are work that nobody has decided on; they raise an alert, and
    /// a replay by a filter would run it after all.
    Cancel,
    /// It is due then, in unix milliseconds.
    Due { at_ms: i64, shown: String },
}

impl TaskOrder {
    /// As `audit.action` has it.
    pub(in crate::store) fn action(&self) -> &'static str {
        match self.wish {
            TaskWish::Cancel => "cancel",
            TaskWish::Due { .. } => "run",
        }
    }

    /// As `audit.target` has it.
    pub(in crate::store) fn target(&self) -> String {
        match &self.wish {
            TaskWish::Cancel => format!("delayed task {}", self.id),
            TaskWish::Due { shown, .. } => format!("delayed task {}, {shown}", self.id),
        }
    }

    /// The `result` of the row of a task that is cancelled.
    pub(in crate::store) fn cancelled(&self) -> String {
        let why = format!("cancelled by {}", self.ordered_by);
        result_text(false, &why.into())
    }
}

/// The row of a task, as far as it decides what an order does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Found {
    pub(in crate::store) status: i16,
    pub(in crate::store) owner: String,
    pub(in crate::store) attempts: i32,
}

/// What came of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TaskOrdered {
    /// The task waited, and the order holds. `attempts` had failed before.
    Done { attempts: i32 },
    /// There is no row of that id.
    Missing,
    /// A daemon has claimed it; none: the Go program.
    Claimed { owner: Option<String> },
    /// It was done before.
    Ended,
    /// It failed, or was cancelled, before.
    Failed,
    /// Another program gave it a status that we do not know.
    Unknown { status: i16 },
}

impl TaskOrdered {
    pub(in crate::store) fn of(row: Option<Found>) -> Self {
        let Some(row) = row else {
            return Self::Missing;
        };
        match row.status {
            WAITING => Self::Done {
                attempts: row.attempts,
            },
            RUNNING => Self::Claimed {
                owner: Some(row.owner).filter(|owner| !owner.is_empty()),
            },
            DONE => Self::Ended,
            FAILED => Self::Failed,
            status => Self::Unknown { status },
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Done { .. })
    }

    /// As `audit.result` has it, and as people read it behind the task's name.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Done { .. } => "done".to_owned(),
            Self::Missing => "there is no such task".to_owned(),
            Self::Claimed { owner: Some(owner) } => {
                format!("it runs, or is about to: `{owner}` has claimed it")
            }
            Self::Claimed { owner: None } => "it runs in the Go program".to_owned(),
            Self::Ended => "it is done already".to_owned(),
            Self::Failed => "it has failed or was cancelled already".to_owned(),
            Self::Unknown { status } => format!("its status is {status}, which no daemon runs"),
        }
    }
}

/// The status of delayed tasks that are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskStatus {
    Waiting,
    Running,
    Done,
    Failed,
}

impl TaskStatus {
    /// As `delay_queue_log.status` has it.
    pub(crate) fn column(self) -> i16 {
        match self {
            Self::Waiting => WAITING,
            Self::Running => RUNNING,
            Self::Done => DONE,
            Self::Failed => FAILED,
        }
    }

    /// The order in which people want to see them: what is to come by when it is due, what has ended from its end on.
    pub(in crate::store) fn order(self) -> &'static str {
        match self {
            Self::Waiting | Self::Running => "ASC",
            Self::Done | Self::Failed => "DESC",
        }
    }
}

/// In words; none: another program's number.
pub(crate) fn status_word(status: i16) -> Option<&'static str> {
    match status {
        WAITING => Some("waiting"),
        RUNNING => Some("running"),
        DONE => Some("done"),
        FAILED => Some("failed"),
        _ => None,
    }
}

/// What a list reads to find tasks by their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TaskName {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) exec_cmd: String,
}

#[derive(diesel::QueryableByName)]
pub(in crate::store) struct RawTaskName {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Binary)]
    name: Vec<u8>,
    #[diesel(sql_type = Binary)]
    exec_cmd: Vec<u8>,
}

impl RawTaskName {
    pub(in crate::store) fn read(self) -> TaskName {
        TaskName {
            id: self.id,
            name: readable(&self.name),
            exec_cmd: readable(&self.exec_cmd),
        }
    }
}

/// A row of `delay_queue_log`, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TaskRow {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) exec_cmd: String,
    pub(crate) params: String,
    pub(crate) status: i16,
    pub(crate) result: String,
    /// Unix milliseconds.
    pub(crate) due_ms: i64,
    /// As the database shows them.
    pub(crate) create_time: Option<String>,
    pub(crate) update_time: Option<String>,
    /// Empty where no daemon has claimed it.
    pub(crate) owner: String,
    pub(crate) fence: i64,
    /// Attempts that failed or ended a process; of a task that failed, all.
    pub(crate) attempts: i32,
}

/// Any program may have written the row: texts come as bytes.
#[derive(diesel::QueryableByName)]
pub(in crate::store) struct RawTaskRow {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Binary)]
    name: Vec<u8>,
    #[diesel(sql_type = Binary)]
    exec_cmd: Vec<u8>,
    #[diesel(sql_type = Binary)]
    params: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    status: i64,
    #[diesel(sql_type = Binary)]
    result: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    exec_time: i64,
    #[diesel(sql_type = Nullable<Text>)]
    create_time: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    update_time: Option<String>,
    #[diesel(sql_type = Text)]
    owner: String,
    #[diesel(sql_type = BigInt)]
    fence: i64,
    #[diesel(sql_type = Integer)]
    attempts: i32,
    #[diesel(sql_type = Nullable<BigInt>)]
    due_ms: Option<i64>,
}

impl RawTaskRow {
    pub(in crate::store) fn read(self) -> TaskRow {
        TaskRow {
            id: self.id,
            name: readable(&self.name),
            exec_cmd: readable(&self.exec_cmd),
            params: readable(&self.params),
            status: i16::try_from(self.status).unwrap_or(i16::MAX),
            result: readable(&self.result),
            due_ms: due_ms(self.exec_time, self.due_ms),
            create_time: self.create_time,
            update_time: self.update_time,
            owner: self.owner,
            fence: self.fence,
            attempts: self.attempts,
        }
    }
}
