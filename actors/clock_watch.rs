//! Notices that this machine's clock was set back.

use crate::clock::Moment;

/// Less is a clock that is kept in step with others, or a slow commit, and not a clock that was set: a second.
pub(crate) const CLOCK_STEP_MS: i64 = 1000;

/// Compares the time of day with the time that has passed, asleep or not.
#[derive(Debug, Default)]
pub(crate) struct ClockWatch {
    last_ahead_ms: Option<i64>,
}

impl ClockWatch {
    /// Whether the clock has been set back since the last call. The first call returns `false`.
    pub(crate) fn was_set_back(&mut self, now: Moment) -> bool {
        let ahead_ms = now.wall_ahead_ms();
        let last = self.last_ahead_ms.replace(ahead_ms);
        last.is_some_and(|last| ahead_ms < last - CLOCK_STEP_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::jumps;

    #[test]
    fn a_clock_that_was_set_back_is_noticed_once() {
        let mut clock = ClockWatch::default();
        let mut seen = |wanted: bool, case: &str| {
            assert_eq!(clock.was_set_back(Moment::now()), wanted, "{case}");
        };
        seen(false, "the first");
        seen(false, "as it goes");
        jumps::jump(9);
        seen(false, "set ahead");
        jumps::sleep(7200);
        jumps::jump(-9);
        seen(true, "set back, after a sleep that was longer");
        seen(false, "as it goes");
    }
}
