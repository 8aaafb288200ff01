//! The tasks that run, or whose end is not durable yet.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::agenda::Claim;

/// See the module's header. Outlives DelayQueueActor, so that the one that replaces it knows which of this boot's rows
/// are cared for.
///
/// By claim (row and fence) and not by row: after a judged death this boot may have claimed a row anew while its earlier
/// claim still ran. The late end of the earlier claim must not remove the entry of the later one, or the row would be
/// released while it runs.
#[derive(Debug, Default)]
pub(crate) struct RunningTasks {
    overdue_by_claim: Mutex<HashMap<(i64, i64), bool>>,
    count: watch::Sender<usize>,
}

impl RunningTasks {
    pub(super) fn begin(&self, claims: &[Claim]) {
        let mut running = self.lock();
        running.extend(claims.iter().map(|claim| (claim.key(), claim.overdue)));
        self.count.send_replace(running.len());
    }

    pub(super) fn end(&self, claims: impl Iterator<Item = (i64, i64)>) {
        let mut running = self.lock();
        for claim in claims {
            running.remove(&claim);
        }
        self.count.send_replace(running.len());
    }

    /// How many there are, for those that wait for the end.
    pub(super) fn count(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }

    pub(super) fn len(&self) -> u32 {
        u32::try_from(*self.count.borrow()).unwrap_or(u32::MAX)
    }

    /// Row and fence of each.
    pub(super) fn claims(&self) -> Vec<(i64, i64)> {
        self.lock().keys().copied().collect()
    }

    /// How many there are, and how many of them were overdue when they were claimed.
    pub(super) fn counts(&self) -> (u32, u32) {
        let running = self.lock();
        let overdue = running.values().filter(|overdue| **overdue).count();
        let count = |n| u32::try_from(n).unwrap_or(u32::MAX);
        (count(running.len()), count(overdue))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(i64, i64), bool>> {
        // Nothing in here can panic half way.
        let running = self.overdue_by_claim.lock();
        running.unwrap_or_else(PoisonError::into_inner)
    }
}
