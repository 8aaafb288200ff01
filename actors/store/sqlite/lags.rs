//! Questions about many queues at once: one statement for each queue, which reads the index that claims use.

use diesel::prelude::*;
use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::sql_types::{BigInt, Text};

use super::common::questions::{Count, owners};
use super::dialect::{Backend, Connection, RunQueryDsl};
use crate::clock::now_ms;
use crate::store::schema::queue_message;

/// Unfinished messages, each queue's counted up to its number.
pub(super) async fn queue_lags(
    connection: &mut Connection,
    queues: &[(String, u64)],
) -> QueryResult<Vec<u64>> {
    let owners = owners(connection).await?;
    let mut lags = Vec::with_capacity(queues.len());
    for (queue, cap) in queues {
        let cap = i64::try_from(*cap).unwrap_or(i64::MAX);
        let counted: Count = lag(&owners, queue, cap).get_result(connection).await?;
        lags.push(u64::try_from(counted.counted).unwrap_or(0));
    }
    Ok(lags)
}

/// Counts the rows of one queue, of these owners, up to a number.
pub(super) const LAG: [&str; 2] = [
    "SELECT COUNT(*) AS counted FROM (SELECT 1 FROM queue_message WHERE owner IN (",
    ") AND queue = ? LIMIT ?) AS capped",
];

fn lag<'a>(owners: &'a [String], queue: &'a str, cap: i64) -> BoxedSqlQuery<'a, Backend, SqlQuery> {
    let marks = vec!["?"; owners.len()].join(", ");
    let statement = diesel::sql_query(format!("{}{marks}{}", LAG[0], LAG[1])).into_boxed();
    let bound = owners.iter().fold(statement, |statement, owner| {
        statement.bind::<Text, _>(owner)
    });
    bound.bind::<Text, _>(queue).bind::<BigInt, _>(cap)
}

/// When the first of those that wait was due, in each queue: the first entry of the index that the claim uses.
pub(super) async fn oldest_due(
    connection: &mut Connection,
    queues: &[String],
) -> QueryResult<Vec<Option<i64>>> {
    let mut oldest = Vec::with_capacity(queues.len());
    for queue in queues {
        let first: Option<i64> = queue_message::table
            .filter(queue_message::owner.eq(""))
            .filter(queue_message::queue.eq(queue))
            .order(queue_message::due_ms)
            .select(queue_message::due_ms)
            .first(connection)
            .await
            .optional()?;
        oldest.push(first);
    }
    Ok(oldest)
}

/// Those that have a message which may be claimed now.
pub(super) async fn due_queues(
    connection: &mut Connection,
    queues: Vec<String>,
) -> QueryResult<Vec<String>> {
    let now = now_ms();
    let mut due = Vec::new();
    for queue in queues {
        let first: Option<i64> = queue_message::table
            .filter(queue_message::owner.eq(""))
            .filter(queue_message::queue.eq(&queue))
            .filter(queue_message::due_ms.le(now))
            .select(queue_message::id)
            .first(connection)
            .await
            .optional()?;
        if first.is_some() {
            due.push(queue);
        }
    }
    Ok(due)
}
