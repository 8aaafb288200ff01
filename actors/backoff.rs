//! Delays that double: of jobs that failed, of parts that died and are replaced, of what is away, of polls that find
//! nothing.

use std::time::Duration;

/// Each delay lies between 1 - `SPREAD` and 1 + `SPREAD` of itself: jobs that failed together do
/// not come back together.
const SPREAD: f64 = 0.25;

/// Delays that double from `base` to `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first failed attempt.
    pub base: Duration,
    /// The longest wait.
    pub max: Duration,
}

impl Backoff {
    /// The longest wait where none is given.
    pub(crate) const DEFAULT_MAX: Duration = Duration::from_secs(5 * 60);

    /// For what has died and is replaced: neither a busy loop, nor a long wait after a bug that shows seldom.
    pub(crate) const REPLACEMENT: Self = Self {
        base: Duration::from_millis(100),
        max: Duration::from_secs(30),
    };

    /// The wait after this many failed attempts (1 after the first), without jitter.
    pub(crate) fn pause(&self, failed_attempts: u32) -> Duration {
        let doublings = failed_attempts.saturating_sub(1);
        let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.max)
    }

    /// The pauses from the shortest to the longest.
    pub(crate) fn delays(self) -> Delays {
        Delays {
            backoff: self,
            taken: 0,
        }
    }

    /// The wait after this many failed attempts (1 after the first); `jitter`, from 0 to 1, is
    /// where in its spread the delay lies: 0.5 is the delay itself.
    pub fn delay(&self, failed_attempts: u32, jitter: f64) -> Duration {
        let delay = self.pause(failed_attempts);
        let jitter = if jitter.is_nan() {
            0.5
        } else {
            jitter.clamp(0.0, 1.0)
        };
        let spread = 1.0 - SPREAD + 2.0 * SPREAD * jitter;
        // Too long to be counted is longer than `max`.
        Duration::try_from_secs_f64(delay.as_secs_f64() * spread)
            .map_or(self.max, |delay| delay.min(self.max))
    }
}

/// The pauses of one series, each twice as long as the one before; without jitter.
#[derive(Debug, Clone)]
pub(crate) struct Delays {
    backoff: Backoff,
    taken: u32,
}

impl Delays {
    /// The next one.
    pub(crate) fn advance(&mut self) -> Duration {
        self.taken = self.taken.saturating_add(1);
        self.backoff.pause(self.taken)
    }

    /// The next one is the shortest again.
    pub(crate) fn reset(&mut self) {
        self.taken = 0;
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            base: Duration::from_secs(1),
            max: Self::DEFAULT_MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest() {
        let backoff = Backoff::default();
        for (failed, seconds) in [
            (0, 1),
            (1, 1),
            (2, 2),
            (3, 4),
            (9, 256),
            (10, 300),
            (33, 300),
            (u32::MAX, 300),
        ] {
            assert_eq!(
                backoff.delay(failed, 0.5),
                Duration::from_secs(seconds),
                "{failed}"
            );
        }
    }

    #[test]
    fn a_series_begins_anew_once_it_is_reset() {
        let mut delays = Backoff::REPLACEMENT.delays();
        let mut some = |n| -> Vec<u128> { (0..n).map(|_| delays.advance().as_millis()).collect() };
        assert_eq!(
            some(11),
            [
                100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000
            ]
        );
        delays.reset();
        assert_eq!(delays.advance(), Backoff::REPLACEMENT.base);
    }

    #[test]
    fn jitter_spreads_by_a_quarter_and_never_above_the_longest() {
        let backoff = Backoff::default();
        for (failed, jitter, millis) in [
            (3, 0.0, 3_000),
            (3, 1.0, 5_000),
            (3, -7.0, 3_000),
            (3, 7.0, 5_000),
            (3, f64::NAN, 4_000),
            (10, 0.0, 225_000),
            (10, 1.0, 300_000),
        ] {
            assert_eq!(
                backoff.delay(failed, jitter),
                Duration::from_millis(millis),
                "{failed} {jitter}"
            );
        }
    }

    #[test]
    fn a_backoff_does_not_overflow() {
        let backoff = Backoff {
            base: Duration::MAX,
            max: Duration::MAX,
        };
        assert_eq!(backoff.delay(u32::MAX, 1.0), Duration::MAX);
        let backoff = Backoff {
            base: Duration::from_millis(1),
            max: Duration::MAX,
        };
        assert!(backoff.delay(u32::MAX, 0.0) > Duration::from_secs(3_000_000));
    }
}
