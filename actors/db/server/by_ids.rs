//! Rows by their ids: locked, changed and deleted through the primary key.
//!
//! The ids are numbers of ours, and stand in the text as they are. How they are named differs: see `named.rs`.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;

use super::IN_ONE_STATEMENT;
use super::claims::Claims;
use super::dialect::{Connection, FIRST};
use super::named;

const TASKS: &str = "delay_queue_log";
const MESSAGES: &str = "queue_message";

#[derive(QueryableByName)]
struct Claim {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = BigInt)]
    fence: i64,
}

pub(super) fn list(ids: &[i64]) -> String {
    let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
    ids.join(",")
}

/// Locks those of the tasks that run for the owner. Answers the fence of each.
pub(super) async fn lock_tasks(
    connection: &mut Connection,
    owner: &str,
    ids: Vec<i64>,
) -> QueryResult<Claims> {
    let condition = format!("q.status = 2 AND q.owner = {FIRST}");
    lock(connection, TASKS, &condition, owner, ids).await
}

/// Locks those of the messages that are the owner's. Answers the fence of each.
pub(super) async fn lock_messages(
    connection: &mut Connection,
    owner: &str,
    ids: Vec<i64>,
) -> QueryResult<Claims> {
    lock(
        connection,
        MESSAGES,
        &format!("q.owner = {FIRST}"),
        owner,
        ids,
    )
    .await
}

/// In the order of the ids, as everybody locks them.
async fn lock(
    connection: &mut Connection,
    table: &str,
    condition: &str,
    owner: &str,
    mut ids: Vec<i64>,
) -> QueryResult<Claims> {
    ids.sort_unstable();
    ids.dedup();
    let mut mine = Claims::new();
    for chunk in ids.chunks(IN_ONE_STATEMENT) {
        let select = named::select("q.id, q.fence", table, &list(chunk), condition);
        let claims: Vec<Claim> = diesel::sql_query(format!("{select} ORDER BY q.id FOR UPDATE"))
            .bind::<Text, _>(owner)
            .load(connection)
            .await?;
        mine.extend(claims.into_iter().map(|claim| (claim.id, claim.fence)));
    }
    Ok(mine)
}

/// Back to waiting. The rows are the caller's.
pub(super) async fn free_tasks(connection: &mut Connection, ids: &[i64]) -> QueryResult<usize> {
    let free = "status = 1, owner = '', update_time = NOW()";
    each(connection, ids, |ids| named::update(TASKS, free, ids)).await
}

/// Back to waiting. The rows are the caller's.
pub(super) async fn free_messages(connection: &mut Connection, ids: &[i64]) -> QueryResult<usize> {
    each(connection, ids, |ids| {
        named::update(MESSAGES, "owner = ''", ids)
    })
    .await
}

/// The rows are the caller's.
pub(super) async fn delete_tasks(connection: &mut Connection, ids: &[i64]) -> QueryResult<usize> {
    each(connection, ids, |ids| named::delete(TASKS, ids)).await
}

/// The rows are the caller's.
pub(super) async fn delete_messages(
    connection: &mut Connection,
    ids: &[i64],
) -> QueryResult<usize> {
    each(connection, ids, |ids| named::delete(MESSAGES, ids)).await
}

async fn each(
    connection: &mut Connection,
    ids: &[i64],
    statement: impl Fn(&str) -> String,
) -> QueryResult<usize> {
    let mut changed = 0;
    for chunk in ids.chunks(IN_ONE_STATEMENT) {
        changed += diesel::sql_query(statement(&list(chunk)))
            .execute(connection)
            .await?;
    }
    Ok(changed)
}
