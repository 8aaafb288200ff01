//! Callers that push again as soon as they are answered.
//!
//! While one transaction is committed, the pushes of others gather for the next. Were that one begun at once, those that are
//! answered now would find it gone, each time: the crowd would fall into two halves that take turns and pay for twice as
//! many commits. So the next transaction waits a moment for them, as long as they do come back. Nothing but pushes waits.

use std::time::Duration;

/// Fewer are not worth a wait.
const SMALLEST: usize = 8;
/// Who writes again at once does so within that time.
pub(super) const PATIENCE: Duration = Duration::from_millis(1);
/// After they did not come back, so many transactions begin without a wait.
const TRUST_LOST: u32 = 64;

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    wait: Option<Wait>,
    /// Counts the waits.
    turn: u64,
    /// Transactions still to begin without a wait.
    distrust: u32,
}

#[derive(Debug)]
struct Wait {
    /// How many pushes wait when everybody is back.
    all: usize,
    /// So many of them, and they will be waited for again.
    most: usize,
}

/// A wait, for its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn(u64);

impl Crowd {
    /// So many pushes were answered while so many others waited. Some: it is worth a wait, until everybody is back, or
    /// until [`PATIENCE`] is over.
    pub(super) fn answered(&mut self, answered: usize, waiting: usize) -> Option<Turn> {
        self.dismiss();
        if answered < SMALLEST {
            return None;
        }
        if self.distrust > 0 {
            self.distrust -= 1;
            return None;
        }
        self.turn += 1;
        self.wait = Some(Wait {
            all: waiting + answered,
            most: waiting + answered - answered / 8,
        });
        Some(Turn(self.turn))
    }

    /// Whether more are expected than the pushes that wait.
    pub(super) fn awaits_more(&mut self, waiting: usize) -> bool {
        if self.wait.as_ref().is_some_and(|wait| waiting >= wait.all) {
            self.dismiss();
        }
        self.wait.is_some()
    }

    /// The patience of a wait is over, if it still lasts.
    pub(super) fn is_late(&mut self, turn: Turn, waiting: usize) {
        if turn != Turn(self.turn) {
            return;
        }
        if let Some(wait) = self.wait.take()
            && waiting < wait.most
        {
            self.distrust = TRUST_LOST;
        }
    }

    /// Somebody else must not wait.
    pub(super) fn dismiss(&mut self) {
        self.wait = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_back_is_waited_for() {
        let mut crowd = Crowd::default();
        let turn = crowd.answered(30, 34).unwrap();
        assert!(crowd.awaits_more(34) && crowd.awaits_more(63));
        assert!(!crowd.awaits_more(64), "everybody is back");
        crowd.is_late(turn, 0);
        assert!(crowd.answered(64, 0).is_some(), "that wait was over");
        assert!(crowd.answered(SMALLEST - 1, 60).is_none());
    }

    #[test]
    fn who_does_not_is_not_waited_for_again_soon() {
        let mut crowd = Crowd::default();
        let stale = crowd.answered(32, 0).unwrap();
        let turn = crowd.answered(32, 32).unwrap();
        crowd.is_late(stale, 32);
        assert!(crowd.awaits_more(32), "of an earlier wait");
        crowd.is_late(turn, 60);
        assert!(!crowd.awaits_more(60), "its time is over");
        let turn = crowd.answered(32, 32).unwrap();
        crowd.is_late(turn, 59);
        let waits = (0..2 * TRUST_LOST).map(|_| crowd.answered(32, 32).is_some());
        let without = waits.take_while(|waits| !waits).count();
        assert_eq!(u32::try_from(without), Ok(TRUST_LOST));
    }
}
