//! What the consumers and the pool of one queue entry publish.
//!
//! Each consumer has a tally of its calls that only it writes, padded to cache lines of its own: counting a call is a load
//! and a store. Readers add the tallies up. The tally of a consumer that ends is added to those of all that ended before.
//!
//! What became of messages is counted once it is settled, many at once: what a stop, a panic or a broken connection keeps
//! from being settled is not counted as finished.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use serde::Serialize;

use super::cell::{Counter, Distribution, Histogram, Scale};
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

/// Counts of one consumer. It alone writes them.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Tally {
    errors: Counter,
    timeouts: Counter,
    panics: Counter,
    /// Unix milliseconds; 0 while the consumer has no message.
    busy_since_ms: AtomicI64,
    /// When the message came to its queue that is handled now, unix milliseconds; 0 where there is none, or nobody knows.
    arrived_ms: AtomicI64,
    handler: Histogram,
    waited: Histogram,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            errors: Counter::default(),
            timeouts: Counter::default(),
            panics: Counter::default(),
            busy_since_ms: AtomicI64::new(0),
            arrived_ms: AtomicI64::new(0),
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

    /// `n` messages waited for that long each, from their arrival to the call of the handler.
    pub(crate) fn waited(&self, waited: Duration, n: u64) {
        let all = waited.saturating_mul(u32::try_from(n).unwrap_or(u32::MAX));
        self.waited.note_alone(all, n);
    }

    pub(crate) fn busy(&self, since_ms: i64) {
        self.busy_since_ms.store(since_ms, Relaxed);
    }

    /// The oldest of the messages that are handled now came at that moment, where the source knows.
    pub(crate) fn handles(&self, arrived_ms: Option<i64>) {
        self.arrived_ms.store(arrived_ms.unwrap_or(0), Relaxed);
    }

    pub(crate) fn idle(&self) {
        self.busy(0);
        self.handles(None);
    }

    fn read(&self) -> QueueCounts {
        QueueCounts {
            errors: self.errors.get(),
            timeouts: self.timeouts.get(),
            panics: self.panics.get(),
            handler: self.handler.read(),
            waited: self.waited.read(),
            ..QueueCounts::default()
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

#[derive(Debug)]
struct Tallies {
    alive: Vec<Arc<Tally>>,
    gone: QueueCounts,
}

/// What PoolActor last found.
#[derive(Debug, Clone, Copy, Default)]
struct Sizing {
    /// That was last read.
    lag: Option<u64>,
    lag_is_capped: bool,
    lag_read_ms: Option<i64>,
    /// When the oldest of those that waited then was due, where the source knows.
    oldest_due_ms: Option<i64>,
    /// Since when it could not be read.
    unread_since_ms: Option<i64>,
    wanted: u32,
    present: u32,
    /// The most consumers that this pool may have now.
    ceiling: u32,
    /// Since when the lag has been above the limit with the pool at its ceiling, unix milliseconds.
    behind_since_ms: Option<i64>,
    /// LagChecks that read the lag.
    checks: u64,
    /// The first of those in a row that found it above the limit with the pool at its ceiling.
    behind_since_check: Option<u64>,
    /// A LagCheck found the lag within the limit.
    was_within: bool,
    is_paused: bool,
}

/// Whether a queue keeps up, as the last LagChecks found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LagSight {
    pub(crate) queue: String,
    pub(crate) lag: Option<u64>,
    pub(crate) lag_is_capped: bool,
    /// When it was read last, and since when it cannot be read; unix milliseconds.
    pub(crate) read_ms: Option<i64>,
    pub(crate) unread_since_ms: Option<i64>,
    pub(crate) limit: u64,
    pub(crate) present: u32,
    pub(crate) ceiling: u32,
    /// Since when the lag has been above the limit at full size, unix milliseconds.
    pub(crate) behind_since_ms: Option<i64>,
    /// How many LagChecks in a row found it so.
    pub(crate) behind_checks: u64,
    /// The lag has been above the limit since this daemon's first LagCheck: for how long before that is not known.
    pub(crate) since_first_check: bool,
}

impl LagSight {
    /// The last lag that was read, for people.
    pub(crate) fn shown(&self) -> Option<String> {
        let or_more = if self.lag_is_capped { " or more" } else { "" };
        self.lag.map(|lag| format!("{lag}{or_more}"))
    }
}

impl Sizing {
    /// A process that may have no consumers (of a Kafka topic, while others of the group have all partitions) is not behind:
    /// the lag is that of the whole group. Nor is a queue that people paused.
    fn judge(&mut self, lag_limit: u64, now: i64) {
        let is_full = self.ceiling > 0 && self.wanted >= self.ceiling && !self.is_paused;
        self.was_within |= self.lag.is_some_and(|lag| lag <= lag_limit);
        let is_behind = is_full && self.lag.is_some_and(|lag| lag > lag_limit);
        let (since, check) = (self.behind_since_ms, self.behind_since_check);
        self.behind_since_ms = is_behind.then(|| since.unwrap_or(now));
        self.behind_since_check = is_behind.then(|| check.unwrap_or(self.checks));
    }
}

impl QueueState {
    pub(crate) fn new(facts: QueueFacts) -> Arc<Self> {
        Arc::new(Self {
            name: facts.name.clone(),
            facts: RwLock::new(Arc::new(facts)),
            flow: Flow::default(),
            tallies: Mutex::new(Tallies {
                alive: Vec::new(),
                gone: QueueCounts::default(),
            }),
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
        let tally = Arc::new(Tally::default());
        self.tallies.lock().alive.push(Arc::clone(&tally));
        ConsumerTally {
            tally,
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
        sizing.unread_since_ms = None;
        sizing.lag = Some(found);
        sizing.lag_is_capped = is_capped;
        sizing.lag_read_ms = Some(now);
        sizing.checks += 1;
        sizing.judge(self.facts().lag_limit, now);
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
        LagSight {
            queue: self.name.clone(),
            lag: sizing.lag,
            lag_is_capped: sizing.lag_is_capped,
            read_ms: sizing.lag_read_ms,
            unread_since_ms: sizing.unread_since_ms,
            limit: self.facts().lag_limit,
            present: sizing.present,
            ceiling: sizing.ceiling,
            behind_since_ms: sizing.behind_since_ms,
            behind_checks: sizing
                .behind_since_check
                .map_or(0, |first| sizing.checks - first + 1),
            since_first_check: !sizing.was_within,
        }
    }

    /// The counts of all consumers, those that ended included.
    pub(crate) fn counts(&self) -> QueueCounts {
        let tallies = self.tallies.lock();
        let mut counts = tallies.gone.clone();
        for tally in &tallies.alive {
            counts.add(&tally.read());
        }
        drop(tallies);
        let flow = &self.flow;
        counts.completed = flow.completed.get();
        counts.retried = flow.retried.get();
        counts.dead_lettered = flow.dead_lettered.get();
        counts.released = flow.released.get();
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

    /// How long ago the oldest message came to the queue, as far as is known: the oldest that waited at the last LagCheck, or
    /// the oldest that is handled now. In milliseconds; none where the source knows of none when it came.
    fn oldest_age_ms(&self, sizing: &Sizing) -> Option<i64> {
        if self.facts().kind == "redis" {
            return None;
        }
        let waited_ms = match sizing.unread_since_ms {
            None => sizing.lag_read_ms.zip(sizing.oldest_due_ms),
            Some(_) => None,
        };
        let waited_ms = waited_ms.map_or(0, |(read_ms, due_ms)| read_ms - due_ms);
        let tallies = self.tallies.lock();
        let arrived_ms = tallies.alive.iter().map(|t| t.arrived_ms.load(Relaxed));
        let oldest_ms = arrived_ms.filter(|ms| *ms > 0).min();
        let handled_ms = oldest_ms.map_or(0, |ms| now_ms() - ms);
        Some(waited_ms.max(handled_ms).max(0))
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
        let (busy, oldest_ms) = self.busy();
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
