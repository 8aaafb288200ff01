//! The claimed tasks that wait for their time, and those that run.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::db::rows::ClaimedTask;

/// A claimed task and the generation of this boot that claimed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) task: ClaimedTask,
    pub(super) generation: u64,
    /// Its second was over when it was claimed.
    pub(super) overdue: bool,
}

impl Ord for Claim {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.task.due_ms, self.task.id).cmp(&(other.task.due_ms, other.task.id))
    }
}

impl PartialOrd for Claim {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// The tasks that wait, by their time.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    heap: BinaryHeap<Reverse<Claim>>,
    overdue: u32,
}

impl Agenda {
    pub(super) fn add(&mut self, claim: Claim) {
        self.overdue += u32::from(claim.overdue);
        self.heap.push(Reverse(claim));
    }

    pub(super) fn next_due_ms(&self) -> Option<i64> {
        self.heap.peek().map(|Reverse(claim)| claim.task.due_ms)
    }

    /// The first task, if its time has come.
    pub(super) fn take_due(&mut self, now_ms: i64) -> Option<Claim> {
        if self.next_due_ms()? > now_ms {
            return None;
        }
        self.pop()
    }

    pub(super) fn drain(&mut self) -> Vec<Claim> {
        std::iter::from_fn(|| self.pop()).collect()
    }

    fn pop(&mut self) -> Option<Claim> {
        let Reverse(claim) = self.heap.pop()?;
        self.overdue -= u32::from(claim.overdue);
        Some(claim)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = i64> + '_ {
        self.heap.iter().map(|Reverse(claim)| claim.task.id)
    }

    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.heap.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn overdue(&self) -> u32 {
        self.overdue
    }
}

/// The tasks that run or whose end is not durable yet. Outlives DelayQueueActor, so that the one that replaces it knows
/// which of this boot's rows are cared for.
#[derive(Debug, Default)]
pub(crate) struct RunningTasks {
    overdue_by_id: Mutex<HashMap<i64, bool>>,
    count: watch::Sender<usize>,
}

impl RunningTasks {
    pub(super) fn begin(&self, claims: &[Claim]) {
        let mut running = self.lock();
        running.extend(claims.iter().map(|claim| (claim.task.id, claim.overdue)));
        self.count.send_replace(running.len());
    }

    pub(super) fn end(&self, ids: impl Iterator<Item = i64>) {
        let mut running = self.lock();
        for id in ids {
            running.remove(&id);
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

    pub(super) fn ids(&self) -> Vec<i64> {
        self.lock().keys().copied().collect()
    }

    /// How many there are, and how many of them were overdue when they were claimed.
    pub(super) fn counts(&self) -> (u32, u32) {
        let running = self.lock();
        let overdue = running.values().filter(|overdue| **overdue).count();
        let count = |n| u32::try_from(n).unwrap_or(u32::MAX);
        (count(running.len()), count(overdue))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, bool>> {
        // Nothing in here can panic half way.
        self.overdue_by_id
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(id: i64, due_ms: i64, overdue: bool) -> Claim {
        let task = ClaimedTask {
            id,
            name: String::new(),
            exec_cmd: String::new(),
            params: String::new(),
            due_ms,
            attempts: 0,
            fence: 1,
            suspect: false,
        };
        Claim {
            task,
            generation: 0,
            overdue,
        }
    }

    #[test]
    fn tasks_come_in_the_order_of_their_time() {
        let mut agenda = Agenda::default();
        for (id, due) in [(1, 30), (2, 10), (3, 20), (4, 10)] {
            agenda.add(claim(id, due, due == 10));
        }
        assert_eq!((agenda.len(), agenda.overdue()), (4, 2));
        assert_eq!(agenda.take_due(9), None);
        let ids: Vec<i64> = std::iter::from_fn(|| agenda.take_due(20))
            .map(|c| c.task.id)
            .collect();
        assert_eq!(ids, [2, 4, 3]);
        assert_eq!(agenda.next_due_ms(), Some(30));
        assert_eq!(agenda.overdue(), 0);
        assert_eq!(agenda.drain().len(), 1);
    }
}
