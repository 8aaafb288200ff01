//! Notices that this machine's clock was set back.

use tokio::time::Instant;

use crate::clock::millis;

/// Less is a clock that is kept in step with others, or a slow commit, and not a clock that was set: a second.
pub(crate) const CLOCK_STEP_MS: i64 = 1000;

/// Compares the time of day with the time that has passed.
#[derive(Debug, Default)]
pub(crate) struct ClockWatch {
    last: Option<(Instant, i64)>,
}

impl ClockWatch {
    /// Whether the clock has been set back since the last call. The first call returns `false`.
    pub(crate) fn was_set_back(&mut self, now: Instant, now_ms: i64) -> bool {
        let last = self.last.replace((now, now_ms));
        last.is_some_and(|(at, at_ms)| now_ms < at_ms + millis(now - at) - CLOCK_STEP_MS)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_that_was_set_back_is_noticed_once() {
        let (mut clock, begin) = (ClockWatch::default(), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        let cases = [
            (0, 1_000_000, false, "the first"),
            (1, 1_001_000, false, "as it goes"),
            (2, 1_001_500, false, "a little slow"),
            (3, 9_000_000, false, "set ahead"),
            (4, 1_004_000, true, "set back"),
            (5, 1_005_000, false, "as it goes"),
        ];
        for (seconds, now_ms, wanted, case) in cases {
            assert_eq!(clock.was_set_back(at(seconds), now_ms), wanted, "{case}");
        }
    }
}
