//! What is asked again and again while a daemon runs: each question is answered from an index, and counts no further
//! than it must.

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel::sqlite::Sqlite;

use crate::clock::now_ms;
use crate::store::columns::{ALIVE, WAITING};
use crate::store::rows::{COUNT_CAP, DelayCounts, MOST_QUEUES, due_ms};
use crate::store::schema::{boot, delay_queue_log, queue_message};

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

/// One after the other, each found behind the one before it.
pub(super) fn waiting_queues(connection: &mut SqliteConnection) -> QueryResult<Vec<String>> {
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
            .optional()?;
        match next {
            Some(next) => found.push(next),
            None => break,
        }
    }
    Ok(found)
}

/// Unfinished messages, each queue's counted up to its number.
///
/// The index begins with the owner, as the claim needs it: a message is nobody's or that of a boot that lives. Who is
/// judged dead or ends has its rows given back in the same transaction.
pub(super) fn queue_lags(
    connection: &mut SqliteConnection,
    queues: &[(String, u64)],
) -> QueryResult<Vec<u64>> {
    let mut owners: Vec<String> = boot::table
        .filter(boot::state.eq(ALIVE))
        .select(boot::owner)
        .load(connection)?;
    owners.push(String::new());
    let count = |(queue, cap): &(String, u64)| -> QueryResult<u64> {
        let cap = i64::try_from(*cap).unwrap_or(i64::MAX);
        let counted: Count = lag(&owners, queue, cap).get_result(connection)?;
        Ok(u64::try_from(counted.rows).unwrap_or(0))
    };
    queues.iter().map(count).collect()
}

/// Counts the rows of one queue, of these owners, up to a number.
pub(super) const LAG: [&str; 2] = [
    "SELECT COUNT(*) AS rows FROM (SELECT 1 FROM queue_message WHERE owner IN (",
    ") AND queue = ? LIMIT ?) AS counted",
];

type Lag<'a> = diesel::query_builder::BoxedSqlQuery<'a, Sqlite, diesel::query_builder::SqlQuery>;

fn lag<'a>(owners: &'a [String], queue: &'a str, cap: i64) -> Lag<'a> {
    use diesel::sql_types::Text;

    let marks = vec!["?"; owners.len()].join(", ");
    let statement = diesel::sql_query(format!("{}{marks}{}", LAG[0], LAG[1])).into_boxed();
    let bound = owners.iter().fold(statement, |statement, owner| {
        statement.bind::<Text, _>(owner)
    });
    bound.bind::<Text, _>(queue).bind::<BigInt, _>(cap)
}

/// When the first of those that wait was due, in each queue: the first entry of the index that the claim uses.
pub(super) fn oldest_due(
    connection: &mut SqliteConnection,
    queues: &[String],
) -> QueryResult<Vec<Option<i64>>> {
    let first = |queue: &String| {
        queue_message::table
            .filter(queue_message::owner.eq(""))
            .filter(queue_message::queue.eq(queue))
            .order(queue_message::due_ms)
            .select(queue_message::due_ms)
            .first(connection)
            .optional()
    };
    queues.iter().map(first).collect()
}

/// Those that have a message which may be claimed now.
pub(super) fn due_queues(
    connection: &mut SqliteConnection,
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
            .optional()?;
        if first.is_some() {
            due.push(queue);
        }
    }
    Ok(due)
}

const DEAD_LETTERS: &str =
    "SELECT COUNT(*) AS rows FROM (SELECT 1 FROM dead_letter LIMIT ?) AS counted";

pub(super) fn dead_letter_count(connection: &mut SqliteConnection) -> QueryResult<u64> {
    let dead_letters: Count = diesel::sql_query(DEAD_LETTERS)
        .bind::<BigInt, _>(i64::try_from(COUNT_CAP + 1).unwrap_or(i64::MAX))
        .get_result(connection)?;
    Ok(u64::try_from(dead_letters.rows).unwrap_or(0))
}

pub(super) const WAITING_TASKS: &str = "
    SELECT COUNT(*) AS rows FROM
        (SELECT 1 FROM delay_queue_log WHERE status = ? LIMIT ?) AS counted";

pub(super) fn delay_counts(connection: &mut SqliteConnection) -> QueryResult<DelayCounts> {
    // One more than the cap, so that "exactly the cap" and "more" differ.
    let waiting: Count = diesel::sql_query(WAITING_TASKS)
        .bind::<diesel::sql_types::SmallInt, _>(WAITING)
        .bind::<BigInt, _>(i64::try_from(COUNT_CAP + 1).unwrap_or(i64::MAX))
        .get_result(connection)?;
    let oldest: Option<(i64, Option<i64>)> = delay_queue_log::table
        .filter(delay_queue_log::status.eq(WAITING))
        .order((delay_queue_log::exec_time, delay_queue_log::id))
        .select((delay_queue_log::exec_time, delay_queue_log::due_ms))
        .first(connection)
        .optional()?;
    Ok(DelayCounts {
        waiting: u64::try_from(waiting.rows).unwrap_or(0),
        oldest_due_ms: oldest.map(|(exec_time, due)| due_ms(exec_time, due)),
    })
}
