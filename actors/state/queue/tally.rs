//! What consumers count of their calls.
//!
//! Each consumer has a tally that only it writes, padded to cache lines of its own: counting a call is a load and a store.
//! Readers add the tallies up. The tally of a consumer that ends is added to those of all that ended before.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use serde::Serialize;

use super::QueueState;
use crate::state::cell::{Counter, Distribution, Histogram, Scale};
use crate::state::view::QueueCounts;

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

/// The tallies of all consumers of a queue.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    alive: Vec<Arc<Tally>>,
    gone: QueueCounts,
}

impl Tallies {
    pub(super) fn join(&mut self) -> Arc<Tally> {
        let tally = Arc::new(Tally::default());
        self.alive.push(Arc::clone(&tally));
        tally
    }

    fn leave(&mut self, ended: &Arc<Tally>) {
        self.alive.retain(|tally| !Arc::ptr_eq(tally, ended));
        self.gone.add(&ended.read());
    }

    /// The calls of all consumers, those that ended included.
    pub(super) fn counts(&self) -> QueueCounts {
        let mut counts = self.gone.clone();
        for tally in &self.alive {
            counts.add(&tally.read());
        }
        counts
    }

    /// Consumers that have a message, and since when the one that has had its own for longest.
    pub(super) fn busy(&self) -> (u32, Option<i64>) {
        let since = self.alive.iter().map(|t| t.busy_since_ms.load(Relaxed));
        since
            .filter(|since| *since > 0)
            .fold((0, None), |(n, oldest), since| {
                (n + 1, Some(oldest.map_or(since, |o: i64| o.min(since))))
            })
    }

    /// When the oldest message came to the queue that is handled now, where the source knows.
    pub(super) fn oldest_arrived_ms(&self) -> Option<i64> {
        let arrived_ms = self.alive.iter().map(|t| t.arrived_ms.load(Relaxed));
        arrived_ms.filter(|ms| *ms > 0).min()
    }
}

/// The tally of one consumer.
pub(crate) struct ConsumerTally {
    pub(super) tally: Arc<Tally>,
    pub(super) of: Arc<QueueState>,
}

impl Deref for ConsumerTally {
    type Target = Tally;

    fn deref(&self) -> &Tally {
        &self.tally
    }
}

impl Drop for ConsumerTally {
    fn drop(&mut self) {
        self.of.tallies.lock().leave(&self.tally);
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
