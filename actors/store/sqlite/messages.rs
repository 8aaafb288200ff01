//! The statements of `table` queues.

use std::collections::HashSet;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};

use super::part::{leaving_out, part};
use super::{dead, lengths::fitting};
use crate::clock::{millis, now_ms};
use crate::job::Disposition;
use crate::store::apart::{Manner, Pieces, Unclaimable, without};
use crate::store::headers;
use crate::store::rows::{Charge, ClaimedMessage, EntryName, MessageEnd, NewMessage, Origin};
use crate::store::schema::queue_message::{self as message, dsl};
use crate::store::truncate::readable;
use crate::store::write::{
    ClaimMessages, EndMessages, InsertMessages, Most, ReleaseMessages, Settlement,
};

pub(super) fn insert(
    connection: &mut SqliteConnection,
    InsertMessages { queue, rows }: &InsertMessages,
) -> QueryResult<Vec<i64>> {
    let one = |row: &NewMessage| insert_one(connection, queue, row);
    rows.iter().map(one).collect()
}

pub(super) fn insert_one(
    connection: &mut SqliteConnection,
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

#[derive(QueryableByName)]
#[diesel(table_name = message)]
struct Claimed {
    id: i64,
    payload: Vec<u8>,
    msg_key: Option<Vec<u8>>,
    /// As bytes: another program may have put anything there.
    #[diesel(sql_type = Nullable<Binary>)]
    headers: Option<Vec<u8>>,
    due_ms: i64,
    attempts: i32,
    deaths: i32,
    fence: i64,
    #[diesel(sql_type = Nullable<Binary>)]
    origin: Option<Vec<u8>>,
}

pub(super) fn claim(
    connection: &mut SqliteConnection,
    (manner, unclaimable): (Manner, &Unclaimable),
    claim: &ClaimMessages,
) -> QueryResult<Vec<ClaimedMessage>> {
    let name = format!("messages of `{}`", claim.queue);
    let mut rows = match manner {
        Manner::Whole => {
            let left_out = unclaimable.of(&name);
            claim_some(connection, claim, (claim.most, &left_out))?
        }
        Manner::Apart => {
            let pieces = Pieces::new(&name, unclaimable, claim.most);
            claim_in_pieces(connection, claim, pieces)?
        }
    };
    // RETURNING promises no order.
    rows.sort_by_key(|row| (row.due_ms, row.id));
    Ok(rows.into_iter().map(claimed).collect())
}

fn claim_some(
    connection: &mut SqliteConnection,
    claim: &ClaimMessages,
    (most, left_out): (Most, &[i64]),
) -> QueryResult<Vec<Claimed>> {
    let now = now_ms();
    // In this transaction both statements find the same rows.
    let lengths = diesel::sql_query(without(LENGTHS, left_out))
        .bind::<Text, _>(&claim.queue)
        .bind::<BigInt, _>(now)
        .bind::<BigInt, _>(i64::from(most.count));
    let fitting = fitting(connection, lengths, most)?;
    diesel::sql_query(without(CLAIM, left_out))
        .bind::<Text, _>(&claim.owner)
        .bind::<Text, _>(&claim.queue)
        .bind::<BigInt, _>(now)
        .bind::<BigInt, _>(fitting)
        .load(connection)
}

fn claim_in_pieces(
    connection: &mut SqliteConnection,
    claim: &ClaimMessages,
    mut pieces: Pieces<'_>,
) -> QueryResult<Vec<Claimed>> {
    let mut claimed = Vec::new();
    while let Some((piece, left_out)) = pieces.next() {
        let tried = part(connection, Manner::Apart, |connection| {
            claim_some(connection, claim, (piece, &left_out))
        });
        match tried? {
            Ok(mut rows) => {
                let bytes = rows.iter().map(|row| row.payload.len()).sum();
                pieces.took(rows.len(), bytes);
                claimed.append(&mut rows);
            }
            Err(why) if pieces.refused() => {
                let head = head(connection, &claim.queue, left_out)?;
                pieces.leave_out(head, &why);
            }
            Err(_) => {}
        }
    }
    Ok(claimed)
}

/// The row that a claim would take first.
fn head(
    connection: &mut SqliteConnection,
    queue: &str,
    left_out: Vec<i64>,
) -> QueryResult<Option<i64>> {
    message::table
        .filter(dsl::owner.eq(""))
        .filter(dsl::queue.eq(queue))
        .filter(dsl::due_ms.le(now_ms()))
        .filter(dsl::id.ne_all(left_out))
        .order((dsl::due_ms, dsl::id))
        .select(dsl::id)
        .first(connection)
        .optional()
}

fn claimed(row: Claimed) -> ClaimedMessage {
    ClaimedMessage {
        id: row.id,
        payload: row.payload.into(),
        key: row.msg_key.map(Into::into),
        headers: headers::decode(row.headers.as_deref().map(readable).as_deref()),
        attempts: u32::try_from(row.attempts).unwrap_or(0),
        fence: row.fence,
        due_ms: row.due_ms,
        suspect: row.deaths > 0,
        origin: Origin::decode(row.origin.as_deref().map(readable).as_deref()),
    }
}

pub(super) fn end(
    connection: &mut SqliteConnection,
    EndMessages { owner, ends }: &EndMessages,
) -> QueryResult<Settlement> {
    let mut stale = Vec::new();
    for end in ends {
        if end_one(connection, owner, end)? == 0 {
            stale.push(end.id);
        }
    }
    Ok(Settlement::of_stale(stale))
}

/// The owner and the fence in each condition are what refuses a stale owner: a row that was taken over has another
/// owner, one that came back to the same owner has a higher fence.
fn end_one(connection: &mut SqliteConnection, owner: &str, end: &MessageEnd) -> QueryResult<usize> {
    let mine = message::table
        .filter(dsl::id.eq(end.id))
        .filter(dsl::owner.eq(owner))
        .filter(dsl::fence.eq(end.fence));
    match &end.disposition {
        Disposition::Complete => diesel::delete(mine).execute(connection),
        Disposition::Retry(after) => diesel::update(mine)
            .set((
                dsl::owner.eq(""),
                dsl::attempts.eq(dsl::attempts + 1),
                dsl::due_ms.eq(now_ms().saturating_add(millis(*after))),
            ))
            .execute(connection),
        Disposition::DeadLetter { error, attempts } => {
            let mine_count = mine.count().get_result::<i64>(connection)?;
            if mine_count == 0 {
                return Ok(0);
            }
            recover(connection, end.id, owner, &end.entry, error, *attempts)
        }
        Disposition::Release => diesel::update(mine)
            .set(dsl::owner.eq(""))
            .execute(connection),
    }
}

/// Moves a message to the dead letters.
fn recover(
    connection: &mut SqliteConnection,
    id: i64,
    owner: &str,
    entry: &EntryName,
    error: &str,
    attempts: u32,
) -> QueryResult<usize> {
    dead::from_message(connection, id, owner, entry, error, attempts)?;
    diesel::delete(message::table.filter(dsl::id.eq(id))).execute(connection)
}

/// Releases the messages of a boot that lives on, but for those that are known to be held.
pub(super) fn release_except(
    connection: &mut SqliteConnection,
    manner: Manner,
    ReleaseMessages { queue, owner, keep }: &ReleaseMessages,
) -> QueryResult<usize> {
    let claims: Vec<(i64, i64)> = message::table
        .filter(dsl::owner.eq(owner))
        .filter(dsl::queue.eq(queue))
        .select((dsl::id, dsl::fence))
        .load(connection)?;
    let keep: HashSet<&(i64, i64)> = keep.iter().collect();
    let back = claims.iter().filter(|claim| !keep.contains(claim));
    let back: Vec<i64> = back.map(|(id, _)| *id).collect();
    leaving_out(connection, manner, "queue_message", &back, free)
}

/// The owners of messages. `idx_queue_message_claim` bounds the query to the claimed ones.
pub(super) fn owners(connection: &mut SqliteConnection) -> QueryResult<Vec<String>> {
    message::table
        .filter(dsl::owner.gt(""))
        .select(dsl::owner)
        .distinct()
        .load(connection)
}

/// Gives back all messages of a boot that is gone.
pub(super) fn give_back_all(
    connection: &mut SqliteConnection,
    manner: Manner,
    owner: &str,
) -> QueryResult<usize> {
    let ids: Vec<i64> = message::table
        .filter(dsl::owner.eq(owner))
        .select(dsl::id)
        .load(connection)?;
    leaving_out(connection, manner, "queue_message", &ids, free)
}

fn free(connection: &mut SqliteConnection, id: i64) -> QueryResult<usize> {
    diesel::update(message::table.filter(dsl::id.eq(id)))
        .set(dsl::owner.eq(""))
        .execute(connection)
}

/// Charges a message for the end of its process. It is waiting already: its boot's rows were given back before.
/// Answers whether it became a dead letter; `None` where the row is not there any more.
pub(super) fn charge(
    connection: &mut SqliteConnection,
    id: i64,
    entry: &EntryName,
    owner: &str,
    charge: &Charge,
) -> QueryResult<Option<bool>> {
    let row = message::table.filter(dsl::id.eq(id));
    let counted: Option<(i32, String)> = row
        .select((dsl::attempts, dsl::owner))
        .first(connection)
        .optional()?;
    let Some((attempts, now_owned_by)) = counted else {
        return Ok(None);
    };
    let attempts = attempts + i32::from(charge.certain);
    let reached = u32::try_from(attempts).unwrap_or(0);
    diesel::update(row)
        .set((
            dsl::attempts.eq(attempts),
            dsl::deaths.eq(dsl::deaths + 1),
            dsl::due_ms.eq(now_ms().saturating_add(charge.after_ms(reached.max(1)))),
        ))
        .execute(connection)?;
    // Somebody else runs it meanwhile: the death counts, the verdict is theirs.
    if charge.certain && reached >= charge.max_attempts && now_owned_by.is_empty() {
        let error = format!("the process ended while it ran: {}", charge.how);
        recover(connection, id, owner, entry, &error, reached)?;
        return Ok(Some(true));
    }
    Ok(Some(false))
}
