//! A row of `delay_queue_log` as it is claimed. Any program may have written it, so it may be one that nobody can read.

use diesel::sql_types::{BigInt, Binary, Integer, Nullable};

use super::columns::is_death;
use super::made_dead_letters::of_task;
use super::rows::{ClaimedTask, due_ms};
use super::truncate::{readable, result_text};
use crate::trace::Trace;

/// Text comes as bytes: what is no text must not fail the statement that claims all rows.
#[derive(diesel::QueryableByName)]
pub(in crate::store) struct RawTask {
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) id: i64,
    #[diesel(sql_type = Binary)]
    name: Vec<u8>,
    #[diesel(sql_type = Binary)]
    exec_cmd: Vec<u8>,
    #[diesel(sql_type = Binary)]
    pub(in crate::store) params: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    exec_time: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    due_ms: Option<i64>,
    #[diesel(sql_type = Integer)]
    attempts: i32,
    #[diesel(sql_type = BigInt)]
    fence: i64,
    #[diesel(sql_type = Binary)]
    result: Vec<u8>,
    #[diesel(sql_type = Nullable<Binary>)]
    trace: Option<Vec<u8>>,
}

/// A row that no attempt can do anything with: it ends with status 4, and its bytes are those of a dead letter.
#[derive(Debug)]
pub(in crate::store) struct Unreadable {
    pub(in crate::store) id: i64,
    pub(in crate::store) attempts: i32,
    /// As far as that can be read.
    pub(in crate::store) exec_cmd: String,
    pub(in crate::store) why: String,
}

impl Unreadable {
    /// Its `result`.
    pub(in crate::store) fn result(&self) -> String {
        result_text(false, &self.why.as_str().into())
    }

    /// The entry and the error of its dead letter, for people.
    pub(in crate::store) fn dead_letter(&self) -> (String, String) {
        (of_task(&self.exec_cmd), self.why.clone())
    }

    pub(in crate::store) fn report(&self) {
        log::error!(
            "delayed task {} cannot be read, has status 4 and is a dead letter with its bytes: {}",
            self.id,
            self.why
        );
    }
}

impl RawTask {
    pub(in crate::store) fn read(self) -> Result<ClaimedTask, Unreadable> {
        let (id, attempts) = (self.id, self.attempts);
        let command = readable(&self.exec_cmd);
        let text = |column: &str, bytes: Vec<u8>| {
            String::from_utf8(bytes).map_err(|cause| Unreadable {
                id,
                attempts,
                exec_cmd: command.clone(),
                why: format!("its `{column}` is no UTF-8 text: {}", cause.utf8_error()),
            })
        };
        Ok(ClaimedTask {
            id,
            name: text("name", self.name)?,
            exec_cmd: text("exec_cmd", self.exec_cmd)?,
            params: text("params", self.params)?,
            due_ms: due_ms(self.exec_time, self.due_ms),
            attempts: u32::try_from(attempts).unwrap_or(0),
            fence: self.fence,
            suspect: is_death(&readable(&self.result)),
            trace: self
                .trace
                .and_then(|trace| Trace::of_column(&readable(&trace))),
        })
    }
}

/// Those that can be read, in the order in which they are due, and the others.
pub(in crate::store) fn read_all(rows: Vec<RawTask>) -> (Vec<ClaimedTask>, Vec<Unreadable>) {
    let (mut tasks, mut unreadable) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in rows {
        match row.read() {
            Ok(task) => tasks.push(task),
            Err(row) => unreadable.push(row),
        }
    }
    tasks.sort_by_key(|task| (task.due_ms, task.id));
    (tasks, unreadable)
}
