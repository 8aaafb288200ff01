//! Rows by their ids: locked, changed and deleted through the primary key.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;

use super::IN_ONE_STATEMENT;
use super::dialect::{Connection, FIRST, FOR_UPDATE_OF_ROWS};
use super::ids::{each, list};
use super::named;
use crate::store::claims::{Claims, Mine};

const TASKS: &str = "delay_queue_log";
const MESSAGES: &str = "queue_message";

#[derive(QueryableByName)]
struct Claim {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = BigInt)]
    fence: i64,
}

/// Locks those of the tasks that run for the owner.
pub(super) async fn lock_tasks(
    connection: &mut Connection,
    owner: &str,
    ids: Vec<i64>,
) -> QueryResult<Mine> {
    let condition = format!("q.status = 2 AND q.owner = {FIRST}");
    lock(connection, TASKS, &condition, owner, ids).await
}

/// Locks those of the tasks that run for the owner, and waits for other transactions' locks on them.
pub(super) async fn await_tasks(
    connection: &mut Connection,
    owner: &str,
    ids: Vec<i64>,
) -> QueryResult<Claims> {
    let condition = format!("q.status = 2 AND q.owner = {FIRST}");
    let locking = format!("ORDER BY q.id {FOR_UPDATE_OF_ROWS}");
    claims(connection, TASKS, &condition, owner, &ids, &locking).await
}

/// Locks those of the messages that are the owner's.
pub(in crate::store) async fn lock_messages(
    connection: &mut Connection,
    owner: &str,
    ids: Vec<i64>,
) -> QueryResult<Mine> {
    let condition = format!("q.owner = {FIRST}");
    lock(connection, MESSAGES, &condition, owner, ids).await
}

/// Those of the messages that are the owner's, locked by whomever.
pub(super) async fn claimed_messages(
    connection: &mut Connection,
    owner: &str,
    ids: &[i64],
) -> QueryResult<Claims> {
    let condition = format!("q.owner = {FIRST}");
    claims(connection, MESSAGES, &condition, owner, ids, "").await
}

/// In the order of the ids, as all transactions lock them. It waits for no lock: an operator may hold a row for
/// minutes.
async fn lock(
    connection: &mut Connection,
    table: &str,
    condition: &str,
    owner: &str,
    mut ids: Vec<i64>,
) -> QueryResult<Mine> {
    ids.sort_unstable();
    ids.dedup();
    let locking = format!("ORDER BY q.id {FOR_UPDATE_OF_ROWS} SKIP LOCKED");
    let locked = claims(connection, table, condition, owner, &ids, &locking).await?;
    ids.retain(|id| !locked.contains_key(id));
    let held = claims(connection, table, condition, owner, &ids, "").await?;
    Ok(Mine { locked, held })
}

async fn claims(
    connection: &mut Connection,
    table: &str,
    condition: &str,
    owner: &str,
    ids: &[i64],
    locking: &str,
) -> QueryResult<Claims> {
    let mut found = Claims::new();
    for chunk in ids.chunks(IN_ONE_STATEMENT) {
        let select = named::select("q.id, q.fence", table, &list(chunk), condition);
        let claims: Vec<Claim> = diesel::sql_query(format!("{select} {locking}"))
            .bind::<Text, _>(owner)
            .load(connection)
            .await?;
        found.extend(claims.into_iter().map(|claim| (claim.id, claim.fence)));
    }
    Ok(found)
}

/// Back to waiting. The rows are the caller's.
pub(in crate::store) async fn free_tasks(
    connection: &mut Connection,
    ids: &[i64],
) -> QueryResult<usize> {
    let free = "status = 1, owner = '', update_time = NOW()";
    each(connection, TASKS, ids, |ids| {
        named::update(TASKS, free, ids)
    })
    .await
}

/// Back to waiting. The rows are the caller's.
pub(in crate::store) async fn free_messages(
    connection: &mut Connection,
    ids: &[i64],
) -> QueryResult<usize> {
    each(connection, MESSAGES, ids, |ids| {
        named::update(MESSAGES, "owner = ''", ids)
    })
    .await
}

/// The rows are the caller's.
pub(in crate::store) async fn delete_messages(
    connection: &mut Connection,
    ids: &[i64],
) -> QueryResult<usize> {
    each(connection, MESSAGES, ids, |ids| {
        named::delete(MESSAGES, ids)
    })
    .await
}
