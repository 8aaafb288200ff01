//! What the dialects of all servers have in common.

use std::ops::Add;

use diesel::QueryResult;
use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::result::Error;
use diesel::sql_types::BigInt;
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};

use super::dialect::{self, Connection, NOW_MS};
pub(in crate::store) use super::marks::trim as trim_marks;
pub(in crate::store) use super::reader::ServerReader as OwnReader;
pub(in crate::store) use super::schema::{crontab_log, delay_queue_log};
pub(in crate::store) use super::tasks::never_due;
use crate::store::error_class::{Verdict, with_code};

type Now = SqlLiteral<BigInt>;

/// The server's clock, in unix milliseconds: those of the daemons may differ.
pub(in crate::store) fn now() -> Now {
    sql(NOW_MS)
}

pub(in crate::store) fn now_plus(ms: i64) -> <Now as Add<i64>>::Output {
    now() + ms
}

/// What the clock of `now` shows.
pub(in crate::store) async fn clock_ms(connection: &mut Connection) -> QueryResult<i64> {
    diesel::select(now()).get_result(connection).await
}

/// The time as `create_time` and `update_time` have it.
pub(in crate::store) fn row_time() -> diesel::dsl::now {
    diesel::dsl::now
}

/// A transaction locks the rows that it changes, no others.
pub(in crate::store) const LOCKS_ROWS: bool = true;

/// Locks the rows, and waits for others' locks.
macro_rules! for_update {
    ($select:expr) => {
        $select.for_update()
    };
}
pub(in crate::store) use for_update;

/// Locks the rows, but for those that others have locked.
macro_rules! for_update_skip_locked {
    ($select:expr) => {
        $select.for_update().skip_locked()
    };
}
pub(in crate::store) use for_update_skip_locked;

/// The rows, a list of values, in one statement.
macro_rules! insert_rows {
    ($connection:expr, $table:expr, $rows:expr) => {
        diesel::insert_into($table)
            .values($rows)
            .execute($connection)
            .await?
    };
}
pub(in crate::store) use insert_rows;

/// What the server refuses of a part is undone: the answer is why. Whether the server takes writes at all has been asked
/// before a write is made part by part, and what collides has been tried again.
pub(in crate::store) async fn undo_part(
    connection: &mut Connection,
    error: Error,
    undo: &str,
) -> QueryResult<String> {
    let (verdict, code) = dialect::verdict(connection, &error).await;
    if !matches!(
        verdict,
        Verdict::Refused | Verdict::Closed | Verdict::Duplicate
    ) {
        return Err(error);
    }
    connection.batch_execute(undo).await?;
    Ok(with_code(&error, code.as_deref()))
}

/// Asks a question on a connection of the pool.
macro_rules! ask {
    ($reader:expr, $question:expr) => {
        futures_util::FutureExt::boxed(async move { $reader.ask($question).await })
    };
}
pub(in crate::store) use ask;

/// No task is due earlier.
pub(in crate::store) const EARLIEST_S: i64 = 0;

/// The headers of a dead letter, as bytes.
pub(in crate::store) const HEADERS: &str = "headers";
