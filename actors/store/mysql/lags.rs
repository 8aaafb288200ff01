//! Questions about many queues at once: blocks of selects, each of which stops at its limit.

use diesel::mysql::Mysql;
use diesel::prelude::*;
use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::RunQueryDsl;

use super::common::questions::{Count, owners};
use super::dialect::{Connection, NOW_MS};

/// Queues in one statement: a thousand are asked about in twenty, none of which is long.
const QUEUES_IN_ONE_STATEMENT: usize = 50;

#[derive(QueryableByName)]
struct Queue {
    #[diesel(sql_type = BigInt)]
    at: i64,
}

/// Unfinished messages, each queue's counted up to its number.
pub(super) async fn queue_lags(
    connection: &mut Connection,
    queues: &[(String, u64)],
) -> QueryResult<Vec<u64>> {
    let owners = owners(connection).await?;
    let marks = vec!["?"; owners.len()].join(", ");
    let mut lags = Vec::with_capacity(queues.len());
    for block in queues.chunks(QUEUES_IN_ONE_STATEMENT) {
        let one = |(at, (_, cap)): (usize, &(String, u64))| {
            format!(
                "(SELECT {at} AS at, COUNT(*) AS counted FROM (SELECT 1 AS one FROM queue_message \
                  WHERE owner IN ({marks}) AND queue = ? LIMIT {cap}) AS q{at})"
            )
        };
        let all: Vec<String> = block.iter().enumerate().map(one).collect();
        let statement = format!("{} ORDER BY at", all.join(" UNION ALL "));
        let mut query: BoxedSqlQuery<'_, Mysql, SqlQuery> =
            diesel::sql_query(statement).into_boxed();
        for (queue, _) in block {
            for owner in &owners {
                query = query.bind::<Text, _>(owner);
            }
            query = query.bind::<Text, _>(queue);
        }
        let counts: Vec<Count> = query.load(connection).await?;
        lags.extend(
            counts
                .iter()
                .map(|count| u64::try_from(count.counted).unwrap_or(0)),
        );
    }
    Ok(lags)
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
    let mut oldest = Vec::with_capacity(queues.len());
    for block in queues.chunks(QUEUES_IN_ONE_STATEMENT) {
        let one = |at: usize| {
            format!(
                "(SELECT {at} AS at, (SELECT due_ms FROM queue_message \
                  WHERE owner = '' AND queue = ? ORDER BY due_ms LIMIT 1) AS due_ms)"
            )
        };
        let all: Vec<String> = (0..block.len()).map(one).collect();
        let statement = format!("{} ORDER BY at", all.join(" UNION ALL "));
        let mut query: BoxedSqlQuery<'_, Mysql, SqlQuery> =
            diesel::sql_query(statement).into_boxed();
        for queue in block {
            query = query.bind::<Text, _>(queue);
        }
        let found: Vec<Due> = query.load(connection).await?;
        oldest.extend(found.iter().map(|due| due.due_ms));
    }
    Ok(oldest)
}

/// Those that have a message which may be claimed now.
pub(super) async fn due_queues(
    connection: &mut Connection,
    queues: Vec<String>,
) -> QueryResult<Vec<String>> {
    let mut due = Vec::new();
    for block in queues.chunks(QUEUES_IN_ONE_STATEMENT) {
        let one = |at: usize| {
            format!(
                "(SELECT {at} AS at FROM queue_message \
                  WHERE owner = '' AND queue = ? AND due_ms <= {NOW_MS} LIMIT 1)"
            )
        };
        let all: Vec<String> = (0..block.len()).map(one).collect();
        let mut query: BoxedSqlQuery<'_, Mysql, SqlQuery> =
            diesel::sql_query(all.join(" UNION ALL ")).into_boxed();
        for queue in block {
            query = query.bind::<Text, _>(queue);
        }
        let found: Vec<Queue> = query.load(connection).await?;
        let at = found
            .iter()
            .filter_map(|queue| usize::try_from(queue.at).ok());
        due.extend(at.filter_map(|at| block.get(at).cloned()));
    }
    Ok(due)
}
