//! The delay queue's statements that are SQLite's own.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Integer, Text};

use super::common::dead;
use super::common::part::leaving_out;
use super::connection::{Connection, RunQueryDsl};
use super::dialect::EARLIEST_S;
use super::lengths::fitting;
use crate::clock::local_text;
use crate::job::Disposition;
use crate::store::columns::{DONE, FAILED, RUNNING, WAITING};
use crate::store::parts::without;
use crate::store::raw_task::{RawTask, Unreadable};
use crate::store::rows::{NewTask, TaskEnd};
use crate::store::schema::delay_queue_log::{self as log, dsl};
use crate::store::truncate::{fitted, readable};
use crate::store::write::{ClaimTasks, EndTasks, Most, Settlement};
use crate::trace::Trace;

pub(super) async fn insert(
    connection: &mut Connection,
    rows: &[(&NewTask, &str)],
) -> QueryResult<Vec<i64>> {
    let mut ids = Vec::with_capacity(rows.len());
    for (row, owner) in rows {
        ids.push(insert_one(connection, row, owner).await?);
    }
    Ok(ids)
}

async fn insert_one(connection: &mut Connection, row: &NewTask, owner: &str) -> QueryResult<i64> {
    let now = local_text();
    let (status, owner, fence) = row.beginning(owner);
    diesel::insert_into(log::table)
        .values((
            dsl::name.eq(&row.name),
            dsl::exec_cmd.eq(&row.exec_cmd),
            dsl::params.eq(&row.params),
            dsl::status.eq(status),
            dsl::exec_time.eq(row.due_ms.div_euclid(1000)),
            dsl::due_ms.eq(row.due_ms),
            dsl::owner.eq(owner),
            dsl::fence.eq(fence),
            dsl::trace.eq(row.trace.as_ref().map(Trace::column)),
            dsl::create_time.eq(&now),
            dsl::update_time.eq(&now),
        ))
        .returning(dsl::id)
        .get_result(connection)
        .await
}

/// One statement, in a transaction that already holds the write lock: no two claimers can take the same row.
/// The inner select walks `idx_status_exectime` in order and stops at the limit.
pub(super) const CLAIM: &str = "
    UPDATE delay_queue_log SET status = 2, owner = ?, fence = fence + 1, update_time = ?
    WHERE id IN (SELECT id FROM delay_queue_log
                 WHERE status = 1 AND exec_time BETWEEN ? AND ? ORDER BY exec_time, id LIMIT ?)
    RETURNING id, CAST(name AS BLOB) AS name, CAST(exec_cmd AS BLOB) AS exec_cmd,
              CAST(params AS BLOB) AS params, exec_time, due_ms, attempts, fence,
              CAST(substr(result, 1, 64) AS BLOB) AS result, CAST(trace AS BLOB) AS trace";

/// The rows that the claim would take, for their lengths. SQLite reads those from the heads of the rows, not the
/// values.
pub(super) const LENGTHS: &str = "
    SELECT coalesce(octet_length(params), 0) + coalesce(octet_length(name), 0)
           + coalesce(octet_length(exec_cmd), 0) AS bytes
    FROM delay_queue_log WHERE status = 1 AND exec_time BETWEEN ? AND ? ORDER BY exec_time, id LIMIT ?";

/// Waiting rows whose time is no number, which SQLite takes: they stand behind every number, in the same index, and are
/// due never.
pub(super) const NEVER_DUE: &str =
    "SELECT id, attempts, CAST(exec_cmd AS BLOB) AS exec_cmd FROM delay_queue_log
     WHERE status = 1 AND exec_time >= '' LIMIT ?";

#[derive(QueryableByName)]
struct NeverDue {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Integer)]
    attempts: i32,
    #[diesel(sql_type = Binary)]
    exec_cmd: Vec<u8>,
}

/// Waiting rows that are due never.
pub(super) async fn never_due(
    connection: &mut Connection,
    most: Most,
) -> QueryResult<Vec<Unreadable>> {
    let rows: Vec<NeverDue> = diesel::sql_query(NEVER_DUE)
        .bind::<BigInt, _>(i64::from(most.count))
        .load(connection)
        .await?;
    let unreadable = rows.into_iter().map(|row| Unreadable {
        id: row.id,
        attempts: row.attempts,
        exec_cmd: readable(&row.exec_cmd),
        why: "its `exec_time` is no number".to_owned(),
    });
    Ok(unreadable.collect())
}

pub(super) async fn claim_tasks(
    connection: &mut Connection,
    claim: &ClaimTasks,
    (most, left_out): (Most, &[i64]),
) -> QueryResult<Vec<RawTask>> {
    // In this transaction both statements find the same rows.
    let lengths = diesel::sql_query(without(LENGTHS, left_out))
        .bind::<BigInt, _>(claim.from_s.unwrap_or(EARLIEST_S))
        .bind::<BigInt, _>(claim.until_s)
        .bind::<BigInt, _>(i64::from(most.count));
    let fitting = fitting(connection, lengths, most).await?;
    diesel::sql_query(without(CLAIM, left_out))
        .bind::<Text, _>(&claim.owner)
        .bind::<Text, _>(local_text())
        .bind::<BigInt, _>(claim.from_s.unwrap_or(EARLIEST_S))
        .bind::<BigInt, _>(claim.until_s)
        .bind::<BigInt, _>(fitting)
        .load(connection)
        .await
}

pub(super) async fn end(
    connection: &mut Connection,
    EndTasks { owner, ends }: &EndTasks,
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
async fn end_one(connection: &mut Connection, owner: &str, end: &TaskEnd) -> QueryResult<usize> {
    let mine = log::table
        .filter(dsl::id.eq(end.id))
        .filter(dsl::status.eq(RUNNING))
        .filter(dsl::owner.eq(owner))
        .filter(dsl::fence.eq(end.fence));
    let now = local_text();
    match &end.disposition {
        Disposition::Complete => {
            diesel::update(mine)
                .set((
                    dsl::status.eq(DONE),
                    dsl::result.eq(fitted(&end.result)),
                    dsl::owner.eq(""),
                    dsl::update_time.eq(&now),
                ))
                .execute(connection)
                .await
        }
        Disposition::Retry(due_ms) => {
            diesel::update(mine)
                .set((
                    dsl::status.eq(WAITING),
                    dsl::result.eq(fitted(&end.result)),
                    dsl::owner.eq(""),
                    dsl::attempts.eq(dsl::attempts + 1),
                    dsl::exec_time.eq(due_ms.div_euclid(1000)),
                    dsl::due_ms.eq(due_ms),
                    dsl::update_time.eq(&now),
                ))
                .execute(connection)
                .await
        }
        Disposition::DeadLetter { error, attempts } => {
            let changed = diesel::update(mine)
                .set((
                    dsl::status.eq(FAILED),
                    dsl::result.eq(fitted(&end.result)),
                    dsl::owner.eq(""),
                    dsl::attempts.eq(i32::try_from(*attempts).unwrap_or(i32::MAX)),
                    dsl::update_time.eq(&now),
                ))
                .execute(connection)
                .await?;
            if changed == 1 {
                dead::from_task(connection, end.id, owner, error).await?;
            }
            Ok(changed)
        }
        Disposition::Release => {
            diesel::update(mine)
                .set((
                    dsl::status.eq(WAITING),
                    dsl::owner.eq(""),
                    dsl::update_time.eq(&now),
                ))
                .execute(connection)
                .await
        }
    }
}

/// Back to waiting. The rows are the owner's: this transaction holds the write lock.
pub(super) async fn release(
    connection: &mut Connection,
    _owner: &str,
    ids: Vec<i64>,
) -> QueryResult<usize> {
    free(connection, &ids).await
}

/// Back to waiting, row by row: the statement is prepared once.
pub(super) async fn free(connection: &mut Connection, ids: &[i64]) -> QueryResult<usize> {
    let free = async |connection: &mut Connection, ids: &[i64]| {
        let mut freed = 0;
        for id in ids {
            freed += diesel::update(log::table.filter(dsl::id.eq(id)))
                .set((
                    dsl::status.eq(WAITING),
                    dsl::owner.eq(""),
                    dsl::update_time.eq(local_text()),
                ))
                .execute(connection)
                .await?;
        }
        Ok(freed)
    };
    leaving_out(connection, "delay_queue_log", ids, free).await
}
