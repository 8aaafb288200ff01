//! What a database must be able to do for us: the trait under which each one stands.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::{BoxFuture, LocalBoxFuture};

use super::browse::Browse;
use super::daemon_orders::{CronRun, OpenOrder, RunOrder, RunsAsked};
use super::error::DbError;
use super::rows::{
    AliveBoot, BootRow, DeadLetter, DeadLetterFilter, DeadLetterHead, DeadLetterScan, DelayCounts,
    EntryRuns, Heartbeat, Inspection, OpenRun, OutsideDeath, PauseRow, Side,
};
use super::task_orders::{TaskName, TaskRow, TaskStatus};
use super::warnings::NoticeBreadth;
use super::write::{Write, Written};
use crate::state::DeadLettersOf;
use crate::store::traces::{Traces, TracesAsked};

/// Opens connections to one database.
pub(crate) trait Store: Send + Sync {
    /// The address for people, without secrets.
    fn address(&self) -> String;
    /// Brings the tables up to date; several processes may do so at once.
    fn migrate(&self) -> Result<Vec<String>, DbError>;
    /// The statements that `migrate` would run on an empty database, for daemons without the right to alter.
    fn statements(&self) -> String;
    /// Looks at the database and changes nothing: one that is not there is not made.
    fn inspect(&self) -> Result<Inspection, DbError>;
    /// How many connections can write at once.
    fn writers(&self) -> Writers {
        Writers::One
    }
    /// A connection that writes. Opened on the thread that will use it.
    fn writer(&self) -> LocalBoxFuture<'static, Result<Box<dyn Writer>, DbError>>;
    /// Connections that read.
    fn reader(&self) -> Arc<dyn Reader>;
}

/// How many connections to a database can write at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writers {
    /// A second one waits until the first has committed.
    One,
    Many,
}

/// What became of a batch of writes.
pub(crate) struct Applied {
    /// In the order of the writes. None: not tried, and to be tried again.
    pub(crate) outcomes: Vec<Option<Outcome>>,
    /// Why some were not tried.
    pub(crate) away: Option<DbError>,
    /// Whether some of those may have been committed all the same. This writer finds out, if it is given exactly those
    /// again.
    pub(crate) is_unsure: bool,
}

/// What became of one write.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Committed, or refused for good.
    Answered(Result<Written, DbError>),
    /// Nothing is written: another transaction has locked what it needs, and may do so for long. The others need not
    /// wait.
    Held(DbError),
}

impl Applied {
    /// The outcomes of this number of writes, none of which was tried yet.
    pub(crate) fn none_of(writes: usize) -> Self {
        Self {
            outcomes: std::iter::repeat_with(|| None).take(writes).collect(),
            away: None,
            is_unsure: false,
        }
    }

    /// Every write has its answer.
    pub(crate) fn all(answers: Vec<Result<Written, DbError>>) -> Self {
        let answered = |answer| Some(Outcome::Answered(answer));
        Self {
            outcomes: answers.into_iter().map(answered).collect(),
            away: None,
            is_unsure: false,
        }
    }

    /// The writes at these places are committed.
    pub(crate) fn answer(&mut self, places: impl IntoIterator<Item = usize>, all: Vec<Written>) {
        for (at, written) in places.into_iter().zip(all) {
            self.outcomes[at] = Some(Outcome::Answered(Ok(written)));
        }
    }

    /// The writes at these places are refused for good.
    pub(crate) fn refuse(&mut self, places: Vec<usize>, cause: &DbError) {
        for at in places {
            self.outcomes[at] = Some(Outcome::Answered(Err(cause.clone())));
        }
    }

    /// The writes at these places wait for another transaction's locks.
    pub(crate) fn hold(&mut self, places: Vec<usize>, cause: &DbError) {
        for at in places {
            self.outcomes[at] = Some(Outcome::Held(cause.clone()));
        }
    }

    /// Those without an outcome are to be tried again.
    pub(crate) fn away(self, cause: DbError) -> Self {
        Self {
            away: Some(cause),
            ..self
        }
    }

    /// See `is_unsure`.
    pub(crate) fn unsure(self, cause: DbError) -> Self {
        Self {
            is_unsure: true,
            ..self.away(cause)
        }
    }

    /// The answers, where nothing was held or left.
    #[cfg(test)]
    pub(crate) fn answers(self) -> Vec<Result<Written, DbError>> {
        let answer = |outcome| match outcome {
            Some(Outcome::Answered(answer)) => answer,
            other => panic!("{other:?}"),
        };
        self.outcomes.into_iter().map(answer).collect()
    }

    /// No write has an outcome.
    #[cfg(test)]
    pub(crate) fn is_untried(&self) -> bool {
        self.outcomes.iter().all(Option::is_none)
    }
}

/// One connection that writes. Only DbActor has any.
pub(crate) trait Writer {
    /// Applies the writes in one transaction, or in several where one of them is refused, so that it fails alone.
    fn apply(&mut self, batch: Arc<[Write]>) -> LocalBoxFuture<'_, Applied>;
    /// Keeps the connection such that the next write finds it open.
    fn keep_alive(&mut self) -> LocalBoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
    /// Says that this boot lives, by the database's clock.
    fn heartbeat(&mut self, boot: &BootRow) -> LocalBoxFuture<'_, Result<Heartbeat, DbError>>;
}

/// Runs of one entry that a query reads, the newest first: those since the last query are fewer, unless it fires each
/// second.
pub(crate) const READ_RUNS: i64 = 60;

/// What may be asked without going through DbActor.
pub(crate) trait Reader: Browse {
    /// Unfinished messages of `table` queues, each counted up to the number beside it, in their order. One query for
    /// all of them, which reads no more rows than are counted.
    fn queue_lags(&self, queues: Vec<(String, u64)>) -> BoxFuture<'_, Result<Vec<u64>, DbError>>;
    /// When the message was due that waits for longest, in unix milliseconds, of each of these queues in their order;
    /// none where none waits.
    fn oldest_due(&self, queues: Vec<String>) -> BoxFuture<'_, Result<Vec<Option<i64>>, DbError>>;
    /// Those of the `table` queues that have a message which may be claimed now.
    fn due_queues(&self, queues: Vec<String>) -> BoxFuture<'_, Result<Vec<String>, DbError>>;
    /// The names under which unclaimed messages wait: one read of the index for each, and no more than `MOST_QUEUES`.
    fn waiting_queues(&self) -> BoxFuture<'_, Result<Vec<String>, DbError>>;
    /// How many tasks wait in the delay queue.
    fn delay_counts(&self) -> BoxFuture<'_, Result<DelayCounts, DbError>>;
    /// Delayed tasks in status 2 that no boot of ours owns: the Go program's.
    fn foreign_running(&self) -> BoxFuture<'_, Result<u64, DbError>>;
    /// The `exec_cmd` of a delayed task.
    fn task_command(&self, id: i64) -> BoxFuture<'_, Result<Option<String>, DbError>>;
    /// Delayed tasks of one status, in the order in which people want to see them. No more rows than `limit` are read.
    fn task_names(
        &self,
        status: TaskStatus,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<TaskName>, DbError>>;
    /// Those of the delayed tasks that there are, in no order.
    fn task_rows(&self, ids: Vec<i64>) -> BoxFuture<'_, Result<Vec<TaskRow>, DbError>>;
    /// At most `TRIM_ROWS` waiting tasks that have failed before, whose retry is due later than that, in unix seconds.
    fn late_retries(&self, after_s: i64) -> BoxFuture<'_, Result<Vec<i64>, DbError>>;
    /// The newest dead letters first.
    fn dead_letters(
        &self,
        filter: DeadLetterFilter,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<DeadLetter>, DbError>>;
    /// Dead letters with a higher id than that, the oldest first, without what may be large.
    fn dead_letter_heads(
        &self,
        filter: DeadLetterFilter,
        above: i64,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<DeadLetterHead>, DbError>>;
    /// The dead letters at one end of the table, in no order, and no more than that. The caller filters the answer: a
    /// condition would let the database take an index that reaches further.
    fn dead_letter_scan(
        &self,
        side: Side,
        dead_letters: u32,
    ) -> BoxFuture<'_, Result<DeadLetterScan, DbError>>;
    /// The crashes recorded for messages of one source outside the database, by their ids.
    fn deaths<'a>(
        &'a self,
        kind: &'a str,
        source: &'a str,
    ) -> BoxFuture<'a, Result<Vec<OutsideDeath>, DbError>>;
    /// Runs of the partition whose end is not known.
    fn open_runs<'a>(&'a self, partition: &'a str) -> BoxFuture<'a, Result<Vec<OpenRun>, DbError>>;
    /// Runs of other partitions whose end is not known, and whose daemon is dead.
    fn orphaned_runs<'a>(
        &'a self,
        partition: &'a str,
    ) -> BoxFuture<'a, Result<Vec<OpenRun>, DbError>>;
    /// The newest runs of each of these cron entries that have ended, by their scheduled seconds, the newest first: no
    /// more than `READ_RUNS` of each.
    fn ended_runs<'a>(
        &'a self,
        partition: &'a str,
        entries: Vec<String>,
    ) -> BoxFuture<'a, Result<Vec<EntryRuns>, DbError>>;
    /// Daemons of all partitions whose heartbeats have not stopped, the longest running first.
    fn alive_boots(&self) -> BoxFuture<'_, Result<Vec<AliveBoot>, DbError>>;
    /// Whether a claim of notices would find one.
    fn any_notice<'a>(
        &'a self,
        environment: &'a str,
        breadth: &'a NoticeBreadth,
    ) -> BoxFuture<'a, Result<bool, DbError>>;
    /// What is paused in the environment, and what was until a day ago.
    fn pauses<'a>(&'a self, environment: &'a str) -> BoxFuture<'a, Result<Vec<PauseRow>, DbError>>;
    /// Orders of the environment that have not ended, the oldest first; then LagChecks that some daemon has done, and
    /// that others may not have seen.
    fn open_orders<'a>(
        &'a self,
        environment: &'a str,
    ) -> BoxFuture<'a, Result<Vec<OpenOrder>, DbError>>;
    /// What was ordered about these runs, the oldest first.
    fn run_orders(&self, uks: Vec<String>) -> BoxFuture<'_, Result<Vec<RunOrder>, DbError>>;
    /// The newest orders of runs that no daemon has begun to carry out.
    fn unmade_runs<'a>(
        &'a self,
        environment: &'a str,
        asked: RunsAsked,
    ) -> BoxFuture<'a, Result<Vec<RunOrder>, DbError>>;
    /// Cron runs, the newest first.
    fn cron_runs(&self, asked: RunsAsked) -> BoxFuture<'_, Result<Vec<CronRun>, DbError>>;
    /// One cron run, of any partition.
    fn cron_run<'a>(&'a self, uk: &'a str) -> BoxFuture<'a, Result<Option<CronRun>, DbError>>;
    /// What `crontab_log` has as results of these runs, by their keys: it has rows of entries with `is_log` alone, and a
    /// run that has not ended has an empty result.
    fn run_results(
        &self,
        uks: Vec<String>,
    ) -> BoxFuture<'_, Result<BTreeMap<String, String>, DbError>>;
    /// What the tables know of one moment of a cron entry.
    fn traces(&self, asked: TracesAsked) -> BoxFuture<'_, Result<Traces, DbError>>;
    /// Dead letters, counted up to one more than `COUNT_CAP`.
    fn dead_letter_count(&self) -> BoxFuture<'_, Result<u64, DbError>>;
    /// Where dead letters came from, and how many from each source, as far as `DeadLettersOf` says.
    fn dead_letter_sources(&self) -> BoxFuture<'_, Result<Vec<DeadLettersOf>, DbError>>;
}
