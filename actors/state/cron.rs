//! What one cron entry publishes.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;

use super::cell::{Counter, Histogram, Scale};
use super::queue::FailureCause;
use super::recent::{Recent, cut};
use super::running::RunningView;
use super::view::{CronView, FailureView, FireCounts};
use crate::clock::now_ms;

/// Failures that are kept.
const MOST_FAILURES: usize = 16;
/// Runs that are listed; more of one entry at once are counted.
const MOST_RUNNING: usize = 100;
/// No time.
const NEVER: i64 = 0;

/// What the configuration says of a cron entry.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct CronFacts {
    pub(crate) name: String,
    /// Tells entries of one name apart.
    pub(crate) key: String,
    pub(crate) expression: String,
    pub(crate) timezone: String,
    pub(crate) exec_cmd: String,
}

/// See the module's header.
#[derive(Debug)]
pub(crate) struct CronState {
    pub(crate) facts: CronFacts,
    success: Counter,
    failed: Counter,
    timeout: Counter,
    killed: Counter,
    lost: Counter,
    skipped: Counter,
    missed: Counter,
    lateness: Histogram,
    duration: Histogram,
    next_ms: AtomicI64,
    last_fire_ms: AtomicI64,
    last_success_ms: AtomicI64,
    running: Mutex<Vec<RunningView>>,
    failures: Recent<FailureView>,
}

impl CronState {
    pub(crate) fn new(facts: CronFacts) -> Arc<Self> {
        Arc::new(Self {
            facts,
            success: Counter::default(),
            failed: Counter::default(),
            timeout: Counter::default(),
            killed: Counter::default(),
            lost: Counter::default(),
            skipped: Counter::default(),
            missed: Counter::default(),
            lateness: Histogram::new(Scale::Fast),
            duration: Histogram::new(Scale::Slow),
            next_ms: AtomicI64::new(NEVER),
            last_fire_ms: AtomicI64::new(NEVER),
            last_success_ms: AtomicI64::new(NEVER),
            running: Mutex::default(),
            failures: Recent::new(MOST_FAILURES),
        })
    }

    /// When it is due next; `None`: never again.
    pub(crate) fn planned(&self, due_ms: Option<i64>) {
        self.next_ms.store(due_ms.unwrap_or(NEVER), Relaxed);
    }

    /// Fires that were not made in time and are not made up for.
    pub(crate) fn missed(&self, n: usize) {
        self.missed.add(u64::try_from(n).unwrap_or(u64::MAX));
    }

    /// Its process has been started.
    pub(crate) fn started(&self, run_id: &str, scheduled_ms: i64, pid: i32) {
        let now = now_ms();
        self.last_fire_ms.fetch_max(scheduled_ms, Relaxed);
        self.lateness.note(span(scheduled_ms, now));
        self.attached(run_id, now, pid);
    }

    /// A run of an earlier daemon, or of before a restart, that still runs.
    pub(crate) fn attached(&self, run_id: &str, since_ms: i64, pid: i32) {
        let mut running = self.running.lock();
        if running.len() < MOST_RUNNING && running.iter().all(|run| run.id != run_id) {
            running.push(RunningView {
                id: run_id.to_owned(),
                since_ms,
                pid: Some(pid),
            });
        }
    }

    /// It runs no more, and another process wrote its end.
    pub(crate) fn left(&self, run_id: &str) -> Option<i64> {
        let mut running = self.running.lock();
        let at = running.iter().position(|run| run.id == run_id)?;
        Some(running.swap_remove(at).since_ms)
    }

    /// A run has ended, or was not started; `status` as in `crontab_log`.
    pub(crate) fn ended(&self, run_id: &str, status: &str, result: &str) {
        let now = now_ms();
        if let Some(since) = self.left(run_id) {
            self.duration.note(span(since, now));
        }
        let counter = match status {
            "success" => {
                self.last_success_ms.store(now, Relaxed);
                &self.success
            }
            "timeout" => &self.timeout,
            "killed" => &self.killed,
            "lost" => &self.lost,
            "skipped" => &self.skipped,
            _ => &self.failed,
        };
        counter.add(1);
        if !["success", "skipped"].contains(&status) {
            self.failures.push(FailureView {
                at_ms: now,
                id: run_id.to_owned(),
                attempt: 1,
                cause: match status {
                    "timeout" => FailureCause::Timeout,
                    _ => FailureCause::Error,
                },
                error: cut(&format!("{status}: {result}")),
            });
        }
    }

    pub(crate) fn view(&self) -> CronView {
        let time = |ms: &AtomicI64| Some(ms.load(Relaxed)).filter(|ms| *ms != NEVER);
        CronView {
            facts: self.facts.clone(),
            fires: FireCounts {
                success: self.success.get(),
                failed: self.failed.get(),
                timeout: self.timeout.get(),
                killed: self.killed.get(),
                lost: self.lost.get(),
                skipped: self.skipped.get(),
                missed: self.missed.get(),
            },
            lateness: self.lateness.read(),
            duration: self.duration.read(),
            next_fire_ms: time(&self.next_ms),
            last_fire_ms: time(&self.last_fire_ms),
            last_success_ms: time(&self.last_success_ms),
            running: self.running.lock().clone(),
            failures: self.failures.newest(),
        }
    }
}

fn span(from_ms: i64, to_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(to_ms - from_ms).unwrap_or(0))
}
