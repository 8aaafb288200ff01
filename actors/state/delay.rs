//! What the delay queue publishes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;

use super::cell::{Counter, Histogram, Scale};
use super::queue::{FailureCause, Settlements};
use super::recent::{Recent, cut};
use super::running::{RunningJobs, Runs};
use super::view::{DelayView, FailureView, TaskCounts};
use crate::clock::now_ms;

/// Failures that are kept.
const MOST_FAILURES: usize = 32;

/// See the module's header.
#[derive(Debug)]
pub(crate) struct DelayState {
    done: Counter,
    retried: Counter,
    dead_lettered: Counter,
    released: Counter,
    lateness: Histogram,
    handler: Histogram,
    running: RunningJobs,
    /// What waits, counted up to a cap, and when its oldest is due; none before the first count.
    waiting: Mutex<Option<Waiting>>,
    is_paused: AtomicBool,
    failures: Recent<FailureView>,
}

/// What waits in the delay queue.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    count: u64,
    oldest_due_ms: Option<i64>,
    /// When it was counted, unix milliseconds.
    counted_ms: i64,
}

/// How late the delay queue was when it was last counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DelaySight {
    /// Tasks that waited, counted up to 100,001.
    pub(crate) waiting: u64,
    pub(crate) oldest_due_ms: Option<i64>,
    /// When that was, unix milliseconds.
    pub(crate) counted_ms: i64,
    pub(crate) running: usize,
}

impl DelayState {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            done: Counter::default(),
            retried: Counter::default(),
            dead_lettered: Counter::default(),
            released: Counter::default(),
            lateness: Histogram::new(Scale::Fast),
            handler: Histogram::new(Scale::Fast),
            running: RunningJobs::default(),
            waiting: Mutex::new(None),
            is_paused: AtomicBool::new(false),
            failures: Recent::new(MOST_FAILURES),
        })
    }

    /// A task starts; it runs until the guard is dropped.
    pub(crate) fn starts(&self, id: i64, exec_cmd: &str, due_ms: i64) -> Runs<'_> {
        let now = now_ms();
        let late_ms = u64::try_from(now.saturating_sub(due_ms)).unwrap_or(0);
        self.lateness.note(Duration::from_millis(late_ms));
        self.running.begin(&format!("{id} `{exec_cmd}`"), now, None)
    }

    /// Its handler has returned.
    pub(crate) fn handled(&self, took: Duration) {
        self.handler.note(took);
    }

    /// These ends are in the database.
    pub(crate) fn settled(&self, settled: Settlements) {
        for (counter, n) in [
            (&self.done, settled.completed),
            (&self.retried, settled.retried),
            (&self.dead_lettered, settled.dead_lettered),
            (&self.released, settled.released),
        ] {
            counter.add(u64::try_from(n).unwrap_or(u64::MAX));
        }
    }

    pub(crate) fn failed(&self, id: i64, attempt: u32, cause: FailureCause, error: &str) {
        self.failures.push(FailureView {
            at_ms: now_ms(),
            id: id.to_string(),
            attempt,
            cause,
            error: cut(error),
        });
    }

    /// What waits now.
    pub(crate) fn counted(&self, count: u64, oldest_due_ms: Option<i64>) {
        *self.waiting.lock() = Some(Waiting {
            count,
            oldest_due_ms,
            counted_ms: now_ms(),
        });
    }

    pub(crate) fn set_paused(&self, is_paused: bool) {
        self.is_paused.store(is_paused, Relaxed);
    }

    /// None before the first count. What waits because people paused the queue is not late.
    pub(crate) fn sight(&self) -> Option<DelaySight> {
        let waiting = (*self.waiting.lock())?;
        let is_paused = self.is_paused.load(Relaxed);
        Some(DelaySight {
            waiting: waiting.count,
            oldest_due_ms: waiting.oldest_due_ms.filter(|_| !is_paused),
            counted_ms: waiting.counted_ms,
            running: self.running.count(),
        })
    }

    pub(crate) fn view(&self) -> DelayView {
        let waiting = *self.waiting.lock();
        DelayView {
            tasks: TaskCounts {
                done: self.done.get(),
                retried: self.retried.get(),
                dead_lettered: self.dead_lettered.get(),
                released: self.released.get(),
            },
            waiting: waiting.map(|waiting| waiting.count),
            oldest_due_ms: waiting.and_then(|waiting| waiting.oldest_due_ms),
            counted_ms: waiting.map(|waiting| waiting.counted_ms),
            running_count: self.running.count(),
            running: self.running.list(),
            lateness: self.lateness.read(),
            handler: self.handler.read(),
            failures: self.failures.newest(),
        }
    }
}
