//! Delayed tasks, by when they are due.

use diesel::sql_types::{BigInt, Binary, Integer, Nullable, Text};

use super::sql::{Sql, Words};
use super::{Browse, Page, Reach, Rows, search};
use crate::store::error::DbError;
use crate::store::rows::due_ms;
use crate::store::task_orders::TaskStatus;
use crate::store::truncate::readable;

/// Characters of `params` and of `result` that a list shows.
const SHOWN_CHARS: u32 = 200;

/// Which tasks are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TasksAsked {
    pub(crate) status: TaskStatus,
    /// Pushed under this name.
    pub(crate) name: Option<String>,
    /// Of this handler.
    pub(crate) exec_cmd: Option<String>,
    /// In the name, the handler's name or the params.
    pub(crate) text: Option<String>,
    /// Behind this one.
    pub(crate) after: Option<TaskPlace>,
}

impl TasksAsked {
    /// All of one status.
    pub(crate) fn of(status: TaskStatus) -> Self {
        Self {
            status,
            name: None,
            exec_cmd: None,
            text: None,
            after: None,
        }
    }

    pub(in crate::store) fn is_filtered(&self) -> bool {
        self.name.is_some() || self.exec_cmd.is_some() || self.text.is_some()
    }
}

/// Where a task stands in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TaskPlace {
    /// `exec_time`, unix seconds.
    pub(crate) second: i64,
    pub(crate) id: i64,
}

/// A row of `delay_queue_log`, with the beginning of what may be long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TaskLine {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) exec_cmd: String,
    pub(crate) params: String,
    pub(crate) result: String,
    /// `exec_time`, unix seconds.
    pub(crate) second: i64,
    /// Unix milliseconds.
    pub(crate) due_ms: i64,
    /// Empty where no daemon has claimed it.
    pub(crate) owner: String,
    /// Attempts that failed or ended a process; of a task that failed, all.
    pub(crate) attempts: i32,
}

impl TaskLine {
    fn place(&self) -> TaskPlace {
        TaskPlace {
            second: self.second,
            id: self.id,
        }
    }
}

/// What is to come by when it is due, what has ended from its end on.
pub(crate) async fn tasks(
    reader: &(impl Browse + ?Sized),
    asked: TasksAsked,
    reach: Reach,
) -> Result<Page<TaskLine, TaskPlace>, DbError> {
    let step = async |after, rows| {
        let asked = TasksAsked {
            after,
            ..asked.clone()
        };
        reader.task_step(asked, rows).await
    };
    search(reach, asked.after, TaskLine::place, |_| true, step).await
}

#[derive(diesel::QueryableByName)]
pub(in crate::store) struct RawTaskLine {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Binary)]
    name: Vec<u8>,
    #[diesel(sql_type = Binary)]
    exec_cmd: Vec<u8>,
    #[diesel(sql_type = Binary)]
    params: Vec<u8>,
    #[diesel(sql_type = Binary)]
    result: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    exec_time: i64,
    #[diesel(sql_type = Text)]
    owner: String,
    #[diesel(sql_type = Integer)]
    attempts: i32,
    #[diesel(sql_type = Nullable<BigInt>)]
    due_ms: Option<i64>,
}

impl RawTaskLine {
    pub(in crate::store) fn read(self) -> TaskLine {
        TaskLine {
            id: self.id,
            name: readable(&self.name),
            exec_cmd: readable(&self.exec_cmd),
            params: readable(&self.params),
            result: readable(&self.result),
            second: self.exec_time,
            due_ms: due_ms(self.exec_time, self.due_ms),
            owner: self.owner,
            attempts: self.attempts,
        }
    }
}

#[derive(diesel::QueryableByName)]
pub(in crate::store) struct RawPlace {
    #[diesel(sql_type = BigInt)]
    second: i64,
    #[diesel(sql_type = BigInt)]
    id: i64,
}

impl RawPlace {
    pub(in crate::store) fn read(self) -> TaskPlace {
        TaskPlace {
            second: self.second,
            id: self.id,
        }
    }
}

/// `ASC` walks the index upwards, `DESC` downwards.
fn order(asked: &TasksAsked) -> String {
    let order = asked.status.order();
    format!(" ORDER BY q.exec_time {order}, q.id {order}")
}

/// Behind a place of the list, or up to and with it. The first half of each condition is one that the index knows.
fn behind(asked: &TasksAsked, place: TaskPlace) -> String {
    let TaskPlace { second, id } = place;
    let (at, than) = match asked.status.order() {
        "ASC" => (">=", ">"),
        _ => ("<=", "<"),
    };
    format!(" AND q.exec_time {at} {second} AND (q.exec_time {than} {second} OR q.id {than} {id})")
}

fn up_to(asked: &TasksAsked, place: TaskPlace) -> String {
    let TaskPlace { second, id } = place;
    let (at, than) = match asked.status.order() {
        "ASC" => ("<=", "<"),
        _ => (">=", ">"),
    };
    format!(" AND q.exec_time {at} {second} AND (q.exec_time {than} {second} OR q.id {at} {id})")
}

fn begin(words: Words, asked: &TasksAsked, columns: &str) -> Sql {
    let mut sql = Sql::new(words, "SELECT ");
    sql.push(columns).push(&format!(
        " FROM delay_queue_log AS q {} WHERE q.status = {}",
        words.tasks_by_time,
        asked.status.column()
    ));
    if let Some(after) = asked.after {
        sql.push(&behind(asked, after));
    }
    sql
}

/// The last row of the step, from the index alone.
pub(in crate::store) fn edge(words: Words, asked: &TasksAsked, rows: Rows) -> Sql {
    let columns = format!(
        "{} AS second, {} AS id",
        (words.int8)("q.exec_time"),
        (words.int8)("q.id")
    );
    let mut sql = begin(words, asked, &columns);
    sql.push(&order(asked));
    sql.push(&format!(
        " LIMIT 1 OFFSET {}",
        rows.looked_at.saturating_sub(1)
    ));
    sql
}

/// The rows of the step that are asked for.
pub(in crate::store) fn rows(
    words: Words,
    asked: &TasksAsked,
    edge: Option<TaskPlace>,
    rows: Rows,
) -> Sql {
    let bytes = |column: &str| {
        let shown = format!("substr(q.{column}, 1, {SHOWN_CHARS})");
        format!("{} AS {column}", (words.bytes)(&shown))
    };
    let columns = [
        format!("{} AS id", (words.int8)("q.id")),
        bytes("name"),
        bytes("exec_cmd"),
        bytes("params"),
        bytes("result"),
        format!("{} AS exec_time", (words.int8)("q.exec_time")),
        "q.owner, q.attempts, q.due_ms".to_owned(),
    ];
    let mut sql = begin(words, asked, &columns.join(", "));
    if let Some(edge) = edge {
        sql.push(&up_to(asked, edge));
    }
    sql.is("q.name", asked.name.as_ref())
        .is("q.exec_cmd", asked.exec_cmd.as_ref())
        .has(&["q.name", "q.exec_cmd", "q.params"], asked.text.as_ref());
    sql.push(&order(asked))
        .push(&format!(" LIMIT {}", rows.wanted));
    sql
}
