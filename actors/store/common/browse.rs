//! What the pages show of the tables; see `store/browse/`.

use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::sql_types::Text;
use diesel::{QueryResult, QueryableByName};
use futures_util::future::BoxFuture;

use super::dialect::{Backend, Connection, OwnReader, RunQueryDsl, WORDS, ask};
use crate::store::browse::{
    AuditAsked, AuditLine, Browse, DeadLetterLine, DeadLetterOpened, DeadLettersAsked,
    PartitionRuns, RawAudit, RawCount, RawDeadLetter, RawId, RawOpened, RawPlace, RawTaskLine,
    Rows, Span, Sql, Step, TaskLine, TaskPlace, TasksAsked, sql_of,
};
use crate::store::daemon_orders::{CronRun, ListedRun};
use crate::store::error::DbError;

async fn load<T: QueryableByName<Backend> + Send + 'static>(
    connection: &mut Connection,
    sql: Sql,
) -> QueryResult<Vec<T>> {
    let statement: BoxedSqlQuery<'_, Backend, SqlQuery> = diesel::sql_query(sql.text).into_boxed();
    let bound = sql.bound.into_iter();
    let bound = bound.fold(statement, |statement, text| statement.bind::<Text, _>(text));
    bound.load(connection).await
}

impl Browse for OwnReader {
    fn waiting_in(&self, spans: Vec<Span>) -> BoxFuture<'_, Result<Vec<u64>, DbError>> {
        ask!(self, async move |connection| {
            let rows: Vec<RawCount> = load(connection, sql_of::waiting(WORDS, &spans)).await?;
            Ok(RawCount::counts(rows))
        })
    }

    fn task_step(
        &self,
        asked: TasksAsked,
        rows: Rows,
    ) -> BoxFuture<'_, Result<Step<TaskLine, TaskPlace>, DbError>> {
        ask!(self, async move |connection| {
            let edge: Vec<RawPlace> = match asked.is_filtered() {
                true => load(connection, sql_of::task_edge(WORDS, &asked, rows)).await?,
                false => Vec::new(),
            };
            let edge = edge.into_iter().map(RawPlace::read).next();
            let sql = sql_of::task_rows(WORDS, &asked, edge, rows);
            let found: Vec<RawTaskLine> = load(connection, sql).await?;
            let rows = found.into_iter().map(RawTaskLine::read).collect();
            Ok(Step { rows, edge })
        })
    }

    fn dead_letter_step(
        &self,
        asked: DeadLettersAsked,
        rows: Rows,
    ) -> BoxFuture<'_, Result<Step<DeadLetterLine, i64>, DbError>> {
        ask!(self, async move |connection| {
            let edge: Vec<RawId> = match asked.is_filtered() {
                true => load(connection, sql_of::dead_letter_edge(WORDS, &asked, rows)).await?,
                false => Vec::new(),
            };
            let edge = edge.iter().map(|row| row.id).next();
            let sql = sql_of::dead_letter_rows(WORDS, &asked, edge, rows);
            let found: Vec<RawDeadLetter> = load(connection, sql).await?;
            let rows = found.into_iter().map(RawDeadLetter::read).collect();
            Ok(Step { rows, edge })
        })
    }

    fn dead_letter(
        &self,
        id: i64,
        bytes: u32,
    ) -> BoxFuture<'_, Result<Option<DeadLetterOpened>, DbError>> {
        ask!(self, async move |connection| {
            let sql = sql_of::dead_letter(WORDS, id, bytes);
            let found: Vec<RawOpened> = load(connection, sql).await?;
            Ok(found.into_iter().map(RawOpened::read).next())
        })
    }

    fn audit_step(
        &self,
        asked: AuditAsked,
        rows: Rows,
    ) -> BoxFuture<'_, Result<Step<AuditLine, i64>, DbError>> {
        ask!(self, async move |connection| {
            let edge: Vec<RawId> =
                load(connection, sql_of::audit_edge(WORDS, &asked, rows)).await?;
            let edge = edge.iter().map(|row| row.id).next();
            let sql = sql_of::audit_rows(WORDS, &asked, edge, rows);
            let found: Vec<RawAudit> = load(connection, sql).await?;
            let rows = found.into_iter().map(RawAudit::read).collect();
            Ok(Step { rows, edge })
        })
    }

    fn audit_tail(
        &self,
        environment: String,
        after: i64,
        rows: u32,
    ) -> BoxFuture<'_, Result<Vec<AuditLine>, DbError>> {
        ask!(self, async move |connection| {
            let sql = sql_of::audit_tail(WORDS, &environment, after, rows);
            let found: Vec<RawAudit> = load(connection, sql).await?;
            Ok(found.into_iter().map(RawAudit::read).collect())
        })
    }

    fn run_step(
        &self,
        asked: PartitionRuns,
        rows: Rows,
    ) -> BoxFuture<'_, Result<Step<CronRun, i64>, DbError>> {
        ask!(self, async move |connection| {
            let edge: Vec<RawId> = load(connection, sql_of::run_edge(WORDS, &asked, rows)).await?;
            let edge = edge.iter().map(|row| row.id).next();
            let sql = sql_of::run_rows(WORDS, &asked, edge, rows);
            let found: Vec<ListedRun> = load(connection, sql).await?;
            let rows = found.into_iter().map(CronRun::from).collect();
            Ok(Step { rows, edge })
        })
    }
}
