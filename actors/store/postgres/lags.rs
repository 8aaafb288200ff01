//! Questions about many queues at once: one statement, which reads the index once for each queue.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Text};
use diesel_async::RunQueryDsl;

use super::common::questions::{Count, owners};
use super::dialect::{Connection, NOW_MS};

#[derive(QueryableByName)]
struct Queue {
    #[diesel(sql_type = Text)]
    queue: String,
}

/// Unfinished messages, each queue's counted up to its number.
pub(super) async fn queue_lags(
    connection: &mut Connection,
    queues: &[(String, u64)],
) -> QueryResult<Vec<u64>> {
    let owners = owners(connection).await?;
    let (names, caps): (Vec<&str>, Vec<i64>) = queues
        .iter()
        .map(|(queue, cap)| (queue.as_str(), i64::try_from(*cap).unwrap_or(i64::MAX)))
        .unzip();
    let counts: Vec<Count> = diesel::sql_query(
        "SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM queue_message AS m
                 WHERE m.owner = ANY($1) AND m.queue = q.queue LIMIT q.cap) AS capped) AS counted
         FROM unnest($2, $3) WITH ORDINALITY AS q(queue, cap, at) ORDER BY q.at",
    )
    .bind::<Array<Text>, _>(owners)
    .bind::<Array<Text>, _>(names)
    .bind::<Array<BigInt>, _>(caps)
    .load(connection)
    .await?;
    let count = |count: Count| u64::try_from(count.counted).unwrap_or(0);
    Ok(counts.into_iter().map(count).collect())
}

#[derive(QueryableByName)]
struct Due {
    #[diesel(sql_type = Nullable<BigInt>)]
    due_ms: Option<i64>,
}

/// When the first of those that wait was due, in each queue: the first entry of the index that the claim uses.
pub(super) async fn oldest_due(
    connection: &mut Connection,
    queues: &[String],
) -> QueryResult<Vec<Option<i64>>> {
    let oldest: Vec<Due> = diesel::sql_query(
        "SELECT (SELECT m.due_ms FROM queue_message AS m
                 WHERE m.owner = '' AND m.queue = q.queue ORDER BY m.due_ms LIMIT 1) AS due_ms
         FROM unnest($1) WITH ORDINALITY AS q(queue, at) ORDER BY q.at",
    )
    .bind::<Array<Text>, _>(queues)
    .load(connection)
    .await?;
    Ok(oldest.into_iter().map(|due| due.due_ms).collect())
}

/// Those that have a message which may be claimed now.
pub(super) async fn due_queues(
    connection: &mut Connection,
    queues: Vec<String>,
) -> QueryResult<Vec<String>> {
    let due: Vec<Queue> = diesel::sql_query(format!(
        "SELECT q.queue FROM unnest($1) WITH ORDINALITY AS q(queue, at)
         WHERE EXISTS (SELECT 1 FROM queue_message AS m
                       WHERE m.owner = '' AND m.queue = q.queue AND m.due_ms <= {NOW_MS})
         ORDER BY q.at"
    ))
    .bind::<Array<Text>, _>(queues)
    .load(connection)
    .await?;
    Ok(due.into_iter().map(|row| row.queue).collect())
}
