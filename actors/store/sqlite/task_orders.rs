//! Orders about delayed tasks, and what people see of them.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, SmallInt};

use super::orders::audit;
use crate::clock::local_text;
use crate::store::columns::{FAILED, WAITING};
use crate::store::schema::delay_queue_log::{self as log, dsl};
use crate::store::task_orders::{
    Found, RawTaskName, RawTaskRow, TaskName, TaskOrder, TaskOrdered, TaskRow, TaskStatus, TaskWish,
};
use crate::store::truncate::fitted;

/// In a transaction that has the write lock from its beginning: no daemon claims the row between the read and the
/// change.
pub(super) fn order(
    connection: &mut SqliteConnection,
    order: &TaskOrder,
) -> QueryResult<TaskOrdered> {
    let row = log::table.filter(dsl::id.eq(order.id));
    let found: Option<(i16, String, i32)> = row
        .select((dsl::status, dsl::owner, dsl::attempts))
        .first(connection)
        .optional()?;
    let found = found.map(|(status, owner, attempts)| Found {
        status,
        owner,
        attempts,
    });
    let ordered = TaskOrdered::of(found);
    if ordered.is_done() {
        let waiting = row.filter(dsl::status.eq(WAITING));
        let update_time = dsl::update_time.eq(local_text());
        match order.wish {
            TaskWish::Cancel => diesel::update(waiting)
                .set((
                    dsl::status.eq(FAILED),
                    dsl::result.eq(fitted(&order.cancelled())),
                    update_time,
                ))
                .execute(connection)?,
            TaskWish::Due { at_ms, .. } => diesel::update(waiting)
                .set((
                    dsl::exec_time.eq(at_ms.div_euclid(1000)),
                    dsl::due_ms.eq(at_ms),
                    update_time,
                ))
                .execute(connection)?,
        };
    }
    audit(
        connection,
        (&order.environment, &order.ordered_by),
        order.action(),
        (&order.target(), &ordered.describe()),
    )?;
    Ok(ordered)
}

/// `idx_status_exectime` is walked in its order, and left at the limit.
pub(super) const IN_ORDER: [&str; 2] = [
    "SELECT id, CAST(name AS BLOB) AS name, CAST(exec_cmd AS BLOB) AS exec_cmd
     FROM delay_queue_log WHERE status = ? ORDER BY exec_time ",
    " LIMIT ?",
];

pub(super) fn names(
    connection: &mut SqliteConnection,
    status: TaskStatus,
    limit: u32,
) -> QueryResult<Vec<TaskName>> {
    let names: Vec<RawTaskName> = diesel::sql_query(IN_ORDER.join(status.order()))
        .bind::<SmallInt, _>(status.column())
        .bind::<BigInt, _>(i64::from(limit))
        .load(connection)?;
    Ok(names.into_iter().map(RawTaskName::read).collect())
}

/// The ids are numbers of ours, and stand in the text as they are.
pub(super) fn rows(connection: &mut SqliteConnection, ids: &[i64]) -> QueryResult<Vec<TaskRow>> {
    let mut found = Vec::with_capacity(ids.len());
    for portion in ids.chunks(500) {
        let portion: Vec<String> = portion.iter().map(i64::to_string).collect();
        let rows: Vec<RawTaskRow> = diesel::sql_query(format!(
            "SELECT id, CAST(name AS BLOB) AS name, CAST(exec_cmd AS BLOB) AS exec_cmd,
                    CAST(params AS BLOB) AS params, status, CAST(result AS BLOB) AS result, exec_time,
                    create_time, update_time, owner, fence, attempts, due_ms
             FROM delay_queue_log WHERE id IN ({})",
            portion.join(",")
        ))
        .load(connection)?;
        found.extend(rows.into_iter().map(RawTaskRow::read));
    }
    Ok(found)
}
