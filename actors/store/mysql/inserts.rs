//! Inserts of many delayed tasks, and the ids that rows got.
//!
//! A round trip costs as much as dozens of rows. diesel prepares its own insert of a list anew each time; these statements
//! are kept prepared, one for each length.

use diesel::mysql::Mysql;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Nullable, SmallInt, Text};
use diesel_async::RunQueryDsl;

use super::common::IN_ONE_STATEMENT;
use super::dialect::Connection;
use super::product::RETURNING_ID;
use crate::store::rows::NewTask;
use crate::trace::Trace;

/// Lists up to this long keep their statement prepared, and so do those that fill one. Each is memory of the server's,
/// and other lengths are rare.
const KEPT_LENGTHS: usize = 64;

struct Row<'a> {
    task: &'a NewTask,
    exec_time: i64,
    status: i16,
    owner: &'a str,
    fence: i64,
    trace: Option<String>,
}

struct InsertTasks<'a> {
    rows: Vec<Row<'a>>,
}

impl Query for InsertTasks<'_> {
    type SqlType = BigInt;
}

impl QueryId for InsertTasks<'_> {
    type QueryId = ();
    /// It is known by its text.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Mysql> for InsertTasks<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Mysql>) -> QueryResult<()> {
        let length = self.rows.len();
        if length > KEPT_LENGTHS && length != IN_ONE_STATEMENT {
            out.unsafe_to_cache_prepared();
        }
        out.push_sql(
            "INSERT INTO delay_queue_log (result, create_time, update_time, \
             name, exec_cmd, params, exec_time, due_ms, status, owner, fence, trace) VALUES ",
        );
        for (at, row) in self.rows.iter().enumerate() {
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
            out.push_sql(", ");
            out.push_bind_param::<Nullable<Text>, _>(&row.trace)?;
            out.push_sql(")");
        }
        out.push_sql(RETURNING_ID);
        Ok(())
    }
}

/// One statement. Answers the ids.
pub(super) async fn insert_tasks<'a>(
    connection: &mut Connection,
    rows: &[(&'a NewTask, &'a str)],
) -> QueryResult<Vec<i64>> {
    let ids = insert(connection, rows).await?;
    if ids.is_empty() {
        // MySQL inserted them, and had no rows to answer with.
        return last_ids(connection, rows.len()).await;
    }
    Ok(ids)
}

/// Answers the ids where the server does.
async fn insert<'a>(
    connection: &mut Connection,
    rows: &[(&'a NewTask, &'a str)],
) -> QueryResult<Vec<i64>> {
    let row = |given: &(&'a NewTask, &'a str)| {
        let (task, owner) = *given;
        let (status, owner, fence) = task.beginning(owner);
        Row {
            task,
            exec_time: task.due_ms.div_euclid(1000),
            status,
            owner,
            fence,
            trace: task.trace.as_ref().map(Trace::column),
        }
    };
    let insert = InsertTasks {
        rows: rows.iter().map(row).collect(),
    };
    insert.get_results(connection).await
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

/// Where there is no RETURNING. The ids of one INSERT with a known number of rows follow each other, in every
/// `innodb_autoinc_lock_mode`, in steps of `auto_increment_increment`.
pub(super) async fn last_ids(connection: &mut Connection, rows: usize) -> QueryResult<Vec<i64>> {
    let (first, step): (i64, i64) = LastIds.get_result(connection).await?;
    let ids = (0..).map(|n| first + n * step);
    Ok(ids.take(rows).collect())
}

#[cfg(test)]
mod tests {
    use super::super::connect;
    use super::super::server::store::ServerStore;
    use super::*;
    use crate::config::Secret;
    use crate::servers;
    use crate::store::traits::Store;

    #[derive(QueryableByName)]
    struct Kept {
        #[diesel(sql_type = Nullable<Text>)]
        params: Option<String>,
    }

    #[test]
    fn ids_are_those_of_the_rows_on_both_products() {
        let mariadb = servers::mariadb::shared().map(|server| (server.database(), true));
        let mysql = servers::mysql::shared().map(|server| (server.database(), false));
        for (url, has_returning) in mariadb.into_iter().chain(mysql) {
            let url = Secret::new(url);
            let store = ServerStore::new(url.clone(), "a server".to_owned(), 4);
            store.migrate().unwrap();
            actix_rt::System::new().block_on(async move {
                let mut connection = connect::open(&url).await.unwrap();
                let task = |params: &str| NewTask {
                    name: "n".to_owned(),
                    exec_cmd: "job".to_owned(),
                    params: params.to_owned(),
                    due_ms: 0,
                    claimed: false,
                    trace: None,
                };
                let tasks = ["a", "b", "c"].map(task);
                let rows: Vec<_> = tasks.iter().map(|task| (task, "")).collect();
                let answered = insert(&mut connection, &rows).await.unwrap();
                assert_eq!(!answered.is_empty(), has_returning);
                let ids = insert_tasks(&mut connection, &rows).await.unwrap();
                assert_eq!(ids.len(), 3);
                for (id, task) in ids.iter().zip(&tasks) {
                    let kept = diesel::sql_query("SELECT params FROM delay_queue_log WHERE id = ?")
                        .bind::<BigInt, _>(id)
                        .get_result::<Kept>(&mut connection);
                    assert_eq!(kept.await.unwrap().params.as_ref(), Some(&task.params));
                }
            });
        }
    }
}
