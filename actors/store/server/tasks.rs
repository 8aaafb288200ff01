//! The delay queue's statements of many rows.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::IN_ONE_STATEMENT;
use super::by_ids;
pub(in crate::store) use super::by_ids::free_tasks as free;
use super::common::dead;
use super::common::tasks::fail;
use super::dialect::delay_queue_log::{self as log, dsl};
use super::dialect::{self, Connection, row_time};
use crate::job::Disposition;
use crate::store::claims::{Acceptance, judge};
use crate::store::columns::WAITING;
use crate::store::raw_task::Unreadable;
use crate::store::rows::{NewTask, TaskEnd};
use crate::store::write::Most;

/// Rows of several pushes, each with the owner of those that are claimed. Answers their ids, in their order.
pub(in crate::store) async fn insert(
    connection: &mut Connection,
    rows: &[(&NewTask, &str)],
) -> QueryResult<Vec<i64>> {
    let mut ids = Vec::with_capacity(rows.len());
    for chunk in rows.chunks(IN_ONE_STATEMENT) {
        ids.extend(dialect::insert_tasks(connection, chunk).await?);
    }
    Ok(ids)
}

/// Ends of one owner's tasks. Answers for each whether it counts: the owner and the fence refuse a stale one, as a
/// row that was taken over has another owner, and one that came back to the same owner a higher fence.
pub(in crate::store) async fn end(
    connection: &mut Connection,
    owner: &str,
    ends: &[&TaskEnd],
) -> QueryResult<Vec<Acceptance>> {
    let ids = ends.iter().map(|end| end.id).collect();
    let mut mine = by_ids::lock_tasks(connection, owner, ids).await?;
    let acceptance = judge(&mut mine, ends.iter().map(|end| (end.id, end.fence)));
    let counted = ends
        .iter()
        .zip(&acceptance)
        .filter(|(_, acceptance)| **acceptance == Acceptance::Counts);
    let limits = connection.limits;
    let (mut done, mut back) = (Vec::new(), Vec::new());
    for (end, _) in counted {
        match &end.disposition {
            Disposition::Complete => done.push((end.id, limits.task_result(&end.result))),
            Disposition::Release => back.push(end.id),
            Disposition::Retry(due_ms) => {
                retry(connection, end.id, *due_ms, &end.result).await?;
            }
            Disposition::DeadLetter { error, attempts } => {
                let attempts = i32::try_from(*attempts).unwrap_or(i32::MAX);
                fail(connection, end.id, &end.result, attempts).await?;
                dead::from_task(connection, end.id, owner, error).await?;
            }
        }
    }
    // In the order of their ids, as all transactions lock them.
    done.sort_unstable();
    for chunk in done.chunks(IN_ONE_STATEMENT) {
        dialect::finish_tasks(connection, chunk).await?;
    }
    by_ids::free_tasks(connection, &back).await?;
    Ok(acceptance)
}

async fn retry(
    connection: &mut Connection,
    id: i64,
    due_ms: i64,
    result: &str,
) -> QueryResult<usize> {
    diesel::update(log::table.filter(dsl::id.eq(id)))
        .set((
            dsl::status.eq(WAITING),
            dsl::result.eq(connection.limits.task_result(result)),
            dsl::owner.eq(""),
            dsl::attempts.eq(dsl::attempts + 1),
            dsl::exec_time.eq(due_ms.div_euclid(1000)),
            dsl::due_ms.eq(due_ms),
            dsl::update_time.eq(row_time()),
        ))
        .execute(connection)
        .await
}

/// Releases those of the tasks that are the owner's. Waits for others' locks on them.
pub(in crate::store) async fn release(
    connection: &mut Connection,
    owner: &str,
    ids: Vec<i64>,
) -> QueryResult<usize> {
    let mine = by_ids::await_tasks(connection, owner, ids).await?;
    let mut back: Vec<i64> = mine.into_keys().collect();
    back.sort_unstable();
    free(connection, &back).await
}

/// None: a server takes only numbers as times.
pub(in crate::store) async fn never_due(
    _: &mut Connection,
    _: Most,
) -> QueryResult<Vec<Unreadable>> {
    Ok(Vec::new())
}
