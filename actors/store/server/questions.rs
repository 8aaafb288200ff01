//! What is asked again and again while a daemon runs: each question is answered from an index, and counts no further
//! than it must.

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;

use super::dialect::Connection;
use super::schema::delay_queue_log;
use crate::store::columns::{ALIVE, WAITING};
use crate::store::rows::{COUNT_CAP, DelayCounts, MOST_QUEUES, due_ms};
use crate::store::schema::{boot, queue_message};

#[derive(QueryableByName)]
pub(in crate::store) struct Count {
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) counted: i64,
}

/// Whose a message can be: nobody's, or that of a boot that lives. Who is judged dead or ends has its rows given back
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
pub(super) async fn waiting_queues(connection: &mut Connection) -> QueryResult<Vec<String>> {
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

pub(super) async fn dead_letter_count(connection: &mut Connection) -> QueryResult<u64> {
    let dead_letters: Count = diesel::sql_query(format!(
        "SELECT COUNT(*) AS counted FROM (SELECT 1 AS one FROM dead_letter LIMIT {}) AS capped",
        COUNT_CAP + 1
    ))
    .get_result(connection)
    .await?;
    Ok(u64::try_from(dead_letters.counted).unwrap_or(0))
}

pub(super) async fn delay_counts(connection: &mut Connection) -> QueryResult<DelayCounts> {
    // One more than the cap, so that "exactly the cap" and "more" differ.
    let waiting: Count = diesel::sql_query(format!(
        "SELECT COUNT(*) AS counted FROM
             (SELECT 1 AS one FROM delay_queue_log WHERE status = {WAITING} LIMIT {}) AS capped",
        COUNT_CAP + 1
    ))
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
