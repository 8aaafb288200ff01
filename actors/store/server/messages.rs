//! The statements of `table` queues about many rows.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::IN_ONE_STATEMENT;
use super::by_ids;
pub(in crate::store) use super::by_ids::free_messages as free;
use super::common::messages::recover;
use super::dialect::{self, Connection, now, now_plus};
use super::limits::Limits;
use crate::clock::millis;
use crate::job::Disposition;
use crate::store::claims::{Acceptance, Mine, judge};
use crate::store::headers;
use crate::store::rows::{MessageEnd, NewMessage};
use crate::store::schema::queue_message::{self as message, dsl};

/// Bytes of payloads in one statement, where the server takes as many in one message: small
/// enough that one statement holds nobody up.
const BYTES_IN_ONE_STATEMENT: usize = 4 << 20;

/// Rows for several queues. Answers their ids, in their order.
pub(in crate::store) async fn insert(
    connection: &mut Connection,
    rows: &[(&NewMessage, &str)],
) -> QueryResult<Vec<i64>> {
    let sizes = rows.iter().map(|(row, _)| row.payload.len());
    refuse_too_large(&connection.limits, sizes.max().unwrap_or(0))?;
    let most = BYTES_IN_ONE_STATEMENT.min(room(&connection.limits));
    let mut ids = Vec::with_capacity(rows.len());
    let mut rest = rows;
    while !rest.is_empty() {
        let (portion, left) = rest.split_at(fitting(rest, most));
        rest = left;
        let values: Vec<_> = portion
            .iter()
            .map(|(row, queue)| {
                (
                    dsl::queue.eq(*queue),
                    dsl::payload.eq(row.payload.as_ref()),
                    dsl::msg_key.eq(row.key.as_deref()),
                    dsl::headers.eq(headers::encode(&row.headers)),
                    dsl::due_ms.eq(now()),
                    dsl::created_ms.eq(now()),
                )
            })
            .collect();
        let insert = diesel::insert_into(message::table).values(values);
        let rows = portion.len();
        ids.extend(dialect::insert_returning_ids!(
            connection,
            insert,
            dsl::id,
            rows
        ));
    }
    Ok(ids)
}

/// What stands in a message to the server beside the payload: key, headers, names.
const BESIDE: usize = 256 << 10;

/// Bytes of payload that one message to the server has room for.
pub(super) fn room(limits: &Limits) -> usize {
    limits.message - BESIDE.min(limits.message / 4)
}

/// Sent, it would break the connection, each time.
pub(super) fn refuse_too_large(limits: &Limits, bytes: usize) -> QueryResult<()> {
    if bytes <= room(limits) {
        return Ok(());
    }
    let refusal = format!(
        "a payload of {bytes} bytes; the server takes messages of at most {} bytes, and there is more in one than the payload",
        limits.message
    );
    Err(diesel::result::Error::QueryBuilderError(refusal.into()))
}

/// How many of the rows fit one statement; at least one.
fn fitting(rows: &[(&NewMessage, &str)], most: usize) -> usize {
    let mut bytes = 0;
    let fits = rows.iter().take(IN_ONE_STATEMENT).take_while(|(row, _)| {
        bytes += row.payload.len() + row.key.as_ref().map_or(0, bytes::Bytes::len);
        bytes <= most
    });
    fits.count().max(1)
}

/// Ends of one owner's messages. Answers for each whether it counts: the owner and the fence refuse a stale one, as a row
/// that was taken over has another owner, and one that came back to the same owner a higher fence.
pub(in crate::store) async fn end(
    connection: &mut Connection,
    owner: &str,
    ends: &[&MessageEnd],
) -> QueryResult<Vec<Acceptance>> {
    let claims = || ends.iter().map(|end| (end.id, end.fence));
    let all_done = ends
        .iter()
        .all(|end| end.disposition == Disposition::Complete);
    if all_done {
        let mut mine = delete(connection, owner, claims().collect()).await?;
        return Ok(judge(&mut mine, claims()));
    }
    let ids = ends.iter().map(|end| end.id).collect();
    let mut mine = by_ids::lock_messages(connection, owner, ids).await?;
    let acceptance = judge(&mut mine, claims());
    let counted = ends
        .iter()
        .zip(&acceptance)
        .filter(|(_, acceptance)| **acceptance == Acceptance::Counts);
    let (mut done, mut back) = (Vec::new(), Vec::new());
    for (end, _) in counted {
        match &end.disposition {
            Disposition::Complete => done.push(end.id),
            Disposition::Release => back.push(end.id),
            Disposition::Retry(after) => retry(connection, end.id, millis(*after)).await?,
            Disposition::DeadLetter { error, attempts } => {
                recover(connection, end.id, owner, &end.entry, error, *attempts).await?;
            }
        }
    }
    by_ids::delete_messages(connection, &done).await?;
    by_ids::free_messages(connection, &back).await?;
    Ok(acceptance)
}

/// Deletes those of the rows that are the owner's by these claims. What is locked, and deleted, counts.
async fn delete(
    connection: &mut Connection,
    owner: &str,
    claims: Vec<(i64, i64)>,
) -> QueryResult<Mine> {
    let mut mine = Mine::default();
    for chunk in claims.chunks(IN_ONE_STATEMENT) {
        let deleted = dialect::delete_messages(connection, owner, chunk).await?;
        mine.locked.extend(deleted);
    }
    let missing = claims.iter().map(|(id, _)| *id);
    let missing: Vec<i64> = missing.filter(|id| !mine.locked.contains_key(id)).collect();
    mine.held = by_ids::claimed_messages(connection, owner, &missing).await?;
    Ok(mine)
}

async fn retry(connection: &mut Connection, id: i64, after_ms: i64) -> QueryResult<()> {
    diesel::update(message::table.filter(dsl::id.eq(id)))
        .set((
            dsl::owner.eq(""),
            dsl::attempts.eq(dsl::attempts + 1),
            dsl::due_ms.eq(now_plus(after_ms)),
        ))
        .execute(connection)
        .await
        .map(drop)
}
