//! The alerts that wait for a receiver: bounded, and put in without waiting.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use super::notice::Notice;

/// More alerts than this wait for no receiver: each is in the log all the same.
const MOST_WAITING: usize = 500;

/// A queue that its receiver's task empties.
#[derive(Clone)]
pub(super) struct Waiting(Arc<Inner>);

struct Inner {
    queue: Mutex<Queue>,
    /// Alerts that are neither sent nor given up, those on their way too.
    undecided: watch::Sender<usize>,
    /// The daemon stops: nothing waits for better times.
    closing: watch::Sender<bool>,
}

#[derive(Default)]
struct Queue {
    notices: VecDeque<Notice>,
    /// Taken out, and neither sent nor given up; the oldest first.
    under_way: VecDeque<Notice>,
    left_out: usize,
}

/// Whether there was room.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Put {
    Waits,
    /// There was none, for the first time since the last message.
    Full,
    StillFull,
}

impl Waiting {
    pub(super) fn new() -> Self {
        Self(Arc::new(Inner {
            queue: Mutex::default(),
            undecided: watch::Sender::new(0),
            closing: watch::Sender::new(false),
        }))
    }

    pub(super) fn put(&self, notice: Notice) -> Put {
        let mut queue = self.lock();
        if queue.notices.len() >= MOST_WAITING {
            queue.left_out += 1;
            return match queue.left_out {
                1 => Put::Full,
                _ => Put::StillFull,
            };
        }
        queue.notices.push_back(notice);
        drop(queue);
        self.0.undecided.send_modify(|undecided| *undecided += 1);
        Put::Waits
    }

    /// Until something waits.
    pub(super) async fn any(&self) {
        let mut undecided = self.0.undecided.subscribe();
        while self.lock().notices.is_empty() {
            // The sender lives in here.
            let _ = undecided.changed().await;
        }
    }

    /// Makes something of the alerts that wait, and of the number left out; takes out as many as it says.
    pub(super) fn take<T>(&self, make: impl FnOnce(&[&Notice], usize) -> (T, usize)) -> Option<T> {
        let mut queue = self.lock();
        if queue.notices.is_empty() {
            return None;
        }
        let (made, taken) = {
            let all: Vec<&Notice> = queue.notices.iter().collect();
            make(&all, queue.left_out)
        };
        let taken: Vec<Notice> = queue.notices.drain(..taken).collect();
        queue.under_way.extend(taken);
        queue.left_out = 0;
        Some(made)
    }

    /// So many of them were sent, or given up.
    pub(super) fn decided(&self, count: usize) {
        let mut queue = self.lock();
        let count = count.min(queue.under_way.len());
        queue.under_way.drain(..count);
        drop(queue);
        self.0
            .undecided
            .send_modify(|undecided| *undecided = undecided.saturating_sub(count));
    }

    pub(super) fn is_closing(&self) -> bool {
        *self.0.closing.borrow()
    }

    /// A pause that ends when the daemon stops.
    pub(super) async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = sleep(pause) => {}
            () = self.closed() => {}
        }
    }

    /// Until the daemon stops.
    async fn closed(&self) {
        let mut closing = self.0.closing.subscribe();
        let _ = closing.wait_for(|closing| *closing).await;
    }

    /// Nothing waits for better times from now on. Returns the alerts that were neither sent nor given up by then.
    pub(super) async fn finish(&self, until: Instant) -> Vec<Notice> {
        self.0.closing.send_replace(true);
        let mut undecided = self.0.undecided.subscribe();
        let all = undecided.wait_for(|undecided| *undecided == 0);
        let _ = timeout_at(until, all).await;
        let queue = self.lock();
        let under_way = queue.under_way.iter();
        under_way.chain(&queue.notices).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing that is done under this lock can panic half way.
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
