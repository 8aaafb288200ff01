//! What one cron entry publishes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use super::cell::{Counter, Histogram, Scale};
use super::durations::Durations;
use super::printed::PrintedParts;
use super::queue::FailureCause;
use super::recent::{Recent, cut};
use super::running::RunningView;
use super::view::{CronView, FailureView, FireCounts};
use crate::clock::now_ms;

/// A run whose end is in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EndedRun {
    pub(crate) uk: String,
    /// The daemon that made it.
    pub(crate) owner: String,
    pub(crate) status: String,
    /// When its row was made, unix milliseconds.
    pub(crate) started_ms: i64,
    /// Unix milliseconds of the daemon that saw the end.
    pub(crate) ended_ms: i64,
}

/// Failures that are kept.
const MOST_FAILURES: usize = 16;
/// Runs that are listed, those that have run for longest; more of one entry at once are counted. All are known: each is a
/// process of this machine, so there are no more than that has room for.
const MOST_LISTED: usize = 100;
/// No time.
const NEVER: i64 = 0;

/// The configuration of a cron entry.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct CronFacts {
    pub(crate) name: String,
    /// Distinguishes entries of one name.
    pub(crate) key: String,
    pub(crate) expression: String,
    pub(crate) timezone: String,
    pub(crate) exec_cmd: String,
    /// `overlap: replace`: its runs are killed to make room.
    #[serde(skip)]
    pub(crate) replaces: bool,
}

/// The process of a run.
#[derive(Debug, Clone, Copy)]
struct Process {
    /// Unix milliseconds.
    since_ms: i64,
    pid: i32,
}

/// Runs of an entry that ended badly, since the last one that ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadEnds {
    pub(crate) count: u64,
    /// The first and the last of them, unix milliseconds.
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    /// Of the last one: its status and its result.
    pub(crate) error: String,
    /// The last one.
    pub(crate) last_run: String,
    /// The last one's number among all of them since the daemon's start.
    pub(crate) number: u64,
    /// They began under an earlier daemon.
    pub(crate) are_inherited: bool,
}

/// Fires of an entry that were missed since the daemon's start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Misses {
    pub(crate) count: u64,
    /// When the last ones were counted, unix milliseconds; 0: none.
    pub(crate) last_ms: i64,
}

/// What alerts are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CronSight {
    pub(crate) name: String,
    pub(crate) key: String,
    pub(crate) bad: Option<BadEnds>,
    pub(crate) misses: Misses,
}

/// Runs that ended badly.
#[derive(Debug, Default)]
struct Bad {
    /// Since the daemon's start, however the later ones ended.
    count: u64,
    /// Those that are not mended.
    now: Option<BadEnds>,
}

/// See the module's header.
#[derive(Debug)]
pub(crate) struct CronState {
    /// What the entry is known by; it never changes.
    pub(crate) key: String,
    facts: RwLock<Arc<CronFacts>>,
    success: Counter,
    failed: Counter,
    timeout: Counter,
    killed: Counter,
    lost: Counter,
    skipped: Counter,
    misses: Mutex<Misses>,
    bad: Mutex<Bad>,
    lateness: Histogram,
    duration: Histogram,
    next_ms: AtomicI64,
    last_fire_ms: AtomicI64,
    last_success_ms: AtomicI64,
    running: Mutex<HashMap<String, Process>>,
    durations: Mutex<Durations>,
    failures: Recent<FailureView>,
    pub(crate) printed: PrintedParts,
}

impl CronState {
    pub(crate) fn new(facts: CronFacts) -> Arc<Self> {
        Arc::new(Self {
            key: facts.key.clone(),
            facts: RwLock::new(Arc::new(facts)),
            success: Counter::default(),
            failed: Counter::default(),
            timeout: Counter::default(),
            killed: Counter::default(),
            lost: Counter::default(),
            skipped: Counter::default(),
            misses: Mutex::default(),
            bad: Mutex::default(),
            lateness: Histogram::new(Scale::Fast),
            duration: Histogram::new(Scale::Slow),
            next_ms: AtomicI64::new(NEVER),
            last_fire_ms: AtomicI64::new(NEVER),
            last_success_ms: AtomicI64::new(NEVER),
            running: Mutex::default(),
            durations: Mutex::default(),
            failures: Recent::new(MOST_FAILURES),
            printed: PrintedParts::default(),
        })
    }

    pub(crate) fn facts(&self) -> Arc<CronFacts> {
        Arc::clone(&self.facts.read())
    }

    /// The entry has changed by a reload; its key is the same.
    pub(crate) fn set_facts(&self, facts: CronFacts) {
        *self.facts.write() = Arc::new(facts);
    }

    /// When it is due next; `None`: never again.
    pub(crate) fn planned(&self, due_ms: Option<i64>) {
        self.next_ms.store(due_ms.unwrap_or(NEVER), Relaxed);
    }

    /// A fire is not made, as its entry is paused.
    pub(crate) fn paused(&self) {
        self.skipped.add(1);
    }

    /// Fires that were not made in time and are not made up for.
    pub(crate) fn missed(&self, n: usize) {
        if n == 0 {
            return;
        }
        let mut misses = self.misses.lock();
        misses.count = misses
            .count
            .saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
        misses.last_ms = now_ms();
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
        let process = Process { since_ms, pid };
        let mut running = self.running.lock();
        running.entry(run_id.to_owned()).or_insert(process);
    }

    /// It runs no more, and another process wrote its end.
    pub(crate) fn left(&self, run_id: &str) -> Option<i64> {
        let process = self.running.lock().remove(run_id);
        process.map(|process| process.since_ms)
    }

    /// A run has ended as `overlap` asks for, or was not started for that: nothing went wrong.
    pub(crate) fn ended_as_configured(&self, run_id: &str, status: &str) {
        self.count_end(run_id, status, now_ms());
    }

    /// A run has ended, or was not started; `status` as in `crontab_log`.
    pub(crate) fn ended(&self, run_id: &str, status: &str, result: &str) {
        let now = now_ms();
        self.count_end(run_id, status, now);
        if status == "success" {
            self.bad.lock().now = None;
        }
        if !["success", "skipped"].contains(&status) {
            let error = cut(&format!("{status}: {result}"));
            self.went_bad(run_id, now, &error);
            self.failures.push(FailureView {
                at_ms: now,
                id: run_id.to_owned(),
                attempt: 1,
                cause: match status {
                    "timeout" => FailureCause::Timeout,
                    _ => FailureCause::Error,
                },
                error,
            });
        }
    }

    fn count_end(&self, run_id: &str, status: &str, now: i64) {
        if let Some(since) = self.left(run_id) {
            self.duration.note(span(since, now));
            let took_ms = now.saturating_sub(since).max(0);
            self.durations.lock().ended(run_id, status, took_ms);
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
    }

    /// Those that have run for longest.
    fn list(&self) -> Vec<RunningView> {
        let running = self.running.lock();
        let mut all: Vec<(&String, &Process)> = running.iter().collect();
        all.sort_unstable_by_key(|(id, process)| (process.since_ms, *id));
        let listed = all.into_iter().take(MOST_LISTED);
        let shown = |(id, process): (&String, &Process)| RunningView {
            id: id.clone(),
            since_ms: process.since_ms,
            pid: Some(process.pid),
        };
        listed.map(shown).collect()
    }

    fn went_bad(&self, run_id: &str, now: i64, error: &str) {
        let mut bad = self.bad.lock();
        bad.count += 1;
        let number = bad.count;
        let bad = bad.now.get_or_insert_with(|| BadEnds {
            count: 0,
            first_ms: now,
            last_ms: now,
            error: String::new(),
            last_run: String::new(),
            number,
            are_inherited: false,
        });
        bad.count += 1;
        bad.last_ms = now;
        bad.number = number;
        error.clone_into(&mut bad.error);
        run_id.clone_into(&mut bad.last_run);
    }

    /// Whether a run went well since the last bad one, in whichever daemon: then that is mended. `runs` as of the database,
    /// the newest first.
    ///
    /// **No two clocks are compared.** The order is that of the scheduled seconds in the database. Where the bad run is
    /// not among them, all of them are newer: its row is older than the oldest that is read, or was deleted for its
    /// age.
    pub(crate) fn compare(&self, runs: &[EndedRun]) {
        let mut bad = self.bad.lock();
        let Some(last) = &bad.now else {
            return;
        };
        let mut newer = runs.iter().take_while(|run| run.uk != last.last_run);
        if let Some(good) = newer.find(|run| run.status == "success") {
            self.last_success_ms.fetch_max(good.ended_ms, Relaxed);
            bad.now = None;
        }
    }

    /// Whether the durations of earlier daemons' runs are known.
    pub(crate) fn knows_durations(&self) -> bool {
        self.durations.lock().is_loaded()
    }

    /// How long earlier runs took, as the database knows, the newest first.
    pub(crate) fn load_durations(&self, runs: &[EndedRun]) {
        self.durations.lock().load(runs);
    }

    /// What earlier daemons left: bad runs that no good one mended. `runs` as of the database, the newest first; those of this
    /// daemon do not count, so that it does not matter how late the database is asked.
    pub(crate) fn inherit(&self, runs: &[EndedRun], owner: &str) {
        let mut here = self.bad.lock();
        // A run whose end this daemon has seen is counted already, whichever daemon started it.
        let seen = here.now.as_ref().map(|bad| bad.last_run.clone());
        let earlier = runs.iter().filter(|run| run.owner != owner);
        let bad: Vec<&EndedRun> = earlier
            .filter(|run| Some(&run.uk) != seen.as_ref())
            .take_while(|run| run.status != "success")
            .filter(|run| self.is_bad(&run.status))
            .collect();
        let (Some(last), Some(first)) = (bad.first(), bad.last()) else {
            return;
        };
        if let Some(here) = &mut here.now {
            here.first_ms = here.first_ms.min(first.ended_ms);
            here.are_inherited = true;
            return;
        }
        let count = u64::try_from(bad.len()).unwrap_or(u64::MAX);
        here.count = here.count.saturating_add(count);
        here.now = Some(BadEnds {
            count,
            first_ms: first.ended_ms,
            last_ms: last.ended_ms,
            error: format!("{}, before this daemon started", last.status),
            last_run: last.uk.clone(),
            number: here.count,
            are_inherited: true,
        });
    }

    /// What a row alone shows: in it a run that was killed to make room is like other kills.
    fn is_bad(&self, status: &str) -> bool {
        match status {
            "failed" | "timeout" | "lost" => true,
            "killed" => !self.facts().replaces,
            _ => false,
        }
    }

    pub(crate) fn sight(&self) -> CronSight {
        CronSight {
            name: self.facts().name.clone(),
            key: self.key.clone(),
            bad: self.bad.lock().now.clone(),
            misses: *self.misses.lock(),
        }
    }

    pub(crate) fn view(&self) -> CronView {
        CronView {
            running: self.list(),
            failures: self.failures.newest(),
            ..self.figures()
        }
    }

    /// As [`CronState::view`], with empty lists.
    pub(crate) fn figures(&self) -> CronView {
        let time = |ms: &AtomicI64| Some(ms.load(Relaxed)).filter(|ms| *ms != NEVER);
        let (running_count, oldest_ms) = {
            let running = self.running.lock();
            let oldest = running.values().map(|process| process.since_ms).min();
            (running.len(), oldest)
        };
        let running_ms = oldest_ms.map(|since_ms| now_ms().saturating_sub(since_ms));
        let (usual, last, slower) = {
            let durations = self.durations.lock();
            let slower = durations.slower(running_ms);
            (durations.usual_ms(), durations.last_ms(), slower)
        };
        CronView {
            facts: CronFacts::clone(&self.facts()),
            fires: FireCounts {
                success: self.success.get(),
                failed: self.failed.get(),
                timeout: self.timeout.get(),
                killed: self.killed.get(),
                lost: self.lost.get(),
                skipped: self.skipped.get(),
                missed: self.misses.lock().count,
            },
            lateness: self.lateness.read(),
            duration: self.duration.read(),
            next_fire_ms: time(&self.next_ms),
            last_fire_ms: time(&self.last_fire_ms),
            last_success_ms: time(&self.last_success_ms),
            usual_seconds: usual.map(seconds),
            last_seconds: last.map(seconds),
            slower_than_usual: slower,
            running_count,
            running: Vec::new(),
            failures: Vec::new(),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds of a run are far below 2^52"
)]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

fn span(from_ms: i64, to_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(to_ms.saturating_sub(from_ms)).unwrap_or(0))
}
