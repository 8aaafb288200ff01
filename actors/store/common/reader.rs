//! Reads that bypass DbActor: each on a connection of the adapter's reader.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;

use super::dialect::{OwnReader, ask};
use super::{
    daemon_orders, dead_letters, deaths, lags, notices, orders, questions, runs, task_orders,
    traces,
};
use crate::state::DeadLettersOf;
use crate::store::daemon_orders::{CronRun, OpenOrder, RunOrder, RunsAsked};
use crate::store::error::DbError;
use crate::store::rows::{
    AliveBoot, DeadLetter, DeadLetterFilter, DeadLetterHead, DeadLetterScan, DelayCounts,
    EntryRuns, OpenRun, OutsideDeath, PauseRow, Side,
};
use crate::store::task_orders::{TaskName, TaskRow, TaskStatus};
use crate::store::traces::{Traces, TracesAsked};
use crate::store::traits::Reader;
use crate::store::warnings::NoticeBreadth;

impl Reader for OwnReader {
    fn queue_lags(&self, queues: Vec<(String, u64)>) -> BoxFuture<'_, Result<Vec<u64>, DbError>> {
        ask!(self, async move |connection| {
            lags::queue_lags(connection, &queues).await
        })
    }

    fn oldest_due(&self, queues: Vec<String>) -> BoxFuture<'_, Result<Vec<Option<i64>>, DbError>> {
        ask!(self, async move |connection| {
            lags::oldest_due(connection, &queues).await
        })
    }

    fn due_queues(&self, queues: Vec<String>) -> BoxFuture<'_, Result<Vec<String>, DbError>> {
        ask!(self, async move |connection| {
            lags::due_queues(connection, queues).await
        })
    }

    fn waiting_queues(&self) -> BoxFuture<'_, Result<Vec<String>, DbError>> {
        ask!(self, questions::waiting_queues)
    }

    fn delay_counts(&self) -> BoxFuture<'_, Result<DelayCounts, DbError>> {
        ask!(self, questions::delay_counts)
    }

    fn foreign_running(&self) -> BoxFuture<'_, Result<u64, DbError>> {
        ask!(self, questions::foreign_running)
    }

    fn task_command(&self, id: i64) -> BoxFuture<'_, Result<Option<String>, DbError>> {
        ask!(self, async move |connection| {
            task_orders::command(connection, id).await
        })
    }

    fn task_names(
        &self,
        status: TaskStatus,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<TaskName>, DbError>> {
        ask!(self, async move |connection| {
            task_orders::names(connection, status, limit).await
        })
    }

    fn task_rows(&self, ids: Vec<i64>) -> BoxFuture<'_, Result<Vec<TaskRow>, DbError>> {
        ask!(self, async move |connection| {
            task_orders::rows(connection, &ids).await
        })
    }

    fn late_retries(&self, after_s: i64) -> BoxFuture<'_, Result<Vec<i64>, DbError>> {
        ask!(self, async move |connection| {
            questions::late_retries(connection, after_s).await
        })
    }

    fn dead_letters(
        &self,
        filter: DeadLetterFilter,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<DeadLetter>, DbError>> {
        ask!(self, async move |connection| {
            dead_letters::newest(connection, filter, limit).await
        })
    }

    fn dead_letter_heads(
        &self,
        filter: DeadLetterFilter,
        above: i64,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<DeadLetterHead>, DbError>> {
        ask!(self, async move |connection| {
            dead_letters::heads(connection, filter, above, limit).await
        })
    }

    fn dead_letter_scan(
        &self,
        side: Side,
        dead_letters: u32,
    ) -> BoxFuture<'_, Result<DeadLetterScan, DbError>> {
        ask!(self, async move |connection| {
            dead_letters::scan(connection, side, dead_letters).await
        })
    }

    fn deaths<'a>(
        &'a self,
        kind: &'a str,
        source: &'a str,
    ) -> BoxFuture<'a, Result<Vec<OutsideDeath>, DbError>> {
        let (kind, source) = (kind.to_owned(), source.to_owned());
        ask!(self, async move |connection| {
            deaths::of_source(connection, &kind, &source).await
        })
    }

    fn open_runs<'a>(&'a self, partition: &'a str) -> BoxFuture<'a, Result<Vec<OpenRun>, DbError>> {
        let partition = partition.to_owned();
        ask!(self, async move |connection| {
            runs::open(connection, &partition).await
        })
    }

    fn orphaned_runs<'a>(
        &'a self,
        partition: &'a str,
    ) -> BoxFuture<'a, Result<Vec<OpenRun>, DbError>> {
        let partition = partition.to_owned();
        ask!(self, async move |connection| {
            runs::orphaned(connection, &partition).await
        })
    }

    fn ended_runs<'a>(
        &'a self,
        partition: &'a str,
        entries: Vec<String>,
    ) -> BoxFuture<'a, Result<Vec<EntryRuns>, DbError>> {
        let partition = partition.to_owned();
        ask!(self, async move |connection| {
            runs::ended(connection, &partition, entries).await
        })
    }

    fn any_notice<'a>(
        &'a self,
        environment: &'a str,
        breadth: &'a NoticeBreadth,
    ) -> BoxFuture<'a, Result<bool, DbError>> {
        let (environment, breadth) = (environment.to_owned(), breadth.clone());
        ask!(self, async move |connection| {
            notices::any(connection, &environment, &breadth).await
        })
    }

    fn pauses<'a>(&'a self, environment: &'a str) -> BoxFuture<'a, Result<Vec<PauseRow>, DbError>> {
        let environment = environment.to_owned();
        ask!(self, async move |connection| {
            orders::pauses(connection, &environment).await
        })
    }

    fn open_orders<'a>(
        &'a self,
        environment: &'a str,
    ) -> BoxFuture<'a, Result<Vec<OpenOrder>, DbError>> {
        let environment = environment.to_owned();
        ask!(self, async move |connection| {
            daemon_orders::open(connection, &environment).await
        })
    }

    fn run_orders(&self, uks: Vec<String>) -> BoxFuture<'_, Result<Vec<RunOrder>, DbError>> {
        ask!(self, async move |connection| {
            daemon_orders::of_runs(connection, &uks).await
        })
    }

    fn unmade_runs<'a>(
        &'a self,
        environment: &'a str,
        asked: RunsAsked,
    ) -> BoxFuture<'a, Result<Vec<RunOrder>, DbError>> {
        let environment = environment.to_owned();
        ask!(self, async move |connection| {
            daemon_orders::without_run(connection, &environment, &asked).await
        })
    }

    fn cron_runs(&self, asked: RunsAsked) -> BoxFuture<'_, Result<Vec<CronRun>, DbError>> {
        ask!(self, async move |connection| {
            daemon_orders::runs(connection, &asked).await
        })
    }

    fn cron_run<'a>(&'a self, uk: &'a str) -> BoxFuture<'a, Result<Option<CronRun>, DbError>> {
        let uk = uk.to_owned();
        ask!(self, async move |connection| {
            daemon_orders::run(connection, &uk).await
        })
    }

    fn run_results(
        &self,
        uks: Vec<String>,
    ) -> BoxFuture<'_, Result<BTreeMap<String, String>, DbError>> {
        ask!(self, async move |connection| {
            daemon_orders::results(connection, &uks).await
        })
    }

    fn traces(&self, asked: TracesAsked) -> BoxFuture<'_, Result<Traces, DbError>> {
        ask!(self, async move |connection| {
            traces::traces(connection, &asked).await
        })
    }

    fn dead_letter_count(&self) -> BoxFuture<'_, Result<u64, DbError>> {
        ask!(self, questions::dead_letter_count)
    }

    fn dead_letter_sources(&self) -> BoxFuture<'_, Result<Vec<DeadLettersOf>, DbError>> {
        ask!(self, dead_letters::sources)
    }

    fn alive_boots(&self) -> BoxFuture<'_, Result<Vec<AliveBoot>, DbError>> {
        ask!(self, questions::alive_boots)
    }
}
