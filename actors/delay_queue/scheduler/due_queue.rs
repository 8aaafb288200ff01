//! The claimed tasks that wait for their time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::store::rows::ClaimedTask;

/// A claimed task and the generation of this boot that claimed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) task: ClaimedTask,
    pub(super) generation: u64,
    /// Its second was over when it was claimed.
    pub(super) overdue: bool,
    /// When it was claimed, unix milliseconds.
    pub(super) claimed_ms: i64,
}

impl Claim {
    /// Names the claim: its row and its fence.
    pub(super) fn key(&self) -> (i64, i64) {
        (self.task.id, self.task.fence)
    }

    /// From when on it could have started.
    fn ready_ms(&self) -> i64 {
        self.task.due_ms.max(self.claimed_ms)
    }
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

/// While tasks of both kinds wait for capacity, every fourth that starts is an overdue one.
const OVERDUE_TURN: u32 = 4;

/// The tasks that wait, by their time. Overdue ones stand apart: neither kind waits behind the whole of the other.
#[derive(Debug, Default)]
pub(super) struct DueQueue {
    on_time: BinaryHeap<Reverse<Claim>>,
    overdue: BinaryHeap<Reverse<Claim>>,
    /// Tasks that started while an overdue one waited, since the last overdue one.
    passed: u32,
}

impl DueQueue {
    pub(super) fn add(&mut self, claim: Claim) {
        match claim.overdue {
            true => self.overdue.push(Reverse(claim)),
            false => self.on_time.push(Reverse(claim)),
        }
    }

    pub(super) fn next_due_ms(&self) -> Option<i64> {
        let firsts = [first_due_ms(&self.on_time), first_due_ms(&self.overdue)];
        firsts.into_iter().flatten().min()
    }

    /// The next task, if the time of one has come.
    pub(super) fn take_due(&mut self, now_ms: i64) -> Option<Claim> {
        let is_due = |heap| first_due_ms(heap).is_some_and(|due_ms| due_ms <= now_ms);
        let (on_time, overdue) = (is_due(&self.on_time), is_due(&self.overdue));
        let taken = match (on_time, overdue) {
            (false, false) => None,
            (true, false) => self.on_time.pop(),
            (true, true) if self.passed + 1 < OVERDUE_TURN => {
                self.passed += 1;
                self.on_time.pop()
            }
            (_, true) => {
                self.passed = 0;
                self.overdue.pop()
            }
        };
        taken.map(|Reverse(claim)| claim)
    }

    pub(super) fn drain(&mut self) -> Vec<Claim> {
        let all = self.on_time.drain().chain(self.overdue.drain());
        all.map(|Reverse(claim)| claim).collect()
    }

    /// Takes out those that could have started before then and have not.
    pub(super) fn take_ready_before(&mut self, before_ms: i64) -> Vec<Claim> {
        let mut taken = Vec::new();
        for heap in [&mut self.on_time, &mut self.overdue] {
            let waits_long = |Reverse(claim): &Reverse<Claim>| claim.ready_ms() < before_ms;
            // They are the first in the heap: one peek shows that there is none.
            let first = heap.peek();
            if first.is_none_or(|first| first.0.task.due_ms >= before_ms) {
                continue;
            }
            let (long, rest): (Vec<_>, Vec<_>) = heap.drain().partition(waits_long);
            *heap = rest.into();
            taken.extend(long.into_iter().map(|Reverse(claim)| claim));
        }
        taken
    }

    /// Row and fence of each.
    pub(super) fn claims(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        let all = self.on_time.iter().chain(&self.overdue);
        all.map(|Reverse(claim)| claim.key())
    }

    /// How many there are: those that were on time when they were claimed, and those that were overdue.
    pub(super) fn counts(&self) -> (u32, u32) {
        let count = |heap: &BinaryHeap<_>| u32::try_from(heap.len()).unwrap_or(u32::MAX);
        (count(&self.on_time), count(&self.overdue))
    }
}

fn first_due_ms(heap: &BinaryHeap<Reverse<Claim>>) -> Option<i64> {
    heap.peek().map(|Reverse(claim)| claim.task.due_ms)
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
            trace: None,
        };
        Claim {
            task,
            generation: 0,
            overdue,
            claimed_ms: 0,
        }
    }

    fn ids(claims: impl IntoIterator<Item = Claim>) -> Vec<i64> {
        claims.into_iter().map(|claim| claim.task.id).collect()
    }

    #[test]
    fn tasks_come_in_the_order_of_their_time() {
        let mut due_queue = DueQueue::default();
        for (id, due) in [(1, 30), (2, 10), (3, 20), (4, 10)] {
            due_queue.add(claim(id, due, false));
        }
        assert_eq!(due_queue.counts(), (4, 0));
        assert_eq!(due_queue.take_due(9), None);
        let due = std::iter::from_fn(|| due_queue.take_due(20));
        assert_eq!(ids(due), [2, 4, 3]);
        assert_eq!(due_queue.next_due_ms(), Some(30));
        assert_eq!(due_queue.drain().len(), 1);
        assert_eq!(
            (due_queue.next_due_ms(), due_queue.counts()),
            (None, (0, 0))
        );
    }

    #[test]
    fn of_both_kinds_every_fourth_is_overdue() {
        let mut due_queue = DueQueue::default();
        for id in 1..=6 {
            due_queue.add(claim(id, 100 + id, false));
            due_queue.add(claim(-id, id, true));
        }
        assert_eq!(due_queue.next_due_ms(), Some(1));
        let first = std::iter::from_fn(|| due_queue.take_due(200)).take(8);
        assert_eq!(ids(first), [1, 2, 3, -1, 4, 5, 6, -2]);
        let rest = std::iter::from_fn(|| due_queue.take_due(200));
        assert_eq!(ids(rest), [-3, -4, -5, -6], "alone they wait for no turn");
    }

    #[test]
    fn those_that_wait_long_are_taken_out_and_no_others() {
        let mut due_queue = DueQueue::default();
        for (id, due, overdue) in [(1, 10, false), (2, 30, false), (3, 5, true)] {
            due_queue.add(claim(id, due, overdue));
        }
        due_queue.add(Claim {
            claimed_ms: 25,
            ..claim(4, 5, true)
        });
        assert!(due_queue.take_ready_before(5).is_empty());
        let mut long = ids(due_queue.take_ready_before(20));
        long.sort_unstable();
        assert_eq!(long, [1, 3]);
        assert_eq!(due_queue.counts(), (1, 1));
    }
}
