//! Which transaction was committed, when the answer to a commit was lost.
//!
//! Each transaction inserts its number as its last statement but one, in the same message as the COMMIT. When the
//! connection breaks before the answer, the next one inserts the same number, on its own. While the server still works on
//! the lost transaction this waits for it. Then either the number is taken, so the transaction was committed; or it is
//! not, and now never can be: if the lost message should arrive after all, its insert collides with ours.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_types::BigInt;
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};

use super::dialect::{BEGIN, Connection, NOW_MS};
use super::schema::commit_mark::{self, dsl};
use crate::store::write::TRIM_ROWS;

/// Marks of writers that are gone are kept for a day: no connection is that long in doubt.
const KEPT_MS: i64 = 24 * 3600 * 1000;

/// Only the last mark of a writer is ever asked for; the others are swept now and then, which costs each transaction less.
const SWEPT_EVERY: i64 = 16;

/// The last message of a transaction. One round trip; a statement that fails keeps those behind it from running.
pub(super) async fn commit(
    connection: &mut Connection,
    writer: &str,
    batch: i64,
) -> QueryResult<()> {
    let mark = format!(
        "INSERT INTO commit_mark (writer, batch, marked_ms) VALUES ('{writer}', {batch}, {NOW_MS})"
    );
    let sweep = match batch % SWEPT_EVERY {
        0 => format!("; DELETE FROM commit_mark WHERE writer = '{writer}' AND batch < {batch}"),
        _ => String::new(),
    };
    connection
        .batch_execute(&format!("{mark}{sweep}; COMMIT"))
        .await
}

/// Asks for room, some hundred kilobytes of it, and frees it: a small row may still find some on a disk that is
/// full for all others.
pub(super) async fn ask_for_room(connection: &mut Connection, writer: &str) -> QueryResult<()> {
    const ROWS: i64 = 3000;
    let rows: Vec<String> = (1..=ROWS)
        .map(|n| format!("('{writer}', -{n}, 0)"))
        .collect();
    let rows = rows.join(",");
    connection
        .batch_execute(&format!(
            "SAVEPOINT room; INSERT INTO commit_mark (writer, batch, marked_ms) VALUES {rows}; \
             ROLLBACK TO SAVEPOINT room; RELEASE SAVEPOINT room"
        ))
        .await
}

/// Whether the transaction with this number was committed; if not, it never will be. The mark of a question is
/// distinguished from that of a transaction by its sign: the answer to a question may be lost too, and it is asked again.
pub(super) async fn was_committed(
    connection: &mut Connection,
    writer: &str,
    batch: i64,
) -> QueryResult<bool> {
    connection.batch_execute(BEGIN).await?;
    let inserted = diesel::insert_into(commit_mark::table)
        .values((
            dsl::writer.eq(writer),
            dsl::batch.eq(batch),
            dsl::marked_ms.eq(sql::<BigInt>(NOW_MS) * -1_i64),
        ))
        .execute(connection)
        .await;
    match inserted {
        Ok(_) => {
            connection.batch_execute("COMMIT").await?;
            Ok(false)
        }
        Err(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => {
            connection.batch_execute("ROLLBACK").await?;
            connection.batch_execute(BEGIN).await?;
            let marked_ms: i64 = commit_mark::table
                .find((writer, batch))
                .select(dsl::marked_ms)
                .first(connection)
                .await?;
            connection.batch_execute("ROLLBACK").await?;
            Ok(marked_ms > 0)
        }
        Err(other) => Err(other),
    }
}

/// Deletes at most `TRIM_ROWS` old ones.
pub(in crate::store) async fn trim(connection: &mut Connection) -> QueryResult<()> {
    let old: Vec<(String, i64)> = commit_mark::table
        .filter(dsl::marked_ms.lt(sql::<BigInt>(NOW_MS) - KEPT_MS))
        .filter(dsl::marked_ms.gt(sql::<BigInt>(NOW_MS) * -1_i64 + KEPT_MS))
        .select((dsl::writer, dsl::batch))
        .limit(i64::try_from(TRIM_ROWS).unwrap_or(i64::MAX))
        .for_update()
        .skip_locked()
        .load(connection)
        .await?;
    for (writer, batch) in &old {
        diesel::delete(commit_mark::table.find((writer, batch)))
            .execute(connection)
            .await?;
    }
    Ok(())
}
