//! How many rows to claim: the arithmetic of one poll.

use super::polling::POLL_AHEAD;

/// What the daemon holds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Holding {
    /// Tasks that run, or whose end is not durable yet.
    pub(super) running: u32,
    /// Those of them that were overdue when they were claimed.
    pub(super) overdue_running: u32,
    /// Claimed tasks that were not overdue and have not started.
    pub(super) ahead: u32,
    /// Rows of pushes that are being inserted already claimed.
    pub(super) reserved: u32,
    /// Claimed tasks that were overdue and have not started.
    pub(super) overdue: u32,
}

/// How many rows one poll may claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Budget {
    /// Rows that are due from this second on.
    pub(super) on_time: u32,
    /// Those of them that start at once: they need capacity among the running tasks.
    pub(super) now: u32,
    /// Rows whose second is over.
    pub(super) overdue: u32,
}

impl Budget {
    pub(super) const NOTHING: Self = Self {
        on_time: 0,
        now: 0,
        overdue: 0,
    };
}

/// Whether claimed tasks can start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::delay_queue) enum Flow {
    /// A task has ended since the last poll.
    Moves,
    /// None has.
    Stands,
}

/// Two capacities beside each other. `concurrency` tasks run. As many rows wait ahead of their time as become due within
/// `POLL_AHEAD` where a task takes a second: claimed ahead of time they take no capacity from running tasks, so overdue
/// rows find some however many rows are due. Overdue rows have at most half of the running tasks, which leaves the
/// other half to rows that are due now; and a quarter can be claimed though every task is on time and nothing is free,
/// so that they have their turn (`DueQueue::take_due`) at every end.
///
/// While all capacity is taken and nothing ends, nothing is claimed: other daemons may have capacity.
pub(super) fn budget(concurrency: u32, held: Holding, flow: Flow) -> Budget {
    // A task that waited for capacity takes it before the next poll, so what is free here is free.
    let free = concurrency.saturating_sub(held.running + held.reserved);
    if free == 0 && flow == Flow::Stands {
        return Budget::NOTHING;
    }
    let half = (concurrency / 2).max(1);
    let quarter = (concurrency / 4).max(1);
    let on_time = ahead(concurrency).saturating_sub(held.ahead + held.reserved);
    Budget {
        on_time,
        now: on_time.min(free),
        overdue: half
            .saturating_sub(held.overdue_running + held.overdue)
            .min(free.max(quarter.saturating_sub(held.overdue))),
    }
}

/// The capacity of tasks that are claimed ahead of their time.
pub(super) fn ahead(concurrency: u32) -> u32 {
    let seconds = u32::try_from(POLL_AHEAD.as_secs()).unwrap_or(1);
    concurrency.saturating_mul(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held([running, overdue_running, ahead, reserved, overdue]: [u32; 5]) -> Holding {
        Holding {
            running,
            overdue_running,
            ahead,
            reserved,
            overdue,
        }
    }

    #[test]
    fn each_poll_owes_overdue_rows_a_share() {
        let cases = [
            ("nothing is held", [0, 0, 0, 0, 0], (200, 100, 50)),
            (
                "the capacity ahead is used up",
                [0, 0, 200, 0, 0],
                (0, 0, 50),
            ),
            ("all that runs is on time", [100, 0, 200, 0, 0], (0, 0, 25)),
            ("and some overdue wait", [100, 0, 200, 0, 20], (0, 0, 5)),
            ("and their share waits", [100, 0, 200, 0, 25], (0, 0, 0)),
            ("half runs and was overdue", [50, 50, 0, 0, 0], (200, 50, 0)),
            ("a little is free", [90, 0, 10, 0, 0], (190, 10, 25)),
            ("pushes are under way", [50, 0, 0, 50, 0], (150, 0, 25)),
            (
                "more than there is capacity for",
                [120, 60, 300, 90, 60],
                (0, 0, 0),
            ),
        ];
        for (case, holding, (on_time, now, overdue)) in cases {
            let wanted = Budget {
                on_time,
                now,
                overdue,
            };
            assert_eq!(budget(100, held(holding), Flow::Moves), wanted, "{case}");
        }
        let one = budget(1, held([1, 0, 2, 0, 0]), Flow::Moves);
        assert_eq!((one.on_time, one.overdue), (0, 1), "a capacity of one task");
    }

    #[test]
    fn nothing_is_claimed_while_all_room_is_taken_and_nothing_ends() {
        let full = held([100, 0, 0, 0, 0]);
        assert_eq!(budget(100, full, Flow::Stands), Budget::NOTHING);
        let free = held([99, 0, 0, 0, 0]);
        assert_eq!(budget(100, free, Flow::Stands).on_time, 200);
    }
}
