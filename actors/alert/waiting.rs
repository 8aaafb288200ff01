//! The alerts that wait for a receiver: bounded, and put in without waiting.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use super::delivery::{Delivered, Receipt};
use super::notice::Notice;

/// More alerts than this wait for no receiver, those on their way included: each is in the log all the same.
const MOST_WAITING: usize = 500;

/// A queue that its receiver's task empties. Nothing slow is done under its lock, for which code that raises an alert
/// waits.
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
    parcels: VecDeque<Parcel>,
    /// Taken out, and neither sent nor given up; the oldest first.
    under_way: VecDeque<Parcel>,
    left_out: usize,
    /// The stop is over: nothing is sent any more.
    is_closed: bool,
}

/// An alert for this receiver.
struct Parcel {
    notice: Arc<Notice>,
    receipt: Receipt,
}

/// Whether there was room.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Put {
    Waits,
    /// There was none, for the first time since the last message.
    Full,
    /// There was none again, or the stop is over.
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

    pub(super) fn put(&self, notice: Arc<Notice>, receipt: Receipt) -> Put {
        let mut queue = self.0.queue.lock();
        if queue.is_closed {
            receipt.settle(Delivered::CutShort);
            return Put::StillFull;
        }
        if queue.parcels.len() + queue.under_way.len() >= MOST_WAITING {
            queue.left_out += 1;
            return match queue.left_out {
                1 => Put::Full,
                _ => Put::StillFull,
            };
        }
        queue.parcels.push_back(Parcel { notice, receipt });
        drop(queue);
        self.0.undecided.send_modify(|undecided| *undecided += 1);
        Put::Waits
    }

    /// Until something waits.
    pub(super) async fn any(&self) {
        let mut undecided = self.0.undecided.subscribe();
        while self.0.queue.lock().parcels.is_empty() {
            // The sender lives in here.
            let _ = undecided.changed().await;
        }
    }

    /// All that wait, the oldest first, and the number of those left out. They stay the first ones until the receiver's
    /// task, which alone takes any out, sets out with them.
    pub(super) fn all(&self) -> (Vec<Arc<Notice>>, usize) {
        let queue = self.0.queue.lock();
        let notices = queue.parcels.iter();
        let notices = notices.map(|parcel| Arc::clone(&parcel.notice)).collect();
        (notices, queue.left_out)
    }

    /// The first ones are on their way, and so is the word of those left out.
    pub(super) fn set_out(&self, count: usize, left_out: usize) {
        let mut queue = self.0.queue.lock();
        let count = count.min(queue.parcels.len());
        let parcels: Vec<Parcel> = queue.parcels.drain(..count).collect();
        queue.under_way.extend(parcels);
        queue.left_out -= left_out.min(queue.left_out);
    }

    /// Those on their way, the oldest first.
    pub(super) fn under_way(&self) -> Vec<Arc<Notice>> {
        let queue = self.0.queue.lock();
        let notices = queue.under_way.iter();
        notices.map(|parcel| Arc::clone(&parcel.notice)).collect()
    }

    /// The first ones on their way have arrived, or never will.
    pub(super) fn decided(&self, count: usize, outcome: Delivered) {
        let mut queue = self.0.queue.lock();
        let count = count.min(queue.under_way.len());
        let parcels: Vec<Parcel> = queue.under_way.drain(..count).collect();
        drop(queue);
        self.settle(parcels, outcome);
    }

    fn settle(&self, parcels: Vec<Parcel>, outcome: Delivered) {
        let count = parcels.len();
        for parcel in parcels {
            parcel.receipt.settle(outcome);
        }
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

    /// Nothing waits for better times from now on. Returns the alerts that were neither sent nor given up by then, of which
    /// the receiver's task knows nothing any more.
    pub(super) async fn finish(&self, until: Instant) -> Vec<Arc<Notice>> {
        self.0.closing.send_replace(true);
        let mut undecided = self.0.undecided.subscribe();
        let all = undecided.wait_for(|undecided| *undecided == 0);
        let _ = timeout_at(until, all).await;
        let mut queue = self.0.queue.lock();
        queue.is_closed = true;
        let mut left: Vec<Parcel> = queue.under_way.drain(..).collect();
        left.extend(queue.parcels.drain(..));
        drop(queue);
        let notices = left.iter().map(|parcel| Arc::clone(&parcel.notice));
        let notices = notices.collect();
        self.settle(left, Delivered::CutShort);
        notices
    }
}
