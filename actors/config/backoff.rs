//! How long a failed job waits before it is tried again.

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
    pub(super) const DEFAULT_MAX: Duration = Duration::from_secs(5 * 60);

    /// The wait after this many failed attempts (1 after the first); `jitter`, from 0 to 1, is
    /// where in its spread the delay lies: 0.5 is the delay itself.
    pub fn delay(&self, failed_attempts: u32, jitter: f64) -> Duration {
        let doublings = failed_attempts.saturating_sub(1);
        let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
        let delay = self.base.saturating_mul(factor).min(self.max);
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
    fn nothing_overflows() {
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
