//! Queries that a running daemon repeats: each is answered from an index, and counts no further than it must.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::dialect::{Connection, RunQueryDsl, delay_queue_log, now};
use crate::store::columns::{ALIVE, MISSED_HEARTBEATS, RUNNING, WAITING};
use crate::store::rows::{AliveBoot, COUNT_CAP, DelayCounts, MOST_QUEUES, due_ms};
use crate::store::schema::{boot, queue_message};
use crate::store::write::TRIM_ROWS;

#[derive(QueryableByName)]
pub(in crate::store) struct Count {
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) counted: i64,
}

/// Whose a message can be: nobody's, or that of a boot that lives. The rows of a boot that is judged dead or ends are released
/// in the same transaction. The index begins with the owner, as the claim needs it.
pub(in crate::store) async fn owners(connection: &mut Connection) -> QueryResult<Vec<String>> {
    let mut owners: Vec<String> = boot::table
        .filter(boot::state.eq(ALIVE))
        .select(boot::owner)
        .load(connection)
        .await?;
    owners.push(String::new());
    Ok(owners)
}

/// One after the other, each found behind the one before it.
pub(in crate::store) async fn waiting_queues(
    connection: &mut Connection,
) -> QueryResult<Vec<String>> {
    use queue_message::dsl;

    let mut found: Vec<String> = Vec::new();
    while found.len() < MOST_QUEUES {
        let after = found.last().map_or("", String::as_str);
        let next = dsl::queue_message
            .filter(dsl::owner.eq(""))
            .filter(dsl::queue.gt(after))
            .order(dsl::queue)
            .select(dsl::queue)
            .first(connection)
            .await
            .optional()?;
        match next {
            Some(next) => found.push(next),
            None => break,
        }
    }
    Ok(found)
}

pub(in crate::store) async fn dead_letter_count(connection: &mut Connection) -> QueryResult<u64> {
    let dead_letters: Count = diesel::sql_query(format!(
        "SELECT COUNT(*) AS counted FROM (SELECT 1 AS one FROM dead_letter LIMIT {}) AS capped",
        COUNT_CAP + 1
    ))
    .get_result(connection)
    .await?;
    Ok(u64::try_from(dead_letters.counted).unwrap_or(0))
}

/// Counts the waiting tasks up to a number.
pub(in crate::store) fn waiting_tasks(cap: u64) -> String {
    format!(
        "SELECT COUNT(*) AS counted FROM
             (SELECT 1 AS one FROM delay_queue_log WHERE status = {WAITING} LIMIT {cap}) AS capped"
    )
}

pub(in crate::store) async fn delay_counts(
    connection: &mut Connection,
) -> QueryResult<DelayCounts> {
    // One more than the cap, so that "exactly the cap" and "more" differ.
    let waiting: Count = diesel::sql_query(waiting_tasks(COUNT_CAP + 1))
        .get_result(connection)
        .await?;
    let oldest: Option<(i64, Option<i64>)> = delay_queue_log::table
        .filter(delay_queue_log::status.eq(WAITING))
        .order((delay_queue_log::exec_time, delay_queue_log::id))
        .select((delay_queue_log::exec_time, delay_queue_log::due_ms))
        .first(connection)
        .await
        .optional()?;
    Ok(DelayCounts {
        waiting: u64::try_from(waiting.counted).unwrap_or(0),
        oldest_due_ms: oldest.map(|(exec_time, due)| due_ms(exec_time, due)),
    })
}

/// Running tasks that no boot of ours owns.
pub(in crate::store) async fn foreign_running(connection: &mut Connection) -> QueryResult<u64> {
    let running: i64 = delay_queue_log::table
        .filter(delay_queue_log::status.eq(RUNNING))
        .filter(delay_queue_log::owner.eq(""))
        .count()
        .get_result(connection)
        .await?;
    Ok(u64::try_from(running).unwrap_or(0))
}

/// Waiting tasks that have failed before, whose retry is due later than that.
pub(in crate::store) async fn late_retries(
    connection: &mut Connection,
    after_s: i64,
) -> QueryResult<Vec<i64>> {
    // Where `due_ms` lies in another second, another program has set `exec_time`, and means it.
    delay_queue_log::table
        .filter(delay_queue_log::status.eq(WAITING))
        .filter(delay_queue_log::exec_time.gt(after_s))
        .filter(delay_queue_log::attempts.gt(0))
        .filter(
            delay_queue_log::due_ms
                .assume_not_null()
                .ge(delay_queue_log::exec_time * 1000),
        )
        .filter(
            delay_queue_log::due_ms
                .assume_not_null()
                .lt(delay_queue_log::exec_time * 1000 + 1000),
        )
        .select(delay_queue_log::id)
        .limit(i64::try_from(TRIM_ROWS).unwrap_or(i64::MAX))
        .load(connection)
        .await
}

/// Daemons whose heartbeats have not stopped, the longest running first.
pub(in crate::store) async fn alive_boots(
    connection: &mut Connection,
) -> QueryResult<Vec<AliveBoot>> {
    type Row = (String, String, i32, i64, i64, i64, Option<String>);
    let rows: Vec<Row> = boot::table
        .filter(boot::state.eq(ALIVE))
        .filter(boot::heartbeat_ms.ge(boot::interval_ms * -MISSED_HEARTBEATS + now()))
        .order(boot::started_ms)
        .select((
            boot::owner,
            boot::host,
            boot::pid,
            boot::started_ms,
            boot::heartbeat_ms,
            now(),
            boot::version,
        ))
        .load(connection)
        .await?;
    let alive = rows.into_iter().map(
        |(owner, host, pid, started_ms, heartbeat_ms, now_ms, version)| AliveBoot {
            owner,
            host,
            pid,
            started_ms,
            silent_ms: now_ms.saturating_sub(heartbeat_ms).max(0),
            version,
        },
    );
    Ok(alive.collect())
}
