//! What the server refuses to this queue alone: a right that is missing, a key of another type.
//!
//! It is over when everything that was refused is done again: a poll that finds nothing to take does not show whether
//! ends can be written.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::outage::Outage;

/// What may be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Take,
    Settle,
    Beat,
}

/// See the module's header.
pub(super) struct Trouble {
    /// Of each deed.
    deeds: [(AtomicBool, Mutex<Outage>); 3],
}

impl Trouble {
    pub(super) fn new(queue: &str) -> Self {
        let all = Outage::of_queue(queue, format!("queue `{queue}`"));
        let deed = |_| (AtomicBool::new(false), Mutex::new(all.beside()));
        Self {
            deeds: [0, 1, 2].map(deed),
        }
    }

    /// Answers how long to wait before the next try.
    pub(super) fn refused(&self, deed: Deed, why: &str) -> Duration {
        let (troubled, outage) = &self.deeds[deed as usize];
        let mut outage = outage.lock();
        troubled.store(true, Ordering::Release);
        outage.failed(why)
    }

    pub(super) fn accepted(&self, deed: Deed) {
        let (troubled, outage) = &self.deeds[deed as usize];
        if troubled.load(Ordering::Acquire) && troubled.swap(false, Ordering::AcqRel) {
            let mut outage = outage.lock();
            outage.passed();
        }
    }

    #[cfg(test)]
    pub(super) fn is_any(&self) -> bool {
        let mut deeds = self.deeds.iter();
        deeds.any(|(troubled, _)| troubled.load(Ordering::Acquire))
    }
}
