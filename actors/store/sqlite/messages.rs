//! The statements of `table` queues that are SQLite's own.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::common::messages::{Claimed, recover};
use super::common::part::leaving_out;
use super::connection::{Connection, RunQueryDsl};
use super::lengths::fitting;
use crate::clock::{millis, now_ms};
use crate::job::Disposition;
use crate::store::headers;
use crate::store::parts::without;
use crate::store::rows::{MessageEnd, NewMessage};
use crate::store::schema::queue_message::{self as message, dsl};
use crate::store::write::{ClaimMessages, EndMessages, Most, Settlement};

pub(super) async fn insert(
    connection: &mut Connection,
    rows: &[(&NewMessage, &str)],
) -> QueryResult<Vec<i64>> {
    let mut ids = Vec::with_capacity(rows.len());
    for (row, queue) in rows {
        ids.push(insert_one(connection, queue, row).await?);
    }
    Ok(ids)
}

async fn insert_one(
    connection: &mut Connection,
    queue: &str,
    row: &NewMessage,
) -> QueryResult<i64> {
    let now = now_ms();
    diesel::insert_into(message::table)
        .values((
            dsl::queue.eq(queue),
            dsl::payload.eq(row.payload.as_ref()),
            dsl::msg_key.eq(row.key.as_deref()),
            dsl::headers.eq(headers::encode(&row.headers)),
            dsl::due_ms.eq(now),
            dsl::created_ms.eq(now),
        ))
        .returning(dsl::id)
        .get_result(connection)
        .await
}

/// One statement, in a transaction that already holds the write lock: no two claimers can take the same row.
/// Fresh messages and retries stand in one order, by when they are due, so neither starves the other.
pub(super) const CLAIM: &str = "
    UPDATE queue_message SET owner = ?, fence = fence + 1
    WHERE id IN (SELECT id FROM queue_message
                 WHERE owner = '' AND queue = ? AND due_ms <= ? ORDER BY due_ms, id LIMIT ?)
    RETURNING id, payload, msg_key, CAST(headers AS BLOB) AS headers, due_ms, attempts, deaths, fence,
              CAST(origin AS BLOB) AS origin";

/// The rows that the claim would take, for their lengths. SQLite reads those from the heads of the rows, not the values.
pub(super) const LENGTHS: &str = "
    SELECT octet_length(payload) + coalesce(octet_length(msg_key), 0) + coalesce(octet_length(headers), 0) AS bytes
    FROM queue_message WHERE owner = '' AND queue = ? AND due_ms <= ? ORDER BY due_ms, id LIMIT ?";

pub(super) async fn claim_messages(
    connection: &mut Connection,
    claim: &ClaimMessages,
    (most, left_out): (Most, &[i64]),
) -> QueryResult<Vec<Claimed>> {
    let now = now_ms();
    // In this transaction both statements find the same rows.
    let lengths = diesel::sql_query(without(LENGTHS, left_out))
        .bind::<Text, _>(&claim.queue)
        .bind::<BigInt, _>(now)
        .bind::<BigInt, _>(i64::from(most.count));
    let fitting = fitting(connection, lengths, most).await?;
    diesel::sql_query(without(CLAIM, left_out))
        .bind::<Text, _>(&claim.owner)
        .bind::<Text, _>(&claim.queue)
        .bind::<BigInt, _>(now)
        .bind::<BigInt, _>(fitting)
        .load(connection)
        .await
}

pub(super) async fn end(
    connection: &mut Connection,
    EndMessages { owner, ends }: &EndMessages,
) -> QueryResult<Settlement> {
    let mut stale = Vec::new();
    for end in ends {
        if end_one(connection, owner, end).await? == 0 {
            stale.push(end.id);
        }
    }
    Ok(Settlement::of_stale(stale))
}

/// The owner and the fence in each condition are what refuses a stale owner: a row that was taken over has another
/// owner, one that came back to the same owner has a higher fence.
async fn end_one(connection: &mut Connection, owner: &str, end: &MessageEnd) -> QueryResult<usize> {
    let mine = message::table
        .filter(dsl::id.eq(end.id))
        .filter(dsl::owner.eq(owner))
        .filter(dsl::fence.eq(end.fence));
    match &end.disposition {
        Disposition::Complete => diesel::delete(mine).execute(connection).await,
        Disposition::Retry(after) => {
            diesel::update(mine)
                .set((
                    dsl::owner.eq(""),
                    dsl::attempts.eq(dsl::attempts + 1),
                    dsl::due_ms.eq(now_ms().saturating_add(millis(*after))),
                ))
                .execute(connection)
                .await
        }
        Disposition::DeadLetter { error, attempts } => {
            let mine_count = mine.count().get_result::<i64>(connection).await?;
            if mine_count == 0 {
                return Ok(0);
            }
            recover(connection, end.id, owner, &end.entry, error, *attempts).await
        }
        Disposition::Release => {
            diesel::update(mine)
                .set(dsl::owner.eq(""))
                .execute(connection)
                .await
        }
    }
}

/// Back to waiting, row by row: the statement is prepared once.
pub(super) async fn free(connection: &mut Connection, ids: &[i64]) -> QueryResult<usize> {
    let free = async |connection: &mut Connection, ids: &[i64]| {
        let mut freed = 0;
        for id in ids {
            freed += diesel::update(message::table.filter(dsl::id.eq(id)))
                .set(dsl::owner.eq(""))
                .execute(connection)
                .await?;
        }
        Ok(freed)
    };
    leaving_out(connection, "queue_message", ids, free).await
}
