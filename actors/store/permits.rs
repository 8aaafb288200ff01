//! The arithmetic of a limit: when the next permits are free. Pure.
//!
//! The generic cell rate algorithm: one moment is kept, from which on the next permit is free. Each permit moves it by the interval
//! of the rate. So a limit is one number, wherever it is kept, and a queue that stood still has saved up nothing.

use std::time::Duration;

/// Permits that were not asked for in time may be asked for this much later: a consumer that asks five times a second
/// comes some milliseconds late each time, and the rate would never be reached.
pub(crate) const CATCH_UP_US: i64 = 200_000;

/// Asks for permits of one limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PermitAsk {
    /// What the limit is known by.
    pub(crate) name: String,
    /// For people.
    pub(crate) shown: String,
    pub(crate) interval_ns: i64,
    /// All of them, or none.
    pub(crate) permits: u32,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Granted {
    /// All that were asked for.
    Permits(u32),
    /// No permit before this time has passed.
    Wait(Duration),
}

impl PermitAsk {
    /// Microseconds that the permits last.
    pub(crate) fn lasts_us(&self) -> i64 {
        let nanos = i128::from(self.interval_ns) * i128::from(self.permits);
        i64::try_from(nanos / 1000).unwrap_or(i64::MAX).max(1)
    }

    /// `free_us`: from when on the next permit is free, unix microseconds, as is `now_us`. Answers the same for afterwards.
    pub(crate) fn grant(&self, free_us: i64, now_us: i64) -> (i64, Granted) {
        let lasts_us = self.lasts_us();
        // Further ahead than one portion it cannot be, unless the clock was set back.
        let free_us = free_us.min(now_us.saturating_add(lasts_us));
        let from_us = free_us.max(now_us.saturating_sub(CATCH_UP_US));
        match u64::try_from(from_us - now_us) {
            Ok(wait_us) if wait_us > 0 => (free_us, Granted::Wait(Duration::from_micros(wait_us))),
            _ => (
                from_us.saturating_add(lasts_us),
                Granted::Permits(self.permits),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(interval_ms: i64, permits: u32) -> PermitAsk {
        PermitAsk {
            name: String::new(),
            shown: String::new(),
            interval_ns: interval_ms * 1_000_000,
            permits,
        }
    }

    /// Permits that callers that ask in turns get in this time, each asking again at once or when it may.
    fn granted(ask: &PermitAsk, late_us: i64, for_us: i64) -> u32 {
        let start = 1_764_000_000_000_000;
        let (mut now, mut free, mut all) = (start, 0, 0);
        while now < start + for_us {
            let (after, granted) = ask.grant(free, now);
            free = after;
            match granted {
                Granted::Permits(permits) => all += permits,
                Granted::Wait(wait) => now += i64::try_from(wait.as_micros()).unwrap() + late_us,
            }
        }
        all
    }

    #[test]
    fn the_rate_is_reached_and_not_exceeded() {
        let second = 1_000_000;
        for late_us in [0, 1_000, 30_000, 150_000] {
            let all = granted(&ask(10, 20), late_us, 10 * second);
            assert!((980..=1040).contains(&all), "late by {late_us}: {all}");
        }
        assert_eq!(
            granted(&ask(1000, 1), 0, 10 * second),
            11,
            "the first at once, and what is made up for"
        );
        assert_eq!(granted(&ask(1_200_000, 1), 0, 3500 * second), 3);
    }

    #[test]
    fn what_stood_still_has_saved_up_nothing() {
        let ask = ask(10, 20);
        let now = 1_764_000_000_000_000;
        let (free, granted) = ask.grant(0, now);
        assert_eq!(
            (free, granted),
            (now - CATCH_UP_US + 200_000, Granted::Permits(20))
        );
        let (free, granted) = ask.grant(free, now);
        assert_eq!((free, granted), (now + 200_000, Granted::Permits(20)));
        let wait = Granted::Wait(Duration::from_millis(200));
        assert_eq!(ask.grant(free, now), (free, wait));
    }

    #[test]
    fn a_clock_that_was_set_back_stops_nobody_for_long() {
        let ask = ask(10, 20);
        let now = 1_764_000_000_000_000;
        let (_, granted) = ask.grant(now + 3_600_000_000, now);
        assert_eq!(granted, Granted::Wait(Duration::from_millis(200)));
    }
}
