//! What the consumers and the pool of one queue entry publish.
//!
//! What became of messages is counted once it is settled, many at once: what a stop, a panic or a broken connection keeps
//! from being settled is not counted as finished.

mod sizing;
mod tally;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use parking_lot::{Mutex, RwLock};
use serde::Serialize;

pub(crate) use self::sizing::LagSight;
pub(crate) use self::tally::{ConsumerTally, FailureCause, Tally};

use self::sizing::Sizing;
use self::tally::Tallies;
use super::cell::Counter;
use super::recent::{Recent, cut};
use super::running::{RunningJobs, Runs};
use super::view::{FailureView, QueueCounts, QueueView, ResizeView};
use crate::clock::now_ms;

/// Failures and changes of size that are kept.
const MOST_FAILURES: usize = 32;
const MOST_RESIZES: usize = 50;

/// The configuration of a queue entry.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct QueueFacts {
    pub(crate) name: String,
    /// `kafka`, `redis` or `table`.
    pub(crate) kind: &'static str,
    /// The topic, list or table.
    pub(crate) source: String,
    pub(crate) exec_cmd: String,
    pub(crate) progress: u32,
    pub(crate) max_progress: Option<u32>,
    pub(crate) lag_limit: u64,
    pub(crate) rate_limit: Option<String>,
}

/// How many messages were settled, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Settlements {
    pub(crate) completed: usize,
    pub(crate) retried: usize,
    pub(crate) dead_lettered: usize,
    pub(crate) released: usize,
}

impl Settlements {
    fn total(self) -> usize {
        self.completed + self.retried + self.dead_lettered + self.released
    }
}

impl std::ops::Sub for Settlements {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            completed: self.completed - other.completed,
            retried: self.retried - other.retried,
            dead_lettered: self.dead_lettered - other.dead_lettered,
            released: self.released - other.released,
        }
    }
}

/// See the module's header.
#[derive(Debug)]
pub(crate) struct QueueState {
    /// The `name` of the entry: the one fact that never changes.
    pub(crate) name: String,
    facts: RwLock<Arc<QueueFacts>>,
    flow: Flow,
    tallies: Mutex<Tallies>,
    sizing: Mutex<Sizing>,
    resizes: Recent<ResizeView>,
    failures: Recent<FailureView>,
    running: RunningJobs,
    /// LagChecks that could not read the lag.
    unread_lags: AtomicU64,
    /// Why there are no more consumers although the lag asks for them.
    held_back: Mutex<Option<String>>,
}

/// What all consumers write, once for each fetch and for each portion that is settled.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Flow {
    /// Fetched and not settled.
    in_flight: AtomicI64,
    completed: Counter,
    retried: Counter,
    dead_lettered: Counter,
    released: Counter,
}

impl QueueState {
    pub(crate) fn new(facts: QueueFacts) -> Arc<Self> {
        Arc::new(Self {
            name: facts.name.clone(),
            facts: RwLock::new(Arc::new(facts)),
            flow: Flow::default(),
            tallies: Mutex::default(),
            sizing: Mutex::default(),
            resizes: Recent::new(MOST_RESIZES),
            failures: Recent::new(MOST_FAILURES),
            running: RunningJobs::default(),
            unread_lags: AtomicU64::new(0),
            held_back: Mutex::default(),
        })
    }

    pub(crate) fn facts(&self) -> Arc<QueueFacts> {
        Arc::clone(&self.facts.read())
    }

    /// The entry has changed by a reload; its name is the same.
    pub(crate) fn set_facts(&self, facts: QueueFacts) {
        *self.facts.write() = Arc::new(facts);
    }

    /// A consumer begins; its counts stay when it ends.
    pub(crate) fn join(self: &Arc<Self>) -> ConsumerTally {
        ConsumerTally {
            tally: self.tallies.lock().join(),
            of: Arc::clone(self),
        }
    }

    pub(crate) fn fetched(&self, n: usize) {
        self.flow.in_flight.fetch_add(signed(n), Relaxed);
    }

    /// Their source has taken what became of them: it is durable, or another owner's business.
    pub(crate) fn settled(&self, settled: Settlements) {
        let flow = &self.flow;
        flow.in_flight.fetch_sub(signed(settled.total()), Relaxed);
        for (counter, n) in [
            (&flow.completed, settled.completed),
            (&flow.retried, settled.retried),
            (&flow.dead_lettered, settled.dead_lettered),
            (&flow.released, settled.released),
        ] {
            if n > 0 {
                counter.add(u64::try_from(n).unwrap_or(u64::MAX));
            }
        }
    }

    pub(crate) fn failed(&self, id: &str, attempt: u32, cause: FailureCause, error: &str) {
        self.failures.push(FailureView {
            at_ms: now_ms(),
            id: cut(id),
            attempt,
            cause,
            error: cut(error),
        });
    }

    /// Shown as running until the guard is dropped.
    pub(crate) fn runs(&self, id: &str, since_ms: i64) -> Runs<'_> {
        self.running.begin(id, since_ms, None)
    }

    /// What a LagCheck found; `None` where the lag could not be read.
    pub(crate) fn lag_checked(&self, lag: Option<u64>, is_capped: bool) {
        let now = now_ms();
        let mut sizing = self.sizing.lock();
        let Some(found) = lag else {
            sizing.unread_since_ms.get_or_insert(now);
            self.unread_lags.fetch_add(1, Relaxed);
            return;
        };
        sizing.lag_checked(found, is_capped, self.facts().lag_limit, now);
    }

    /// When the message was due that waited for longest at the last LagCheck; none where none waited.
    pub(crate) fn oldest_was_due(&self, due_ms: Option<i64>) {
        self.sizing.lock().oldest_due_ms = due_ms;
    }

    pub(crate) fn set_paused(&self, is_paused: bool) {
        let mut sizing = self.sizing.lock();
        sizing.is_paused = is_paused;
        sizing.judge(self.facts().lag_limit, now_ms());
    }

    /// How many consumers there are to be, how many there are, and the most that there may be now.
    pub(crate) fn sized(&self, wanted: u32, present: usize, ceiling: u32) {
        let mut sizing = self.sizing.lock();
        sizing.wanted = wanted;
        sizing.present = u32::try_from(present).unwrap_or(u32::MAX);
        sizing.ceiling = ceiling;
        sizing.judge(self.facts().lag_limit, now_ms());
    }

    /// As the last LagCheck found it.
    pub(crate) fn set_held_back(&self, why: Option<String>) {
        *self.held_back.lock() = why;
    }

    pub(crate) fn resized(&self, from: u32, to: u32, reason: &str) {
        self.resizes.push(ResizeView {
            at_ms: now_ms(),
            from,
            to,
            reason: cut(reason),
        });
    }

    /// Whether it keeps up.
    pub(crate) fn lag_sight(&self) -> LagSight {
        let sizing = *self.sizing.lock();
        sizing.sight(&self.name, self.facts().lag_limit)
    }

    /// The counts of all consumers, those that ended included.
    pub(crate) fn counts(&self) -> QueueCounts {
        let mut counts = self.tallies.lock().counts();
        let flow = &self.flow;
        counts.completed = flow.completed.get();
        counts.retried = flow.retried.get();
        counts.dead_lettered = flow.dead_lettered.get();
        counts.released = flow.released.get();
        counts
    }

    /// How long ago the oldest message came to the queue, as far as is known: the oldest that waited at the last LagCheck, or
    /// the oldest that is handled now. In milliseconds; none where the source knows of none when it came.
    fn oldest_age_ms(&self, sizing: &Sizing) -> Option<i64> {
        if self.facts().kind == "redis" {
            return None;
        }
        let oldest_ms = self.tallies.lock().oldest_arrived_ms();
        let handled_ms = oldest_ms.map_or(0, |ms| now_ms() - ms);
        Some(sizing.waited_ms().max(handled_ms).max(0))
    }

    pub(crate) fn view(&self) -> QueueView {
        QueueView {
            running: self.running.list(),
            failures: self.failures.newest(),
            resizes: self.resizes.newest(),
            ..self.figures()
        }
    }

    /// As [`QueueState::view`], with empty lists: a scrape of a thousand queues need not copy the texts of their failures.
    pub(crate) fn figures(&self) -> QueueView {
        let sizing = *self.sizing.lock();
        let (busy, oldest_ms) = self.tallies.lock().busy();
        QueueView {
            facts: QueueFacts::clone(&self.facts()),
            lag: sizing.lag.filter(|_| sizing.unread_since_ms.is_none()),
            lag_is_capped: sizing.lag_is_capped,
            last_lag: sizing.lag,
            lag_read_ms: sizing.lag_read_ms,
            lag_unread_since_ms: sizing.unread_since_ms,
            oldest_age_ms: self.oldest_age_ms(&sizing),
            unread_lags: self.unread_lags.load(Relaxed),
            behind_since_ms: sizing.behind_since_ms,
            held_back: self.held_back.lock().clone(),
            consumers_wanted: sizing.wanted,
            consumers_present: sizing.present,
            consumers_ceiling: sizing.ceiling,
            consumers_busy: busy,
            busy_since_ms: oldest_ms,
            in_flight: u64::try_from(self.flow.in_flight.load(Relaxed)).unwrap_or(0),
            counts: self.counts(),
            running_count: self.running.count(),
            running: Vec::new(),
            failures: Vec::new(),
            resizes: Vec::new(),
        }
    }
}

fn signed(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
