//! How long a transaction waits for callers that push again as soon as they are answered.
//!
//! While one transaction is committed, the pushes of others gather for the next. Were that one begun at once, those that are
//! answered now would find it gone, each time: the callers would fall into two halves that take turns and pay for twice as
//! many commits. So the next transaction waits a moment for them, as long as they do come back. Nothing but inserts waits.
//!
//! PostgreSQL's `commit_delay` and `commit_siblings` are the same thought; they do not learn.

use std::time::Duration;

/// Fewer callers are not worth a wait.
const SIBLINGS: usize = 8;
/// Who writes again at once does so within that time.
pub(super) const DELAY: Duration = Duration::from_millis(1);
/// One caller in this many may stay away, and the next transaction waits again.
const STAY_AWAY: usize = 8;
/// Transactions that begin without a wait after more stayed away.
const TRUST_LOST: u32 = 64;

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct CommitDelay {
    wait: Option<Wait>,
    /// Counts the waits.
    number: u64,
    /// Transactions still to begin without a wait.
    distrust: u32,
}

#[derive(Debug)]
struct Wait {
    /// How many inserts wait when all callers are back.
    all: usize,
    /// How many are enough to wait again next time.
    enough: usize,
}

/// A wait, for its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WaitNumber(u64);

impl CommitDelay {
    /// `answered` callers of inserts were answered while `waiting` others waited. Some: it is worth a wait, until all
    /// callers are back or the next transaction is full, at most for [`DELAY`].
    pub(super) fn answered(
        &mut self,
        answered: usize,
        waiting: usize,
        full: usize,
    ) -> Option<WaitNumber> {
        self.end();
        if answered < SIBLINGS || waiting >= full {
            return None;
        }
        if self.distrust > 0 {
            self.distrust -= 1;
            return None;
        }
        self.number += 1;
        self.wait = Some(Wait {
            all: (waiting + answered).min(full),
            enough: (waiting + answered - answered / STAY_AWAY).min(full),
        });
        Some(WaitNumber(self.number))
    }

    /// Whether more are waited for than are there.
    pub(super) fn awaits_more(&mut self, there: usize) -> bool {
        if self.wait.as_ref().is_some_and(|wait| there >= wait.all) {
            self.end();
        }
        self.wait.is_some()
    }

    /// The time of a wait is over, if it still lasts.
    pub(super) fn is_late(&mut self, number: WaitNumber, there: usize) {
        if number != WaitNumber(self.number) {
            return;
        }
        if let Some(wait) = self.wait.take()
            && there < wait.enough
        {
            self.distrust = TRUST_LOST;
        }
    }

    /// Somebody else must not wait, or there is no room for more.
    pub(super) fn end(&mut self) {
        self.wait = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: usize = 256;

    #[test]
    fn who_comes_back_is_waited_for() {
        let mut delay = CommitDelay::default();
        let number = delay.answered(30, 34, FULL).unwrap();
        assert!(delay.awaits_more(34) && delay.awaits_more(63));
        assert!(!delay.awaits_more(64), "everybody is back");
        delay.is_late(number, 0);
        assert!(delay.answered(64, 0, FULL).is_some(), "that wait was over");
        assert!(delay.answered(SIBLINGS - 1, 60, FULL).is_none());
    }

    #[test]
    fn a_full_transaction_waits_for_nobody() {
        let mut delay = CommitDelay::default();
        assert!(delay.answered(FULL, FULL, FULL).is_none());
        assert!(delay.answered(FULL, FULL - 1, FULL).is_some());
        assert!(!delay.awaits_more(FULL));
    }

    #[test]
    fn who_does_not_is_not_waited_for_again_soon() {
        let mut delay = CommitDelay::default();
        let stale = delay.answered(32, 0, FULL).unwrap();
        let number = delay.answered(32, 32, FULL).unwrap();
        delay.is_late(stale, 32);
        assert!(delay.awaits_more(32), "of an earlier wait");
        delay.is_late(number, 60);
        assert!(!delay.awaits_more(60), "its time is over");
        let number = delay.answered(32, 32, FULL).unwrap();
        delay.is_late(number, 59);
        let waits = (0..2 * TRUST_LOST).map(|_| delay.answered(32, 32, FULL).is_some());
        let without = waits.take_while(|waits| !waits).count();
        assert_eq!(u32::try_from(without), Ok(TRUST_LOST));
    }
}
