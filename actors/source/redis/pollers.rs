//! The two pollers of a list, and the numbers of their requests. No server here.
//!
//! The first poller waits while the list is empty. While the list has more than a batch a second poller requests one too:
//! the server works on one answer while this process parses the other.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::{Mutex, MutexGuard, Notify};

use super::wait::Waiting;

/// Which poller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    First,
    Second,
}

/// The state of one poller.
#[derive(Default)]
pub(super) struct Poller {
    /// A request with this number may have reached the server, and was not answered.
    unanswered: Option<u64>,
    pub(super) waiting: Waiting,
}

/// The number of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) number: u64,
    /// The answer was lost, and the same request is sent again.
    pub(super) is_repeated: bool,
}

/// See the module's header.
#[derive(Default)]
pub(super) struct Pollers {
    /// Locked by the one waiting consumer that polls.
    first: Mutex<Poller>,
    /// Locked by a second consumer that polls while there are plenty of messages.
    second: Mutex<Poller>,
    plenty: AtomicBool,
    /// The second poller's last request may have reached the server, and was not answered.
    outstanding: AtomicBool,
    /// The number of the last request.
    last_number: AtomicU64,
    /// The number of each poller's request, 0 once its batch is held here.
    asked: [AtomicU64; 2],
    /// Notified when the server has a message that the waiting poller does not notice.
    wake: Notify,
}

impl Pollers {
    pub(super) async fn first(&self) -> MutexGuard<'_, Poller> {
        self.first.lock().await
    }

    /// The second poller. None unless there are plenty of messages, or its last answer is outstanding, which no other
    /// poller would request again.
    pub(super) fn second(&self) -> Option<MutexGuard<'_, Poller>> {
        let is_plenty = self.plenty.load(Ordering::Relaxed) && self.first.try_lock().is_err();
        let is_wanted = is_plenty || self.outstanding.load(Ordering::Acquire);
        is_wanted.then(|| self.second.try_lock().ok()).flatten()
    }

    /// Waits until no request is under way. None begins while the guards live.
    pub(super) async fn both(&self) -> (MutexGuard<'_, Poller>, MutexGuard<'_, Poller>) {
        tokio::join!(self.first.lock(), self.second.lock())
    }

    /// The server has a message that no wait notices: the present wait ends, or the next one.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Whether the list has more than the last batch.
    pub(super) fn set_plenty(&self, plenty: bool) {
        self.plenty.store(plenty, Ordering::Relaxed);
    }

    /// The number for the next request of this poller.
    pub(super) fn ask(&self, poller: &mut Poller, who: Who) -> Asked {
        let asked = match poller.unanswered {
            Some(number) => Asked {
                number,
                is_repeated: true,
            },
            None => Asked {
                number: self.last_number.fetch_add(1, Ordering::Relaxed) + 1,
                is_repeated: false,
            },
        };
        self.note_unanswered(poller, who, Some(asked.number));
        self.asked[who as usize].store(asked.number, Ordering::Release);
        asked
    }

    /// The request was answered. A batch that it brought is not held yet.
    pub(super) fn answered(&self, poller: &mut Poller, who: Who) {
        self.note_unanswered(poller, who, None);
    }

    /// No batch of the last request is outstanding: it is held here, or there was none.
    pub(super) fn forget(&self, who: Who) {
        self.asked[who as usize].store(0, Ordering::Release);
    }

    /// Numbers whose batches may be at the server and not held here yet.
    pub(super) fn asked(&self) -> [u64; 2] {
        [0, 1].map(|who: usize| self.asked[who].load(Ordering::Acquire))
    }

    fn note_unanswered(&self, poller: &mut Poller, who: Who, number: Option<u64>) {
        poller.unanswered = number;
        if who == Who::Second {
            self.outstanding.store(number.is_some(), Ordering::Release);
        }
    }
}

#[cfg(test)]
impl Pollers {
    pub(super) fn last_number(&self) -> u64 {
        self.last_number.load(Ordering::Relaxed)
    }

    pub(super) fn is_plenty(&self) -> bool {
        self.plenty.load(Ordering::Relaxed)
    }

    /// A request with this number was sent, and its answer did not arrive.
    pub(super) async fn lose_answer(&self, who: Who, number: u64) {
        self.last_number.fetch_max(number, Ordering::Relaxed);
        let poller = match who {
            Who::First => &self.first,
            Who::Second => &self.second,
        };
        self.note_unanswered(&mut *poller.lock().await, who, Some(number));
    }
}
