//! Inserts of many delayed tasks, and the ids that rows got.
//!
//! A round trip costs as much as dozens of rows. diesel prepares its own insert of a list anew each time; these statements
//! are kept prepared, one for each length.

use diesel::mysql::Mysql;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, SmallInt, Text};
use diesel_async::RunQueryDsl;

use super::dialect::Connection;
use super::{IN_ONE_STATEMENT, tasks};
use crate::db::rows::NewTask;

/// Lists up to this long keep their statement prepared, and so do those that fill one. Each is memory of the server's,
/// and other lengths are rare.
const KEPT_LENGTHS: usize = 64;

struct Row<'a> {
    task: &'a NewTask,
    exec_time: i64,
    status: i16,
    owner: &'a str,
    fence: i64,
}

struct InsertTasks<'a>(Vec<Row<'a>>);

impl QueryId for InsertTasks<'_> {
    type QueryId = ();
    /// It is known by its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Mysql> for InsertTasks<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Mysql>) -> QueryResult<()> {
        let length = self.0.len();
        if length > KEPT_LENGTHS && length != IN_ONE_STATEMENT {
            out.unsafe_to_cache_prepared();
        }
        out.push_sql(
            "INSERT INTO delay_queue_log (result, create_time, update_time, \
             name, exec_cmd, params, exec_time, due_ms, status, owner, fence) VALUES ",
        );
        for (at, row) in self.0.iter().enumerate() {
            out.push_sql(if at == 0 { "" } else { ", " });
            out.push_sql("('', NOW(), NOW(), ");
            out.push_bind_param::<Text, _>(&row.task.name)?;
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(&row.task.exec_cmd)?;
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(&row.task.params)?;
            out.push_sql(", ");
            out.push_bind_param::<BigInt, _>(&row.exec_time)?;
            out.push_sql(", ");
            out.push_bind_param::<BigInt, _>(&row.task.due_ms)?;
            out.push_sql(", ");
            out.push_bind_param::<SmallInt, _>(&row.status)?;
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(row.owner)?;
            out.push_sql(", ");
            out.push_bind_param::<BigInt, _>(&row.fence)?;
            out.push_sql(")");
        }
        Ok(())
    }
}

/// One statement. Answers the ids.
pub(super) async fn insert_tasks<'a>(
    connection: &mut Connection,
    rows: &[(&'a NewTask, &'a str)],
) -> QueryResult<Vec<i64>> {
    let row = |given: &(&'a NewTask, &'a str)| {
        let (task, owner) = *given;
        let (status, owner, fence) = tasks::beginning(task, owner);
        Row {
            task,
            exec_time: task.due_ms.div_euclid(1000),
            status,
            owner,
            fence,
        }
    };
    InsertTasks(rows.iter().map(row).collect())
        .execute(connection)
        .await?;
    last_ids(connection, rows.len()).await
}

/// Kept prepared, as diesel's own `sql_query` is not.
#[derive(QueryId)]
struct LastIds;

impl QueryFragment<Mysql> for LastIds {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Mysql>) -> QueryResult<()> {
        out.push_sql(
            "SELECT CAST(LAST_INSERT_ID() AS SIGNED), CAST(@@auto_increment_increment AS SIGNED)",
        );
        Ok(())
    }
}

impl Query for LastIds {
    type SqlType = (BigInt, BigInt);
}

/// MySQL has no RETURNING. The ids of one INSERT with a known number of rows follow each other, in every
/// `innodb_autoinc_lock_mode`, in steps of `auto_increment_increment`.
pub(super) async fn last_ids(connection: &mut Connection, rows: usize) -> QueryResult<Vec<i64>> {
    let (first, step): (i64, i64) = LastIds.get_result(connection).await?;
    let ids = (0..).map(|n| first + n * step);
    Ok(ids.take(rows).collect())
}
