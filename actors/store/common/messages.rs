//! The statements of `table` queues that are the same on every database. Due by the database's clock: daemons' own may
//! differ.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Integer, Nullable};

use super::dialect::{self, Connection, RunQueryDsl, now, now_plus};
use super::part::part;
use crate::store::claims::not_kept;
use crate::store::headers;
use crate::store::parts::{Chunks, Manner};
use crate::store::rows::{ClaimedMessage, Crash, EntryName, Origin};
use crate::store::schema::queue_message::{self as message, dsl};
use crate::store::truncate::readable;
use crate::store::write::{ClaimMessages, ReleaseMessages};

/// A row as a claim reads it.
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

pub(in crate::store) async fn claim(
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
        Manner::ByParts => claim_in_chunks(connection, claim, &name).await?,
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

async fn claim_in_chunks(
    connection: &mut Connection,
    claim: &ClaimMessages,
    name: &str,
) -> QueryResult<Vec<Claimed>> {
    let mut chunks = Chunks::new(name, &connection.unclaimable, claim.most);
    let mut claimed = Vec::new();
    while let Some((chunk, left_out)) = chunks.next() {
        let tried = part(connection, async |connection| {
            let most = (chunk, left_out.as_slice());
            dialect::claim_messages(connection, claim, most).await
        });
        match tried.await? {
            Ok(mut rows) => {
                let bytes = rows.iter().map(|row| row.payload.len()).sum();
                chunks.took(rows.len(), bytes);
                claimed.append(&mut rows);
            }
            Err(why) if chunks.refused() => {
                let head = head(connection, &claim.queue, left_out).await?;
                chunks.leave_out(head, &why);
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
    left_out: Vec<i64>,
) -> QueryResult<Option<i64>> {
    message::table
        .filter(dsl::owner.eq(""))
        .filter(dsl::queue.eq(queue))
        .filter(dsl::due_ms.le(now()))
        .filter(dsl::id.ne_all(left_out))
        .order((dsl::due_ms, dsl::id))
        .select(dsl::id)
        .first(connection)
        .await
        .optional()
}

/// Moves a message to the dead letters. Its row is the caller's.
pub(in crate::store) async fn recover(
    connection: &mut Connection,
    id: i64,
    owner: &str,
    entry: &EntryName,
    error: &str,
    attempts: u32,
) -> QueryResult<usize> {
    dialect::dead::from_message(connection, id, owner, entry, error, attempts).await?;
    diesel::delete(message::table.filter(dsl::id.eq(id)))
        .execute(connection)
        .await
}

/// Releases the messages of a boot that lives on, but for those that are known to be held.
pub(in crate::store) async fn release_except(
    connection: &mut Connection,
    ReleaseMessages { queue, owner, keep }: &ReleaseMessages,
) -> QueryResult<usize> {
    let claimed = message::table
        .filter(dsl::owner.eq(owner))
        .filter(dsl::queue.eq(queue))
        .order(dsl::id)
        .select((dsl::id, dsl::fence));
    let claims: Vec<(i64, i64)> = dialect::for_update!(claimed).load(connection).await?;
    let back = not_kept(claims, keep);
    dialect::messages::free(connection, &back).await
}

/// The owners of messages. `idx_queue_message_claim` bounds the query to the claimed ones.
pub(in crate::store) async fn owners(connection: &mut Connection) -> QueryResult<Vec<String>> {
    message::table
        .filter(dsl::owner.gt(""))
        .select(dsl::owner)
        .distinct()
        .load(connection)
        .await
}

/// Releases all messages of boots that are gone. Rows that are locked are left for the next poll; see
/// `tasks::release_all`.
pub(in crate::store) async fn release_all(
    connection: &mut Connection,
    owners: &[String],
) -> QueryResult<usize> {
    let claimed = message::table
        .filter(dsl::owner.eq_any(owners))
        .order(dsl::id)
        .select(dsl::id);
    let ids: Vec<i64> = dialect::for_update_skip_locked!(claimed)
        .load(connection)
        .await?;
    dialect::messages::free(connection, &ids).await
}

/// Records a crash of a message. Its boot's rows were released before, so it is waiting. Returns whether it became a dead
/// letter; `None` where the row is gone.
pub(in crate::store) async fn record_crash(
    connection: &mut Connection,
    id: i64,
    entry: &EntryName,
    owner: &str,
    crash: &Crash,
) -> QueryResult<Option<bool>> {
    let row = message::table.filter(dsl::id.eq(id));
    let counted: Option<(i32, String)> =
        dialect::for_update!(row.select((dsl::attempts, dsl::owner)))
            .first(connection)
            .await
            .optional()?;
    let Some((attempts, now_owned_by)) = counted else {
        return Ok(None);
    };
    let attempts = attempts + i32::from(crash.certain);
    let reached = u32::try_from(attempts).unwrap_or(0);
    diesel::update(row)
        .set((
            dsl::attempts.eq(attempts),
            dsl::deaths.eq(dsl::deaths + 1),
            dsl::due_ms.eq(now_plus(crash.after_ms(reached.max(1)))),
        ))
        .execute(connection)
        .await?;
    // Another boot may have claimed it meanwhile: the crash counts, and that boot decides whether it becomes a dead letter.
    if crash.certain && reached >= crash.max_attempts && now_owned_by.is_empty() {
        let error = format!("the process ended while it ran: {}", crash.how);
        recover(connection, id, owner, entry, &error, reached).await?;
        return Ok(Some(true));
    }
    Ok(Some(false))
}
