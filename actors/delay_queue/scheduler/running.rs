//! The tasks that run, or whose end is not durable yet.
//!
//! An end that the database refuses, or whose row another program has locked, may become durable after hours, or never.
//! Its task runs no more, so it takes no capacity, and no stop waits for it. It stays known: its row must not be
//! released while this boot lives.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::due_queue::Claim;

/// See the module's header. Outlives DelayQueueActor, so that the one that replaces it knows which of this boot's rows
/// are cared for.
///
/// By claim (row and fence) and not by row: after a judged death this boot may have claimed a row anew while its earlier
/// claim still ran. The late end of the earlier claim must not remove the entry of the later one, or the row would be
/// released while it runs.
#[derive(Debug, Default)]
pub(crate) struct RunningTasks {
    states: Mutex<HashMap<(i64, i64), State>>,
    count: watch::Sender<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Runs { overdue: bool },
    CannotEnd,
}

impl RunningTasks {
    pub(super) fn begin(&self, claims: &[Claim]) {
        let mut states = self.states.lock();
        let mut begun = 0;
        for claim in claims {
            let overdue = claim.overdue;
            let before = states.insert(claim.key(), State::Runs { overdue });
            begun += usize::from(before.is_none());
        }
        self.count.send_modify(|running| *running += begun);
    }

    pub(super) fn end(&self, claims: impl Iterator<Item = (i64, i64)>) {
        let mut states = self.states.lock();
        let ended = claims.filter_map(|claim| states.remove(&claim));
        let ended = ended.filter(|state| state.runs()).count();
        self.count.send_modify(|running| *running -= ended);
    }

    /// They have run, and their ends cannot be written now.
    pub(super) fn cannot_end(&self, claims: impl Iterator<Item = (i64, i64)>) {
        let mut states = self.states.lock();
        let mut ran = 0;
        for claim in claims {
            if let Some(state) = states.get_mut(&claim) {
                ran += usize::from(std::mem::replace(state, State::CannotEnd).runs());
            }
        }
        self.count.send_modify(|running| *running -= ran);
    }

    /// How many there are, for those that wait for the end.
    pub(super) fn count(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }

    pub(super) fn len(&self) -> u32 {
        u32::try_from(*self.count.borrow()).unwrap_or(u32::MAX)
    }

    /// Row and fence of each.
    pub(in crate::delay_queue) fn claims(&self) -> Vec<(i64, i64)> {
        self.states.lock().keys().copied().collect()
    }

    /// How many there are, and how many of them were overdue when they were claimed.
    pub(super) fn counts(&self) -> (u32, u32) {
        let running = self.states.lock();
        let overdue = State::Runs { overdue: true };
        let overdue = running.values().filter(|state| **state == overdue).count();
        (self.len(), u32::try_from(overdue).unwrap_or(u32::MAX))
    }
}

impl State {
    fn runs(self) -> bool {
        matches!(self, Self::Runs { .. })
    }
}
