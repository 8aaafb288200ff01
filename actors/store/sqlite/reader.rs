//! What is asked without DbActor. A connection a question: they are rare, and an open one costs half a millisecond.

use std::collections::BTreeMap;
use std::sync::Arc;

use diesel::prelude::*;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::codes::{Step, judged};
use super::file::DatabaseFile;
use super::{daemon_orders, dead_letters, deaths, notices, orders, questions, task_orders, traces};
use crate::clock::now_ms;
use crate::state::DeadLettersOf;
use crate::store::columns::{ALIVE, MISSED_HEARTBEATS, RUN_ENDED, RUNNING, WAITING};
use crate::store::daemon_orders::{CronRun, OpenOrder, RunOrder, RunsAsked};
use crate::store::error::DbError;
use crate::store::rows::{
    AliveBoot, DeadLetter, DeadLetterFilter, DeadLetterHead, DeadLetterScan, DelayCounts, EndedRun,
    EntryRuns, OpenRun, OutsideDeath, PauseRow, Side,
};
use crate::store::schema::{boot, cron_run, delay_queue_log};
use crate::store::task_orders::{TaskName, TaskRow, TaskStatus};
use crate::store::traces::{Traces, TracesAsked};
use crate::store::traits::{READ_RUNS, Reader};
use crate::store::views::Run;
use crate::store::warnings::NoticeBreadth;
use crate::store::write::TRIM_ROWS;

pub(super) struct SqliteReader {
    file: Arc<DatabaseFile>,
}

impl SqliteReader {
    pub(super) fn new(file: Arc<DatabaseFile>) -> Self {
        Self { file }
    }

    pub(super) fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut SqliteConnection) -> QueryResult<T> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, DbError>> {
        let file = Arc::clone(&self.file);
        async move {
            actix_rt::task::spawn_blocking(move || {
                let mut connection = file.open()?;
                question(&mut connection).map_err(|error| judged(&error, Step::Around))
            })
            .await
            .map_err(|cause| DbError::Away(cause.to_string()))?
        }
        .boxed()
    }
}

fn count(rows: i64) -> u64 {
    u64::try_from(rows).unwrap_or(0)
}

impl Reader for SqliteReader {
    fn queue_lags(&self, queues: Vec<(String, u64)>) -> BoxFuture<'_, Result<Vec<u64>, DbError>> {
        self.ask(move |connection| questions::queue_lags(connection, &queues))
    }

    fn oldest_due(&self, queues: Vec<String>) -> BoxFuture<'_, Result<Vec<Option<i64>>, DbError>> {
        self.ask(move |connection| questions::oldest_due(connection, &queues))
    }

    fn due_queues(&self, queues: Vec<String>) -> BoxFuture<'_, Result<Vec<String>, DbError>> {
        self.ask(move |connection| questions::due_queues(connection, queues))
    }

    fn waiting_queues(&self) -> BoxFuture<'_, Result<Vec<String>, DbError>> {
        self.ask(questions::waiting_queues)
    }

    fn delay_counts(&self) -> BoxFuture<'_, Result<DelayCounts, DbError>> {
        self.ask(questions::delay_counts)
    }

    fn foreign_running(&self) -> BoxFuture<'_, Result<u64, DbError>> {
        self.ask(|connection| {
            delay_queue_log::table
                .filter(delay_queue_log::status.eq(RUNNING))
                .filter(delay_queue_log::owner.eq(""))
                .count()
                .get_result(connection)
                .map(count)
        })
    }

    fn task_command(&self, id: i64) -> BoxFuture<'_, Result<Option<String>, DbError>> {
        self.ask(move |connection| {
            delay_queue_log::table
                .filter(delay_queue_log::id.eq(id))
                .select(delay_queue_log::exec_cmd)
                .first(connection)
                .optional()
        })
    }

    fn task_names(
        &self,
        status: TaskStatus,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<TaskName>, DbError>> {
        self.ask(move |connection| task_orders::names(connection, status, limit))
    }

    fn task_rows(&self, ids: Vec<i64>) -> BoxFuture<'_, Result<Vec<TaskRow>, DbError>> {
        self.ask(move |connection| task_orders::rows(connection, &ids))
    }

    fn late_retries(&self, after_s: i64) -> BoxFuture<'_, Result<Vec<i64>, DbError>> {
        self.ask(move |connection| {
            // Where `due_ms` lies in another second, another program has set `exec_time`, and means it.
            delay_queue_log::table
                .filter(delay_queue_log::status.eq(WAITING))
                .filter(delay_queue_log::exec_time.gt(after_s))
                .filter(delay_queue_log::attempts.gt(0))
                .filter(
                    delay_queue_log::due_ms
                        .assume_not_null()
                        .ge(delay_queue_log::exec_time * 1000),
                )
                .filter(
                    delay_queue_log::due_ms
                        .assume_not_null()
                        .lt(delay_queue_log::exec_time * 1000 + 1000),
                )
                .select(delay_queue_log::id)
                .limit(i64::try_from(TRIM_ROWS).unwrap_or(i64::MAX))
                .load(connection)
        })
    }

    fn dead_letters(
        &self,
        filter: DeadLetterFilter,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<DeadLetter>, DbError>> {
        self.ask(move |connection| dead_letters::newest(connection, filter, limit))
    }

    fn dead_letter_heads(
        &self,
        filter: DeadLetterFilter,
        above: i64,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<DeadLetterHead>, DbError>> {
        self.ask(move |connection| dead_letters::heads(connection, filter, above, limit))
    }

    fn dead_letter_scan(
        &self,
        side: Side,
        dead_letters: u32,
    ) -> BoxFuture<'_, Result<DeadLetterScan, DbError>> {
        self.ask(move |connection| dead_letters::scan(connection, side, dead_letters))
    }

    fn deaths<'a>(
        &'a self,
        kind: &'a str,
        source: &'a str,
    ) -> BoxFuture<'a, Result<Vec<OutsideDeath>, DbError>> {
        let (kind, source) = (kind.to_owned(), source.to_owned());
        self.ask(move |connection| deaths::of_source(connection, &kind, &source))
    }

    fn open_runs<'a>(&'a self, partition: &'a str) -> BoxFuture<'a, Result<Vec<OpenRun>, DbError>> {
        let partition = partition.to_owned();
        self.ask(move |connection| {
            let alive: Vec<String> = boot::table
                .filter(boot::state.eq(ALIVE))
                .select(boot::owner)
                .load(connection)?;
            let runs: Vec<Run> = cron_run::table
                .filter(cron_run::partition_name.eq(partition))
                .filter(cron_run::state.lt(RUN_ENDED))
                .select(Run::as_select())
                .load(connection)?;
            Ok(runs.into_iter().map(|run| run.open(&alive)).collect())
        })
    }

    fn orphaned_runs<'a>(
        &'a self,
        partition: &'a str,
    ) -> BoxFuture<'a, Result<Vec<OpenRun>, DbError>> {
        let partition = partition.to_owned();
        self.ask(move |connection| {
            let alive = boot::table.filter(boot::state.eq(ALIVE));
            let runs: Vec<Run> = cron_run::table
                .filter(cron_run::partition_name.ne(partition))
                .filter(cron_run::state.lt(RUN_ENDED))
                .filter(cron_run::owner.ne_all(alive.select(boot::owner)))
                .select(Run::as_select())
                .load(connection)?;
            Ok(runs.into_iter().map(|run| run.open(&[])).collect())
        })
    }

    fn ended_runs<'a>(
        &'a self,
        partition: &'a str,
        entries: Vec<String>,
    ) -> BoxFuture<'a, Result<Vec<EntryRuns>, DbError>> {
        let partition = partition.to_owned();
        self.ask(move |connection| {
            let mut all = Vec::new();
            for entry in entries {
                let runs: Vec<(String, String, String, i64, i64)> = cron_run::table
                    .filter(cron_run::partition_name.eq(&partition))
                    .filter(cron_run::entry.eq(&entry))
                    .filter(cron_run::state.ge(RUN_ENDED))
                    .order(cron_run::scheduled_ms.desc())
                    .limit(READ_RUNS)
                    .select((
                        cron_run::uk,
                        cron_run::owner,
                        cron_run::status,
                        cron_run::started_ms,
                        cron_run::ended_ms,
                    ))
                    .load(connection)?;
                all.push((entry, runs.into_iter().map(EndedRun::from).collect()));
            }
            Ok(all)
        })
    }

    fn any_notice<'a>(
        &'a self,
        environment: &'a str,
        breadth: &'a NoticeBreadth,
    ) -> BoxFuture<'a, Result<bool, DbError>> {
        let (environment, breadth) = (environment.to_owned(), breadth.clone());
        self.ask(move |connection| notices::any(connection, &environment, &breadth))
    }

    fn pauses<'a>(&'a self, environment: &'a str) -> BoxFuture<'a, Result<Vec<PauseRow>, DbError>> {
        let environment = environment.to_owned();
        self.ask(move |connection| orders::pauses(connection, &environment))
    }

    fn open_orders<'a>(
        &'a self,
        environment: &'a str,
    ) -> BoxFuture<'a, Result<Vec<OpenOrder>, DbError>> {
        let environment = environment.to_owned();
        self.ask(move |connection| daemon_orders::open(connection, &environment))
    }

    fn run_orders(&self, uks: Vec<String>) -> BoxFuture<'_, Result<Vec<RunOrder>, DbError>> {
        self.ask(move |connection| daemon_orders::of_runs(connection, &uks))
    }

    fn unmade_runs<'a>(
        &'a self,
        environment: &'a str,
        asked: RunsAsked,
    ) -> BoxFuture<'a, Result<Vec<RunOrder>, DbError>> {
        let environment = environment.to_owned();
        self.ask(move |connection| daemon_orders::without_run(connection, &environment, &asked))
    }

    fn cron_runs(&self, asked: RunsAsked) -> BoxFuture<'_, Result<Vec<CronRun>, DbError>> {
        self.ask(move |connection| daemon_orders::runs(connection, &asked))
    }

    fn cron_run<'a>(&'a self, uk: &'a str) -> BoxFuture<'a, Result<Option<CronRun>, DbError>> {
        let uk = uk.to_owned();
        self.ask(move |connection| daemon_orders::run(connection, &uk))
    }

    fn run_results(
        &self,
        uks: Vec<String>,
    ) -> BoxFuture<'_, Result<BTreeMap<String, String>, DbError>> {
        self.ask(move |connection| daemon_orders::results(connection, &uks))
    }

    fn traces(&self, asked: TracesAsked) -> BoxFuture<'_, Result<Traces, DbError>> {
        self.ask(move |connection| traces::traces(connection, &asked))
    }

    fn dead_letter_count(&self) -> BoxFuture<'_, Result<u64, DbError>> {
        self.ask(questions::dead_letter_count)
    }

    fn dead_letter_sources(&self) -> BoxFuture<'_, Result<Vec<DeadLettersOf>, DbError>> {
        self.ask(dead_letters::sources)
    }

    fn alive_boots(&self) -> BoxFuture<'_, Result<Vec<AliveBoot>, DbError>> {
        self.ask(move |connection| {
            let now = now_ms();
            let rows: Vec<(String, String, i32, i64, i64, Option<String>)> = boot::table
                .filter(boot::state.eq(ALIVE))
                .filter(boot::heartbeat_ms.ge(boot::interval_ms * -MISSED_HEARTBEATS + now))
                .order(boot::started_ms)
                .select((
                    boot::owner,
                    boot::host,
                    boot::pid,
                    boot::started_ms,
                    boot::heartbeat_ms,
                    boot::version,
                ))
                .load(connection)?;
            let rows = rows.into_iter();
            let alive =
                rows.map(
                    |(owner, host, pid, started_ms, heartbeat_ms, version)| AliveBoot {
                        owner,
                        host,
                        pid,
                        started_ms,
                        silent_ms: now.saturating_sub(heartbeat_ms).max(0),
                        version,
                    },
                );
            Ok(alive.collect())
        })
    }
}
