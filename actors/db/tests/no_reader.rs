//! The reader of a scripted database, which no test asks.

use std::collections::BTreeMap;

use futures_util::future::BoxFuture;

use super::*;
use crate::state::DeadLettersOf;
use crate::store::browse::{
    AuditAsked, AuditLine, Browse, DeadLetterLine, DeadLetterOpened, DeadLettersAsked,
    PartitionRuns, Rows, Span, Step, TaskLine, TaskPlace, TasksAsked,
};
use crate::store::daemon_orders::{CronRun, OpenOrder, RunOrder, RunsAsked};
use crate::store::rows::{
    AliveBoot, DeadLetter, DeadLetterFilter, DeadLetterHead, DeadLetterScan, DelayCounts,
    EntryRuns, OpenRun, OutsideDeath, PauseRow, Side,
};
use crate::store::task_orders::{TaskName, TaskRow, TaskStatus};
use crate::store::traces::{Traces, TracesAsked};

pub(super) struct NoReader;

impl Browse for NoReader {
    fn waiting_in(&self, spans: Vec<Span>) -> BoxFuture<'_, Result<Vec<u64>, DbError>> {
        async move { Ok(vec![0; spans.len()]) }.boxed()
    }
    fn task_step(
        &self,
        _: TasksAsked,
        _: Rows,
    ) -> BoxFuture<'_, Result<Step<TaskLine, TaskPlace>, DbError>> {
        async { Err(away()) }.boxed()
    }
    fn dead_letter_step(
        &self,
        _: DeadLettersAsked,
        _: Rows,
    ) -> BoxFuture<'_, Result<Step<DeadLetterLine, i64>, DbError>> {
        async { Err(away()) }.boxed()
    }
    fn dead_letter(
        &self,
        _: i64,
        _: u32,
    ) -> BoxFuture<'_, Result<Option<DeadLetterOpened>, DbError>> {
        async { Ok(None) }.boxed()
    }
    fn audit_step(
        &self,
        _: AuditAsked,
        _: Rows,
    ) -> BoxFuture<'_, Result<Step<AuditLine, i64>, DbError>> {
        async { Err(away()) }.boxed()
    }
    fn audit_tail(
        &self,
        _: String,
        _: i64,
        _: u32,
    ) -> BoxFuture<'_, Result<Vec<AuditLine>, DbError>> {
        async { Err(away()) }.boxed()
    }
    fn run_step(
        &self,
        _: PartitionRuns,
        _: Rows,
    ) -> BoxFuture<'_, Result<Step<CronRun, i64>, DbError>> {
        async { Err(away()) }.boxed()
    }
}

impl Reader for NoReader {
    fn any_notice<'a>(
        &'a self,
        _: &'a str,
        _: &'a crate::store::warnings::NoticeBreadth,
    ) -> BoxFuture<'a, Result<bool, DbError>> {
        async { Ok(false) }.boxed()
    }
    fn queue_lags(&self, queues: Vec<(String, u64)>) -> BoxFuture<'_, Result<Vec<u64>, DbError>> {
        async move { Ok(vec![0; queues.len()]) }.boxed()
    }
    fn oldest_due(&self, queues: Vec<String>) -> BoxFuture<'_, Result<Vec<Option<i64>>, DbError>> {
        async move { Ok(vec![None; queues.len()]) }.boxed()
    }
    fn due_queues(&self, _: Vec<String>) -> BoxFuture<'_, Result<Vec<String>, DbError>> {
        async { Ok(Vec::new()) }.boxed()
    }
    fn waiting_queues(&self) -> BoxFuture<'_, Result<Vec<String>, DbError>> {
        async { Ok(Vec::new()) }.boxed()
    }
    fn delay_counts(&self) -> BoxFuture<'_, Result<DelayCounts, DbError>> {
        async { Ok(DelayCounts::default()) }.boxed()
    }
    fn foreign_running(&self) -> BoxFuture<'_, Result<u64, DbError>> {
        async { Ok(0) }.boxed()
    }
    fn late_retries(&self, _: i64) -> BoxFuture<'_, Result<Vec<i64>, DbError>> {
        async { Ok(Vec::new()) }.boxed()
    }
    fn task_names(&self, _: TaskStatus, _: u32) -> BoxFuture<'_, Result<Vec<TaskName>, DbError>> {
        async { Ok(Vec::new()) }.boxed()
    }
    fn task_rows(&self, _: Vec<i64>) -> BoxFuture<'_, Result<Vec<TaskRow>, DbError>> {
        async { Ok(Vec::new()) }.boxed()
    }
    fn task_command(&self, _: i64) -> BoxFuture<'_, Result<Option<String>, DbError>> {
        async { Ok(None) }.boxed()
    }
    fn dead_letters(
        &self,
        _: DeadLetterFilter,
        _: u32,
    ) -> BoxFuture<'_, Result<Vec<DeadLetter>, DbError>> {
        async { Ok(Vec::new()) }.boxed()
    }
    fn dead_letter_heads(
        &self,
        _: DeadLetterFilter,
        _: i64,
        _: u32,
    ) -> BoxFuture<'_, Result<Vec<DeadLetterHead>, DbError>> {
        async { Ok(Vec::new()) }.boxed()
    }
    fn dead_letter_scan(&self, _: Side, _: u32) -> BoxFuture<'_, Result<DeadLetterScan, DbError>> {
        async { Err(away()) }.boxed()
    }
    fn deaths<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Vec<OutsideDeath>, DbError>> {
        async { Ok(Vec::new()) }.boxed()
    }
    fn orphaned_runs<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<OpenRun>, DbError>> {
        async { Ok(Vec::new()) }.boxed()
    }
    fn open_runs<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<OpenRun>, DbError>> {
        async { Ok(Vec::new()) }.boxed()
    }
    fn ended_runs<'a>(
        &'a self,
        _: &'a str,
        _: Vec<String>,
    ) -> BoxFuture<'a, Result<Vec<EntryRuns>, DbError>> {
        async { Ok(Vec::new()) }.boxed()
    }
    fn pauses<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<PauseRow>, DbError>> {
        async { Ok(Vec::new()) }.boxed()
    }
    fn open_orders<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<OpenOrder>, DbError>> {
        async { Ok(Vec::new()) }.boxed()
    }
    fn run_orders(&self, _: Vec<String>) -> BoxFuture<'_, Result<Vec<RunOrder>, DbError>> {
        async { Ok(Vec::new()) }.boxed()
    }
    fn unmade_runs<'a>(
        &'a self,
        _: &'a str,
        _: RunsAsked,
    ) -> BoxFuture<'a, Result<Vec<RunOrder>, DbError>> {
        async { Ok(Vec::new()) }.boxed()
    }
    fn cron_runs(&self, _: RunsAsked) -> BoxFuture<'_, Result<Vec<CronRun>, DbError>> {
        async { Ok(Vec::new()) }.boxed()
    }
    fn cron_run<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<CronRun>, DbError>> {
        async { Ok(None) }.boxed()
    }
    fn run_results(
        &self,
        _: Vec<String>,
    ) -> BoxFuture<'_, Result<BTreeMap<String, String>, DbError>> {
        async { Ok(BTreeMap::new()) }.boxed()
    }
    fn traces(&self, _: TracesAsked) -> BoxFuture<'_, Result<Traces, DbError>> {
        async { Ok(Traces::default()) }.boxed()
    }
    fn dead_letter_count(&self) -> BoxFuture<'_, Result<u64, DbError>> {
        async { Ok(0) }.boxed()
    }
    fn dead_letter_sources(&self) -> BoxFuture<'_, Result<Vec<DeadLettersOf>, DbError>> {
        async { Ok(Vec::new()) }.boxed()
    }
    fn alive_boots(&self) -> BoxFuture<'_, Result<Vec<AliveBoot>, DbError>> {
        async { Ok(Vec::new()) }.boxed()
    }
}
