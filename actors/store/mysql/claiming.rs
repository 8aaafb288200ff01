//! The claims.
//!
//! A claim reads the lengths of its rows first, and the values only of those that are small enough to fit whatever the
//! others hold: `bytes` of the claim divided by its rows. Usually that is all of them, and the claim is two statements.
//! The values of larger rows are read by a third one, as far as they fit.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};
use diesel_async::RunQueryDsl;

use super::common::ids::list;
use super::common::{IN_ONE_STATEMENT, messages};
use super::dialect::Connection;
use super::named;
use crate::store::columns::RUNNING;
use crate::store::parts::without;
use crate::store::raw_task::RawTask;
use crate::store::write::{ClaimMessages, ClaimTasks, Most};

/// The index is forced: without it the optimizer scans a million rows. It is walked in its order and left at the limit;
/// the order names the table, as the bare names are those of the casts, which would be sorted.
/// Rows that others are claiming are skipped, not waited for.
pub(super) const CLAIM_TASKS: &str = "
    SELECT CAST(id AS SIGNED) AS id, COALESCE(name, '') AS name, COALESCE(exec_cmd, '') AS exec_cmd,
           IF(LENGTH(params) <= ?, params, '') AS params,
           CAST(exec_time AS SIGNED) AS exec_time, due_ms, attempts, fence + 1 AS fence,
           LEFT(COALESCE(result, ''), 64) AS result, trace,
           CAST(COALESCE(LENGTH(params), 0) AS SIGNED) AS bytes
    FROM delay_queue_log FORCE INDEX (idx_status_exectime)
    WHERE status = 1 AND exec_time BETWEEN ? AND ?
    ORDER BY delay_queue_log.exec_time, delay_queue_log.id LIMIT ?
    FOR UPDATE SKIP LOCKED";

#[derive(QueryableByName)]
struct FoundTask {
    #[diesel(embed)]
    task: RawTask,
    #[diesel(sql_type = BigInt)]
    bytes: i64,
}

#[derive(QueryableByName)]
struct Params {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Binary)]
    params: Vec<u8>,
}

pub(super) async fn claim_tasks(
    connection: &mut Connection,
    claim: &ClaimTasks,
    (most, left_out): (Most, &[i64]),
) -> QueryResult<Vec<RawTask>> {
    let small = small(most);
    let mut found: Vec<FoundTask> = diesel::sql_query(without(CLAIM_TASKS, left_out))
        .bind::<BigInt, _>(small)
        .bind::<BigInt, _>(claim.from_s.unwrap_or(0))
        .bind::<BigInt, _>(claim.until_s)
        .bind::<BigInt, _>(i64::from(most.count))
        .load(connection)
        .await?;
    found.truncate(most.fitting(found.iter().map(|found| found.bytes)));
    let ids: Vec<i64> = found.iter().map(|found| found.task.id).collect();
    let set = format!("status = {RUNNING}, owner = ?, fence = fence + 1, update_time = NOW()");
    claim_by_ids(connection, "delay_queue_log", &set, &claim.owner, &ids).await?;
    let large = found.iter().filter(|found| found.bytes > small);
    let large: Vec<i64> = large.map(|found| found.task.id).collect();
    let mut rows: Vec<RawTask> = found.into_iter().map(|found| found.task).collect();
    for chunk in large.chunks(IN_ONE_STATEMENT) {
        let columns = "CAST(q.id AS SIGNED) AS id, q.params";
        let select = named::select(
            columns,
            "delay_queue_log",
            &list(chunk),
            "q.params IS NOT NULL",
        );
        let values: Vec<Params> = diesel::sql_query(select).load(connection).await?;
        for value in values {
            if let Some(row) = rows.iter_mut().find(|row| row.id == value.id) {
                row.params = value.params;
            }
        }
    }
    Ok(rows)
}

/// As `CLAIM_TASKS`. Fresh messages and retries stand in one order, by when they are due, so neither starves the other.
pub(super) const CLAIM_MESSAGES: &str = "
    SELECT id, IF(LENGTH(payload) <= ?, payload, '') AS payload,
           IF(LENGTH(msg_key) <= ?, msg_key, NULL) AS msg_key,
           IF(LENGTH(headers) <= ?, headers, NULL) AS headers,
           due_ms, attempts, deaths, fence + 1 AS fence, origin,
           CAST(LENGTH(payload) + COALESCE(LENGTH(msg_key), 0) + COALESCE(LENGTH(headers), 0) AS SIGNED) AS bytes
    FROM queue_message FORCE INDEX (idx_queue_message_claim)
    WHERE owner = '' AND queue = ?
      AND due_ms <= (TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)
    ORDER BY due_ms, id LIMIT ?
    FOR UPDATE SKIP LOCKED";

#[derive(QueryableByName)]
struct FoundMessage {
    #[diesel(embed)]
    message: messages::Claimed,
    #[diesel(sql_type = BigInt)]
    bytes: i64,
}

#[derive(QueryableByName)]
struct Values {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Binary)]
    payload: Vec<u8>,
    #[diesel(sql_type = Nullable<Binary>)]
    msg_key: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Binary>)]
    headers: Option<Vec<u8>>,
}

pub(super) async fn claim_messages(
    connection: &mut Connection,
    claim: &ClaimMessages,
    (most, left_out): (Most, &[i64]),
) -> QueryResult<Vec<messages::Claimed>> {
    // A row has three values of which each may be as large.
    let small = small(most) / 3;
    let select = without(CLAIM_MESSAGES, left_out);
    let mut found: Vec<FoundMessage> = diesel::sql_query(select)
        .bind::<BigInt, _>(small)
        .bind::<BigInt, _>(small)
        .bind::<BigInt, _>(small)
        .bind::<Text, _>(&claim.queue)
        .bind::<BigInt, _>(i64::from(most.count))
        .load(connection)
        .await?;
    found.truncate(most.fitting(found.iter().map(|found| found.bytes)));
    let ids: Vec<i64> = found.iter().map(|found| found.message.id).collect();
    let set = "owner = ?, fence = fence + 1";
    claim_by_ids(connection, "queue_message", set, &claim.owner, &ids).await?;
    // Those of which a value may have been left out.
    let large = found.iter().filter(|found| found.bytes > small);
    let large: Vec<i64> = large.map(|found| found.message.id).collect();
    let mut rows: Vec<messages::Claimed> = found.into_iter().map(|found| found.message).collect();
    for chunk in large.chunks(IN_ONE_STATEMENT) {
        let columns = "q.id, q.payload, q.msg_key, q.headers";
        let select = named::select(columns, "queue_message", &list(chunk), "q.owner = ?");
        let values: Vec<Values> = diesel::sql_query(select)
            .bind::<Text, _>(&claim.owner)
            .load(connection)
            .await?;
        for value in values {
            if let Some(row) = rows.iter_mut().find(|row| row.id == value.id) {
                row.payload = value.payload;
                row.msg_key = value.msg_key;
                row.headers = value.headers;
            }
        }
    }
    Ok(rows)
}

/// A value up to this size comes with the lengths: all of them together fit.
fn small(most: Most) -> i64 {
    i64::from(most.bytes / most.count.max(1))
}

async fn claim_by_ids(
    connection: &mut Connection,
    table: &str,
    set: &str,
    owner: &str,
    ids: &[i64],
) -> QueryResult<()> {
    for chunk in ids.chunks(IN_ONE_STATEMENT) {
        diesel::sql_query(named::update(table, set, &list(chunk)))
            .bind::<Text, _>(owner)
            .execute(connection)
            .await?;
    }
    Ok(())
}
