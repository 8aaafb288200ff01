//! Orders about delayed tasks, and what people see of them.

use diesel::dsl::{now, sql};
use diesel::prelude::*;
use diesel::sql_types::SmallInt;
use diesel_async::RunQueryDsl;

use super::dialect::{Connection, INDEX_OF_TASKS, SHOWN_TASK};
use super::orders::audit;
use super::schema::delay_queue_log::{self as log, dsl};
use super::{IN_ONE_STATEMENT, by_ids, named};
use crate::store::columns::{FAILED, WAITING};
use crate::store::task_orders::{
    Found, RawTaskName, RawTaskRow, TaskName, TaskOrder, TaskOrdered, TaskRow, TaskStatus, TaskWish,
};

/// The row is locked before it is read: no daemon claims it between the read and the change.
pub(super) async fn order(
    connection: &mut Connection,
    order: &TaskOrder,
) -> QueryResult<TaskOrdered> {
    let row = log::table.filter(dsl::id.eq(order.id));
    let found: Option<(i16, String, i32)> = row
        .select((sql::<SmallInt>("status"), dsl::owner, dsl::attempts))
        .for_update()
        .first(connection)
        .await
        .optional()?;
    let found = found.map(|(status, owner, attempts)| Found {
        status,
        owner,
        attempts,
    });
    let ordered = TaskOrdered::of(found);
    if ordered.is_done() {
        let waiting = row.filter(dsl::status.eq(WAITING));
        match order.wish {
            TaskWish::Cancel => {
                let result = connection.limits.task_result(&order.cancelled());
                diesel::update(waiting)
                    .set((
                        dsl::status.eq(FAILED),
                        dsl::result.eq(result),
                        dsl::update_time.eq(now),
                    ))
                    .execute(connection)
                    .await?
            }
            TaskWish::Due { at_ms, .. } => {
                diesel::update(waiting)
                    .set((
                        dsl::exec_time.eq(at_ms.div_euclid(1000)),
                        dsl::due_ms.eq(at_ms),
                        dsl::update_time.eq(now),
                    ))
                    .execute(connection)
                    .await?
            }
        };
    }
    audit(
        connection,
        (&order.environment, &order.ordered_by),
        order.action(),
        (&order.target(), &ordered.describe()),
    )
    .await?;
    Ok(ordered)
}

/// The index is walked in its order and left at the limit; see the claims in `dialect.rs`.
pub(super) fn in_order(status: TaskStatus, limit: u32) -> String {
    format!(
        "SELECT {} FROM delay_queue_log {INDEX_OF_TASKS} WHERE status = {}
         ORDER BY delay_queue_log.exec_time {} LIMIT {limit}",
        super::dialect::NAMED_TASK,
        status.column(),
        status.order()
    )
}

pub(super) async fn names(
    connection: &mut Connection,
    status: TaskStatus,
    limit: u32,
) -> QueryResult<Vec<TaskName>> {
    let names: Vec<RawTaskName> = diesel::sql_query(in_order(status, limit))
        .load(connection)
        .await?;
    Ok(names.into_iter().map(RawTaskName::read).collect())
}

pub(super) async fn rows(connection: &mut Connection, ids: &[i64]) -> QueryResult<Vec<TaskRow>> {
    let mut found = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(IN_ONE_STATEMENT) {
        let select = named::select(
            SHOWN_TASK,
            "delay_queue_log",
            &by_ids::list(chunk),
            "q.id IS NOT NULL",
        );
        let rows: Vec<RawTaskRow> = diesel::sql_query(select).load(connection).await?;
        found.extend(rows.into_iter().map(RawTaskRow::read));
    }
    Ok(found)
}
