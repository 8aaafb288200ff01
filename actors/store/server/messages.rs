//! The statements of `table` queues. Due by the server's clock: daemons' own may differ.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Integer, Nullable};
use diesel_async::RunQueryDsl;

use super::claims::{Acceptance, Mine, judge, not_kept};
use super::dialect::{self, Connection, NOW_MS};
use super::limits::Limits;
use super::part::part;
use super::{IN_ONE_STATEMENT, by_ids, dead};
use crate::clock::millis;
use crate::job::Disposition;
use crate::store::apart::{Manner, Pieces};
use crate::store::headers;
use crate::store::rows::{Charge, ClaimedMessage, EntryName, MessageEnd, NewMessage, Origin};
use crate::store::schema::queue_message::{self as message, dsl};
use crate::store::truncate::readable;
use crate::store::write::{ClaimMessages, ReleaseMessages};

/// Bytes of payloads in one statement, where the server takes as many in one message: small
/// enough that one statement holds nobody up.
const BYTES_IN_ONE_STATEMENT: usize = 4 << 20;

/// Rows for several queues. Answers their ids, in their order.
pub(super) async fn insert(
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
                    dsl::due_ms.eq(sql::<BigInt>(NOW_MS)),
                    dsl::created_ms.eq(sql::<BigInt>(NOW_MS)),
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

/// A row as the claim reads it, on both servers.
#[derive(QueryableByName)]
pub(in crate::store) struct Claimed {
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) id: i64,
    #[diesel(sql_type = Binary)]
    pub(in crate::store) payload: Vec<u8>,
    #[diesel(sql_type = Nullable<Binary>)]
    pub(in crate::store) msg_key: Option<Vec<u8>>,
    /// As bytes: another program may have put anything there.
    #[diesel(sql_type = Nullable<Binary>)]
    pub(in crate::store) headers: Option<Vec<u8>>,
    #[diesel(sql_type = BigInt)]
    due_ms: i64,
    #[diesel(sql_type = Integer)]
    attempts: i32,
    #[diesel(sql_type = Integer)]
    deaths: i32,
    #[diesel(sql_type = BigInt)]
    fence: i64,
    #[diesel(sql_type = Nullable<Binary>)]
    origin: Option<Vec<u8>>,
}

pub(super) async fn claim(
    connection: &mut Connection,
    claim: &ClaimMessages,
) -> QueryResult<Vec<ClaimedMessage>> {
    let name = format!("messages of `{}`", claim.queue);
    let mut rows = match connection.limits.manner {
        Manner::Whole => {
            let left_out = connection.unclaimable.of(&name);
            let most = (claim.most, left_out.as_slice());
            dialect::claim_messages(connection, claim, most).await?
        }
        Manner::Apart => claim_in_pieces(connection, claim, &name).await?,
    };
    rows.sort_by_key(|row| (row.due_ms, row.id));
    let claimed = rows.into_iter().map(|row| ClaimedMessage {
        id: row.id,
        payload: row.payload.into(),
        key: row.msg_key.map(Into::into),
        headers: headers::decode(row.headers.as_deref().map(readable).as_deref()),
        attempts: u32::try_from(row.attempts).unwrap_or(0),
        fence: row.fence,
        due_ms: row.due_ms,
        suspect: row.deaths > 0,
        origin: Origin::decode(row.origin.as_deref().map(readable).as_deref()),
    });
    Ok(claimed.collect())
}

async fn claim_in_pieces(
    connection: &mut Connection,
    claim: &ClaimMessages,
    name: &str,
) -> QueryResult<Vec<Claimed>> {
    let mut pieces = Pieces::new(name, &connection.unclaimable, claim.most);
    let mut claimed = Vec::new();
    while let Some((piece, left_out)) = pieces.next() {
        let tried = part(connection, async |connection: &mut Connection| {
            let most = (piece, left_out.as_slice());
            dialect::claim_messages(connection, claim, most).await
        });
        match tried.await? {
            Ok(mut rows) => {
                let bytes = rows.iter().map(|row| row.payload.len()).sum();
                pieces.took(rows.len(), bytes);
                claimed.append(&mut rows);
            }
            Err(why) if pieces.refused() => {
                let head = head(connection, &claim.queue, &left_out).await?;
                pieces.leave_out(head, &why);
            }
            Err(_) => {}
        }
    }
    Ok(claimed)
}

/// The row that a claim would take first.
async fn head(
    connection: &mut Connection,
    queue: &str,
    left_out: &[i64],
) -> QueryResult<Option<i64>> {
    message::table
        .filter(dsl::owner.eq(""))
        .filter(dsl::queue.eq(queue))
        .filter(dsl::due_ms.le(sql::<BigInt>(NOW_MS)))
        .filter(dsl::id.ne_all(left_out.to_vec()))
        .order((dsl::due_ms, dsl::id))
        .select(dsl::id)
        .first(connection)
        .await
        .optional()
}

/// Ends of one owner's messages. Answers for each whether it counts: the owner and the fence refuse a stale one, as a row
/// that was taken over has another owner, and one that came back to the same owner a higher fence.
pub(super) async fn end(
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
            dsl::due_ms.eq(sql::<BigInt>(NOW_MS) + after_ms),
        ))
        .execute(connection)
        .await
        .map(drop)
}

/// Moves a message to the dead letters.
async fn recover(
    connection: &mut Connection,
    id: i64,
    owner: &str,
    entry: &EntryName,
    error: &str,
    attempts: u32,
) -> QueryResult<()> {
    dead::from_message(connection, id, owner, entry, error, attempts).await?;
    diesel::delete(message::table.filter(dsl::id.eq(id)))
        .execute(connection)
        .await
        .map(drop)
}

/// Releases the messages of a boot that lives on, but for those that are known to be held.
pub(super) async fn release_except(
    connection: &mut Connection,
    ReleaseMessages { queue, owner, keep }: &ReleaseMessages,
) -> QueryResult<usize> {
    let claims: Vec<(i64, i64)> = message::table
        .filter(dsl::owner.eq(owner))
        .filter(dsl::queue.eq(queue))
        .order(dsl::id)
        .select((dsl::id, dsl::fence))
        .for_update()
        .load(connection)
        .await?;
    let back = not_kept(claims, keep);
    by_ids::free_messages(connection, &back).await
}

/// The owners of messages. `idx_queue_message_claim` bounds the query to the claimed ones.
pub(super) async fn owners(connection: &mut Connection) -> QueryResult<Vec<String>> {
    message::table
        .filter(dsl::owner.gt(""))
        .select(dsl::owner)
        .distinct()
        .load(connection)
        .await
}

/// Gives back all messages of boots that are gone. Rows that are locked are left for the next poll; see
/// `tasks::give_back_all`.
pub(super) async fn give_back_all(
    connection: &mut Connection,
    owners: &[String],
) -> QueryResult<usize> {
    let ids: Vec<i64> = message::table
        .filter(dsl::owner.eq_any(owners))
        .order(dsl::id)
        .select(dsl::id)
        .for_update()
        .skip_locked()
        .load(connection)
        .await?;
    by_ids::free_messages(connection, &ids).await
}

/// Charges a message for the end of its process. It is waiting already: its boot's rows were given back before.
/// Answers whether it became a dead letter; `None` where the row is not there any more.
pub(super) async fn charge(
    connection: &mut Connection,
    id: i64,
    entry: &EntryName,
    owner: &str,
    charge: &Charge,
) -> QueryResult<Option<bool>> {
    let row = message::table.filter(dsl::id.eq(id));
    let counted: Option<(i32, String)> = row
        .select((dsl::attempts, dsl::owner))
        .for_update()
        .first(connection)
        .await
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
            dsl::due_ms.eq(sql::<BigInt>(NOW_MS) + charge.after_ms(reached.max(1))),
        ))
        .execute(connection)
        .await?;
    // Somebody else runs it meanwhile: the death counts, the verdict is theirs.
    if charge.certain && reached >= charge.max_attempts && now_owned_by.is_empty() {
        let error = format!("the process ended while it ran: {}", charge.how);
        recover(connection, id, owner, entry, &error, reached).await?;
        return Ok(Some(true));
    }
    Ok(Some(false))
}
