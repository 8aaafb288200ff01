//! The statements that are SQLite's own.
//!
//! A transaction that writes has the write lock from its beginning: nothing in it locks rows.

use diesel::expression::AsExpression;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::BigInt;
use diesel_async::SimpleAsyncConnection;

pub(super) use super::connection::{Connection, RunQueryDsl};
pub(super) use super::messages::claim_messages;
pub(super) use super::reader::SqliteReader as OwnReader;
pub(super) use super::tasks::{claim_tasks, never_due};
pub(super) use super::{dead, messages, tasks, warnings};
use crate::clock::{local_text, now_ms};
use crate::store::browse::Words;
pub(super) use crate::store::error_class::Collision;
pub(super) use crate::store::schema::{crontab_log, delay_queue_log};

pub(super) type Backend = diesel::sqlite::Sqlite;

/// A value that the clock shows.
pub(super) type Clock = <i64 as AsExpression<BigInt>>::Expression;

/// This machine's clock, which all processes with this file have, in unix milliseconds.
pub(super) fn now() -> Clock {
    now_plus(0)
}

/// A sum that is too large would be no integer in SQLite.
pub(super) fn now_plus(ms: i64) -> Clock {
    now_ms().saturating_add(ms).into_sql::<BigInt>()
}

/// What the clock of `now` shows.
#[expect(clippy::unused_async, reason = "a statement elsewhere")]
pub(super) async fn clock_ms(_: &mut Connection) -> QueryResult<i64> {
    Ok(now_ms())
}

/// The time as `create_time` and `update_time` have it.
pub(super) fn row_time() -> String {
    local_text()
}

/// A transaction that writes has the write lock from its beginning.
pub(super) const LOCKS_ROWS: bool = false;

/// What a second row under one key does: an error that ends the transaction, or none.
pub(super) const COLLISION: Collision = Collision::Answers;

/// A second row under one key is not inserted.
macro_rules! insert_or_leave {
    ($connection:expr, $insert:expr) => {
        $insert
            .on_conflict_do_nothing()
            .execute($connection)
            .await?
    };
}
pub(super) use insert_or_leave;

/// Nothing to lock.
macro_rules! for_update {
    ($select:expr) => {
        $select
    };
}
pub(super) use for_update;

/// Nothing is locked by others.
macro_rules! for_update_skip_locked {
    ($select:expr) => {
        $select
    };
}
pub(super) use for_update_skip_locked;

/// Which key of a row two may have in common.
macro_rules! same_id {
    ($id:expr) => {
        $id
    };
}
pub(super) use same_id;

/// One by one: of several diesel makes a transaction of its own, within ours.
macro_rules! insert_rows {
    ($connection:expr, $table:expr, $rows:expr) => {
        for row in $rows {
            diesel::insert_into($table)
                .values(row)
                .execute($connection)
                .await?;
        }
    };
}
pub(super) use insert_rows;

/// Of one row.
macro_rules! insert_returning_ids {
    ($connection:expr, $insert:expr, $id:expr, 1) => {
        vec![$insert.returning($id).get_result($connection).await?]
    };
}
pub(super) use insert_returning_ids;

/// What SQLite refuses of a part is undone: the answer is why. Whether the file takes writes at all has been asked before
/// a write is made part by part.
pub(super) async fn undo_part(
    connection: &mut Connection,
    error: Error,
    undo: &str,
) -> QueryResult<String> {
    match connection.batch_execute(undo).await {
        Ok(()) => Ok(error.to_string()),
        // It has ended the whole transaction, as a trigger may (`RAISE(ROLLBACK, …)`).
        Err(_) => Err(error),
    }
}

/// No commit's answer is lost.
#[expect(clippy::unused_async, reason = "a statement elsewhere")]
pub(super) async fn trim_marks(_: &mut Connection) -> QueryResult<()> {
    Ok(())
}

/// The first bound value.
pub(super) const FIRST: &str = "?";

/// The planner takes the index that claims walk by itself: it is the only one that knows the status.
pub(super) const INDEX_OF_TASKS: &str = "";
/// A delayed task by its names. As bytes: SQLite takes any value into any column.
pub(super) const NAMED_TASK: &str =
    "id, CAST(name AS BLOB) AS name, CAST(exec_cmd AS BLOB) AS exec_cmd";
/// A delayed task `q` with all its columns.
pub(super) const SHOWN_TASK: &str = "
    q.id, CAST(q.name AS BLOB) AS name, CAST(q.exec_cmd AS BLOB) AS exec_cmd,
    CAST(q.params AS BLOB) AS params, q.status, CAST(q.result AS BLOB) AS result, q.exec_time,
    q.create_time, q.update_time, q.owner, q.fence, q.attempts, q.due_ms";
/// SQLite takes any number as a time.
pub(super) const EARLIEST_S: i64 = i64::MIN;

/// The headers of a dead letter, as bytes.
pub(super) const HEADERS: &str = "CAST(headers AS BLOB)";

/// For the statements of `store/browse/`.
pub(super) const WORDS: Words = Words {
    bound: |_| "?".to_owned(),
    int8: str::to_owned,
    bytes: |text| format!("CAST(COALESCE({text}, '') AS BLOB)"),
    text: str::to_owned,
    has_bytes: |bytes, text| format!("instr({bytes}, CAST({text} AS BLOB)) > 0"),
    tasks_by_time: INDEX_OF_TASKS,
    subquery_names_outer: true,
};

/// Asks a question on a blocking thread.
macro_rules! ask {
    ($reader:expr, $question:expr) => {
        $reader.ask($question)
    };
}
pub(super) use ask;
