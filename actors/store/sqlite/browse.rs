//! What the pages show of the tables; see `store/browse/`.

use diesel::prelude::*;
use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::sql_types::Text;
use diesel::sqlite::Sqlite;
use futures_util::future::BoxFuture;

use super::reader::SqliteReader;
use crate::store::browse::{
    AuditAsked, AuditLine, Browse, DeadLetterLine, DeadLetterOpened, DeadLettersAsked,
    PartitionRuns, RawAudit, RawCount, RawDeadLetter, RawId, RawOpened, RawPlace, RawTaskLine,
    Rows, Span, Sql, Step, TaskLine, TaskPlace, TasksAsked, Words, sql_of,
};
use crate::store::daemon_orders::{CronRun, ListedRun};
use crate::store::error::DbError;

const WORDS: Words = Words {
    bound: |_| "?".to_owned(),
    int8: str::to_owned,
    bytes: |text| format!("CAST(COALESCE({text}, '') AS BLOB)"),
    text: str::to_owned,
    has_bytes: |bytes, text| format!("instr({bytes}, CAST({text} AS BLOB)) > 0"),
    // It is the only one that knows the status.
    tasks_by_time: "",
    subquery_names_outer: true,
};

fn load<T: QueryableByName<Sqlite> + 'static>(
    connection: &mut SqliteConnection,
    sql: Sql,
) -> QueryResult<Vec<T>> {
    let statement: BoxedSqlQuery<'_, Sqlite, SqlQuery> = diesel::sql_query(sql.text).into_boxed();
    let bound = sql.bound.into_iter();
    let bound = bound.fold(statement, |statement, text| statement.bind::<Text, _>(text));
    bound.load(connection)
}

impl Browse for SqliteReader {
    fn waiting_in(&self, spans: Vec<Span>) -> BoxFuture<'_, Result<Vec<u64>, DbError>> {
        self.ask(move |connection| {
            let rows: Vec<RawCount> = load(connection, sql_of::waiting(WORDS, &spans))?;
            Ok(RawCount::counts(rows))
        })
    }

    fn task_step(
        &self,
        asked: TasksAsked,
        rows: Rows,
    ) -> BoxFuture<'_, Result<Step<TaskLine, TaskPlace>, DbError>> {
        self.ask(move |connection| {
            let edge: Vec<RawPlace> = match asked.is_filtered() {
                true => load(connection, sql_of::task_edge(WORDS, &asked, rows))?,
                false => Vec::new(),
            };
            let edge = edge.into_iter().map(RawPlace::read).next();
            let found: Vec<RawTaskLine> =
                load(connection, sql_of::task_rows(WORDS, &asked, edge, rows))?;
            let rows = found.into_iter().map(RawTaskLine::read).collect();
            Ok(Step { rows, edge })
        })
    }

    fn dead_letter_step(
        &self,
        asked: DeadLettersAsked,
        rows: Rows,
    ) -> BoxFuture<'_, Result<Step<DeadLetterLine, i64>, DbError>> {
        self.ask(move |connection| {
            let edge: Vec<RawId> = match asked.is_filtered() {
                true => load(connection, sql_of::dead_letter_edge(WORDS, &asked, rows))?,
                false => Vec::new(),
            };
            let edge = edge.iter().map(|row| row.id).next();
            let found: Vec<RawDeadLetter> = load(
                connection,
                sql_of::dead_letter_rows(WORDS, &asked, edge, rows),
            )?;
            let rows = found.into_iter().map(RawDeadLetter::read).collect();
            Ok(Step { rows, edge })
        })
    }

    fn dead_letter(
        &self,
        id: i64,
        bytes: u32,
    ) -> BoxFuture<'_, Result<Option<DeadLetterOpened>, DbError>> {
        self.ask(move |connection| {
            let found: Vec<RawOpened> = load(connection, sql_of::dead_letter(WORDS, id, bytes))?;
            Ok(found.into_iter().map(RawOpened::read).next())
        })
    }

    fn audit_step(
        &self,
        asked: AuditAsked,
        rows: Rows,
    ) -> BoxFuture<'_, Result<Step<AuditLine, i64>, DbError>> {
        self.ask(move |connection| {
            let edge: Vec<RawId> = load(connection, sql_of::audit_edge(WORDS, &asked, rows))?;
            let edge = edge.iter().map(|row| row.id).next();
            let found: Vec<RawAudit> =
                load(connection, sql_of::audit_rows(WORDS, &asked, edge, rows))?;
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
        self.ask(move |connection| {
            let sql = sql_of::audit_tail(WORDS, &environment, after, rows);
            let found: Vec<RawAudit> = load(connection, sql)?;
            Ok(found.into_iter().map(RawAudit::read).collect())
        })
    }

    fn run_step(
        &self,
        asked: PartitionRuns,
        rows: Rows,
    ) -> BoxFuture<'_, Result<Step<CronRun, i64>, DbError>> {
        self.ask(move |connection| {
            let edge: Vec<RawId> = load(connection, sql_of::run_edge(WORDS, &asked, rows))?;
            let edge = edge.iter().map(|row| row.id).next();
            let found: Vec<ListedRun> =
                load(connection, sql_of::run_rows(WORDS, &asked, edge, rows))?;
            let rows = found.into_iter().map(CronRun::from).collect();
            Ok(Step { rows, edge })
        })
    }
}
