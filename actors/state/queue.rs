//! What the consumers and the pool of one queue entry publish.
//!
//! Each consumer has a tally that only it writes, padded to cache lines of its own: counting a message is a load and a
//! store. Readers add the tallies up. The tally of a consumer that ends is added to those of all that ended before.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;

use super::cell::{Counter, Distribution, Histogram, Scale};
use super::recent::{Recent, cut};
use super::running::{RunningJobs, Runs};
use super::view::{FailureView, QueueCounts, QueueView, ResizeView};
use crate::clock::now_ms;

/// Failures and changes of size that are kept.
const MOST_FAILURES: usize = 32;
const MOST_RESIZES: usize = 50;

/// What the configuration says of a queue entry.
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
}

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailureCause {
    /// The handler returned an error.
    #[default]
    Error,
    /// It ran longer than its `timeout`.
    Timeout,
    Panic,
}

/// Counts of one consumer. It alone writes them.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Tally {
    pub(crate) completed: Counter,
    pub(crate) retried: Counter,
    pub(crate) dead_lettered: Counter,
    pub(crate) released: Counter,
    errors: Counter,
    timeouts: Counter,
    panics: Counter,
    /// Unix milliseconds; 0 while the consumer has no message.
    busy_since_ms: AtomicI64,
    handler: Histogram,
    waited: Histogram,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            completed: Counter::default(),
            retried: Counter::default(),
            dead_lettered: Counter::default(),
            released: Counter::default(),
            errors: Counter::default(),
            timeouts: Counter::default(),
            panics: Counter::default(),
            busy_since_ms: AtomicI64::new(0),
            handler: Histogram::new(Scale::Fast),
            waited: Histogram::new(Scale::Slow),
        }
    }
}

impl Tally {
    pub(crate) fn failed(&self, cause: FailureCause) {
        let counter = match cause {
            FailureCause::Error => &self.errors,
            FailureCause::Timeout => &self.timeouts,
            FailureCause::Panic => &self.panics,
        };
        counter.add_alone(1);
    }

    /// `n` calls of the handler took `took` together.
    pub(crate) fn handled(&self, took: Duration, n: u64) {
        self.handler.note_alone(took, n);
    }

    /// `n` messages waited for about `waited` each, from their arrival to their start.
    pub(crate) fn waited(&self, waited: Duration, n: u64) {
        let all = waited.saturating_mul(u32::try_from(n).unwrap_or(u32::MAX));
        self.waited.note_alone(all, n);
    }

    pub(crate) fn busy(&self, since_ms: i64) {
        self.busy_since_ms.store(since_ms, Relaxed);
    }

    pub(crate) fn idle(&self) {
        self.busy(0);
    }

    fn read(&self) -> QueueCounts {
        QueueCounts {
            completed: self.completed.get(),
            retried: self.retried.get(),
            dead_lettered: self.dead_lettered.get(),
            released: self.released.get(),
            errors: self.errors.get(),
            timeouts: self.timeouts.get(),
            panics: self.panics.get(),
            handler: self.handler.read(),
            waited: self.waited.read(),
        }
    }
}

/// See the module's header.
#[derive(Debug)]
pub(crate) struct QueueState {
    pub(crate) facts: QueueFacts,
    /// Fetched and not yet durably settled.
    in_flight: Padded,
    /// Messages that were released without a word of their consumer: it stopped, or panicked.
    released: Counter,
    tallies: Mutex<Tallies>,
    sizing: Mutex<Sizing>,
    resizes: Recent<ResizeView>,
    failures: Recent<FailureView>,
    running: RunningJobs,
    /// LagChecks that could not read the lag.
    unread_lags: AtomicU64,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded(AtomicI64);

#[derive(Debug)]
struct Tallies {
    alive: Vec<Arc<Tally>>,
    gone: QueueCounts,
}

/// What PoolActor last found.
#[derive(Debug, Clone, Copy, Default)]
struct Sizing {
    lag: Option<u64>,
    lag_is_capped: bool,
    lag_read_ms: Option<i64>,
    wanted: u32,
    present: u32,
    /// The most consumers that this pool may have now.
    ceiling: u32,
    /// Since when the lag has been above the limit with the pool at its ceiling, unix milliseconds.
    behind_since_ms: Option<i64>,
}

impl Sizing {
    fn judge(&mut self, lag_limit: u64, now: i64) {
        let is_behind = self.lag.is_some_and(|lag| lag > lag_limit) && self.wanted >= self.ceiling;
        let was = self.behind_since_ms;
        self.behind_since_ms = is_behind.then(|| was.unwrap_or(now));
    }
}

impl QueueState {
    pub(crate) fn new(facts: QueueFacts) -> Arc<Self> {
        Arc::new(Self {
            facts,
            in_flight: Padded::default(),
            released: Counter::default(),
            tallies: Mutex::new(Tallies {
                alive: Vec::new(),
                gone: QueueCounts::default(),
            }),
            sizing: Mutex::default(),
            resizes: Recent::new(MOST_RESIZES),
            failures: Recent::new(MOST_FAILURES),
            running: RunningJobs::default(),
            unread_lags: AtomicU64::new(0),
        })
    }

    /// A consumer begins; its counts stay when it ends.
    pub(crate) fn join(self: &Arc<Self>) -> ConsumerTally {
        let tally = Arc::new(Tally::default());
        self.tallies.lock().alive.push(Arc::clone(&tally));
        ConsumerTally {
            tally,
            of: Arc::clone(self),
        }
    }

    pub(crate) fn fetched(&self, n: usize) {
        self.in_flight.0.fetch_add(signed(n), Relaxed);
    }

    /// Their ends are durable, or somebody else's business.
    pub(crate) fn settled(&self, n: usize) {
        self.in_flight.0.fetch_sub(signed(n), Relaxed);
    }

    /// Released when their consumer stopped or panicked.
    pub(crate) fn dropped(&self, n: usize) {
        self.released.add(u64::try_from(n).unwrap_or(u64::MAX));
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
    pub(crate) fn lag_checked(&self, lag: Option<u64>, is_capped: bool, ceiling: u32) {
        let Some(found) = lag else {
            self.unread_lags.fetch_add(1, Relaxed);
            return;
        };
        let now = now_ms();
        let mut sizing = self.sizing.lock();
        sizing.lag = Some(found);
        sizing.lag_is_capped = is_capped;
        sizing.lag_read_ms = Some(now);
        sizing.ceiling = ceiling;
        sizing.judge(self.facts.lag_limit, now);
    }

    /// How many consumers there are to be, and how many there are.
    pub(crate) fn sized(&self, wanted: u32, present: usize) {
        let mut sizing = self.sizing.lock();
        sizing.wanted = wanted;
        sizing.present = u32::try_from(present).unwrap_or(u32::MAX);
        sizing.judge(self.facts.lag_limit, now_ms());
    }

    pub(crate) fn resized(&self, from: u32, to: u32, reason: &str) {
        self.resizes.push(ResizeView {
            at_ms: now_ms(),
            from,
            to,
            reason: cut(reason),
        });
    }

    /// The counts of all consumers, those that ended included.
    pub(crate) fn counts(&self) -> QueueCounts {
        let tallies = self.tallies.lock();
        let mut counts = tallies.gone.clone();
        for tally in &tallies.alive {
            counts.add(&tally.read());
        }
        drop(tallies);
        counts.released += self.released.get();
        counts
    }

    /// Consumers that have a message, and since when the one that has had its own for longest.
    fn busy(&self) -> (u32, Option<i64>) {
        let tallies = self.tallies.lock();
        let since = tallies.alive.iter().map(|t| t.busy_since_ms.load(Relaxed));
        since
            .filter(|since| *since > 0)
            .fold((0, None), |(n, oldest), since| {
                (n + 1, Some(oldest.map_or(since, |o: i64| o.min(since))))
            })
    }

    pub(crate) fn view(&self) -> QueueView {
        let sizing = *self.sizing.lock();
        let (busy, oldest_ms) = self.busy();
        QueueView {
            facts: self.facts.clone(),
            lag: sizing.lag,
            lag_is_capped: sizing.lag_is_capped,
            lag_read_ms: sizing.lag_read_ms,
            unread_lags: self.unread_lags.load(Relaxed),
            behind_since_ms: sizing.behind_since_ms,
            consumers_wanted: sizing.wanted,
            consumers_present: sizing.present,
            consumers_ceiling: sizing.ceiling,
            consumers_busy: busy,
            busy_since_ms: oldest_ms,
            in_flight: u64::try_from(self.in_flight.0.load(Relaxed)).unwrap_or(0),
            counts: self.counts(),
            running: self.running.list(),
            failures: self.failures.newest(),
            resizes: self.resizes.newest(),
        }
    }
}

fn signed(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// The tally of one consumer.
pub(crate) struct ConsumerTally {
    tally: Arc<Tally>,
    of: Arc<QueueState>,
}

impl std::ops::Deref for ConsumerTally {
    type Target = Tally;

    fn deref(&self) -> &Tally {
        &self.tally
    }
}

impl Drop for ConsumerTally {
    fn drop(&mut self) {
        let mut tallies = self.of.tallies.lock();
        tallies
            .alive
            .retain(|tally| !Arc::ptr_eq(tally, &self.tally));
        tallies.gone.add(&self.tally.read());
    }
}

impl Default for QueueCounts {
    fn default() -> Self {
        Self {
            completed: 0,
            retried: 0,
            dead_lettered: 0,
            released: 0,
            errors: 0,
            timeouts: 0,
            panics: 0,
            handler: Distribution::empty(Scale::Fast),
            waited: Distribution::empty(Scale::Slow),
        }
    }
}
