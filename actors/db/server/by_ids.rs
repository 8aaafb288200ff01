//! Rows by their ids: locked, changed and deleted through the primary key, whatever the optimizer thinks.
//!
//! MariaDB reads a small table as a whole when the list is long, and then waits for every row that another transaction has
//! locked, wanted or not: the ends of two daemons would wait for each other. So the index is forced (`TASKS`, `MESSAGES`).
//! The ids are numbers of ours, and stand in the text as they are.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;

use super::IN_ONE_STATEMENT;
use super::claims::Claims;
use super::dialect::{Connection, FIRST, MESSAGES, TASKS, delete_from_messages};

#[derive(QueryableByName)]
struct Claim {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = BigInt)]
    fence: i64,
}

fn list(ids: &[i64]) -> String {
    let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
    ids.join(",")
}

/// Locks those of the tasks that run for the owner. Answers the fence of each.
pub(super) async fn lock_tasks(
    connection: &mut Connection,
    owner: &str,
    ids: Vec<i64>,
) -> QueryResult<Claims> {
    let condition = format!("status = 2 AND owner = {FIRST}");
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
        &format!("owner = {FIRST}"),
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
        let claims: Vec<Claim> = diesel::sql_query(format!(
            "SELECT id, fence FROM {table} WHERE id IN ({}) AND {condition} ORDER BY id FOR UPDATE",
            list(chunk)
        ))
        .bind::<Text, _>(owner)
        .load(connection)
        .await?;
        mine.extend(claims.into_iter().map(|claim| (claim.id, claim.fence)));
    }
    Ok(mine)
}

/// Back to waiting. The rows are the caller's.
pub(super) async fn free_tasks(connection: &mut Connection, ids: &[i64]) -> QueryResult<usize> {
    change(
        connection,
        &format!("UPDATE {TASKS} SET status = 1, owner = '', update_time = NOW()"),
        ids,
    )
    .await
}

/// Back to waiting. The rows are the caller's.
pub(super) async fn free_messages(connection: &mut Connection, ids: &[i64]) -> QueryResult<usize> {
    change(
        connection,
        &format!("UPDATE {MESSAGES} SET owner = ''"),
        ids,
    )
    .await
}

/// The rows are the caller's.
pub(super) async fn delete_messages(
    connection: &mut Connection,
    ids: &[i64],
) -> QueryResult<usize> {
    change(connection, delete_from_messages(), ids).await
}

async fn change(connection: &mut Connection, statement: &str, ids: &[i64]) -> QueryResult<usize> {
    let mut changed = 0;
    for chunk in ids.chunks(IN_ONE_STATEMENT) {
        changed += diesel::sql_query(format!("{statement} WHERE id IN ({})", list(chunk)))
            .execute(connection)
            .await?;
    }
    Ok(changed)
}
