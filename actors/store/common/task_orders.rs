//! Orders about delayed tasks, and what people see of them.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Nullable, SmallInt, Text};

use super::dialect::delay_queue_log::{self as log, dsl};
use super::dialect::{self, Connection, INDEX_OF_TASKS, RunQueryDsl, SHOWN_TASK, row_time};
use super::orders::audit;
use super::{IN_ONE_STATEMENT, ids::list, named};
use crate::store::columns::{FAILED, WAITING};
use crate::store::task_orders::{
    Found, RawTaskName, RawTaskRow, TaskName, TaskOrder, TaskOrdered, TaskRow, TaskStatus, TaskWish,
};

/// The row is locked before it is read: no daemon claims it between the read and the change.
pub(in crate::store) async fn order(
    connection: &mut Connection,
    order: &TaskOrder,
) -> QueryResult<TaskOrdered> {
    let row = log::table.filter(dsl::id.eq(order.id));
    let found: Option<(i16, String, i32)> =
        dialect::for_update!(row.select((sql::<SmallInt>("status"), dsl::owner, dsl::attempts)))
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
                        dsl::update_time.eq(row_time()),
                    ))
                    .execute(connection)
                    .await?
            }
            TaskWish::Due { at_ms, .. } => {
                diesel::update(waiting)
                    .set((
                        dsl::exec_time.eq(at_ms.div_euclid(1000)),
                        dsl::due_ms.eq(at_ms),
                        dsl::update_time.eq(row_time()),
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

/// The `exec_cmd` of a task, if it has one.
pub(in crate::store) async fn command(
    connection: &mut Connection,
    id: i64,
) -> QueryResult<Option<String>> {
    let found: Option<Option<String>> = log::table
        .filter(dsl::id.eq(id))
        .select(sql::<Nullable<Text>>("exec_cmd"))
        .first(connection)
        .await
        .optional()?;
    Ok(found.map(Option::unwrap_or_default))
}

/// The index is walked in its order and left at the limit; see the claims of each database.
pub(in crate::store) fn in_order(status: TaskStatus, limit: u32) -> String {
    format!(
        "SELECT {} FROM delay_queue_log {INDEX_OF_TASKS} WHERE status = {}
         ORDER BY delay_queue_log.exec_time {} LIMIT {limit}",
        dialect::NAMED_TASK,
        status.column(),
        status.order()
    )
}

pub(in crate::store) async fn names(
    connection: &mut Connection,
    status: TaskStatus,
    limit: u32,
) -> QueryResult<Vec<TaskName>> {
    let names: Vec<RawTaskName> = diesel::sql_query(in_order(status, limit))
        .load(connection)
        .await?;
    Ok(names.into_iter().map(RawTaskName::read).collect())
}

pub(in crate::store) async fn rows(
    connection: &mut Connection,
    ids: &[i64],
) -> QueryResult<Vec<TaskRow>> {
    let mut found = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(IN_ONE_STATEMENT) {
        let select = named::select(
            SHOWN_TASK,
            "delay_queue_log",
            &list(chunk),
            "q.id IS NOT NULL",
        );
        let rows: Vec<RawTaskRow> = diesel::sql_query(select).load(connection).await?;
        found.extend(rows.into_iter().map(RawTaskRow::read));
    }
    Ok(found)
}
