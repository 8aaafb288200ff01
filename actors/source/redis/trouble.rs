//! Commands that the server refuses to this queue alone: a right is missing, a key has another type.
//!
//! The trouble is over when each refused kind of command has succeeded: a poll that finds nothing to take does not show
//! whether ends can be written.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::outage::Outage;

/// A kind of command that may be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Take,
    Settle,
    Beat,
}

/// See the module's header.
pub(super) struct Trouble {
    /// For each kind of command: whether it is refused, and its outage.
    kinds: [(AtomicBool, Mutex<Outage>); 3],
}

impl Trouble {
    pub(super) fn new(queue: &str) -> Self {
        let all = Outage::of_queue(queue, format!("queue `{queue}`"));
        let deed = |_| (AtomicBool::new(false), Mutex::new(all.beside()));
        Self {
            kinds: [0, 1, 2].map(deed),
        }
    }

    /// Returns the pause before the next attempt.
    pub(super) fn refused(&self, deed: Deed, why: &str) -> Duration {
        let (troubled, outage) = &self.kinds[deed as usize];
        let mut outage = outage.lock();
        troubled.store(true, Ordering::Release);
        outage.failed(why)
    }

    pub(super) fn accepted(&self, deed: Deed) {
        let (troubled, outage) = &self.kinds[deed as usize];
        if troubled.load(Ordering::Acquire) && troubled.swap(false, Ordering::AcqRel) {
            let mut outage = outage.lock();
            outage.passed();
        }
    }

    #[cfg(test)]
    pub(super) fn is_any(&self) -> bool {
        let mut kinds = self.kinds.iter();
        kinds.any(|(troubled, _)| troubled.load(Ordering::Acquire))
    }
}
