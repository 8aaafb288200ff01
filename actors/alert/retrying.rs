//! How long one message is tried, and when the next time.

use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::{Backoff, Delays};

/// A message that no try has brought over by then is given up.
const RETRY_FOR: Duration = Duration::from_secs(5 * 60);
/// A receiver that names a longer pause than the above is tried once more after it; but none that names more than this.
pub(super) const LONGEST_NAMED: Duration = Duration::from_secs(15 * 60);
/// Where the receiver names no pause.
const BACKOFF: Backoff = Backoff {
    base: Duration::from_secs(1),
    max: Duration::from_secs(60),
};

/// The tries of one message.
pub(super) struct Retrying {
    first: Instant,
    until: Instant,
    delays: Delays,
}

impl Retrying {
    /// From the first try on.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            first: now,
            until: now + RETRY_FOR,
            delays: BACKOFF.delays(),
        }
    }

    /// A try failed: the pause before the next one, or none where it is over. `named` is what the receiver asks for,
    /// `spread` random, from 0 to 1.
    pub(super) fn failed(
        &mut self,
        now: Instant,
        named: Option<Duration>,
        spread: f64,
    ) -> Option<Duration> {
        let usual = self.delays.advance();
        let pause = usual.max(named.unwrap_or_default());
        // Before any sum: a receiver may name a pause that no clock can hold.
        if pause > LONGEST_NAMED {
            return None;
        }
        let is_long = pause > RETRY_FOR;
        if is_long && self.until == self.first + RETRY_FOR {
            self.until = now + pause;
            return Some(pause);
        }
        // So that daemons that were turned away together do not come again together.
        let pause = pause + usual.mul_f64(spread / 4.0);
        (now + pause <= self.until).then_some(pause)
    }

    /// How long it has been tried.
    pub(super) fn lasts(&self, now: Instant) -> Duration {
        now - self.first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds after the first try at which others follow, where the receiver names that pause each time.
    fn tries(named: Option<u64>) -> Vec<u64> {
        let first = Instant::now();
        let (mut now, mut retrying) = (first, Retrying::new(first));
        let mut tries = Vec::new();
        while let Some(pause) = retrying.failed(now, named.map(Duration::from_secs), 0.0) {
            now += pause;
            tries.push((now - first).as_secs());
        }
        tries
    }

    #[test]
    fn a_message_is_tried_for_five_minutes() {
        assert_eq!(tries(None), [1, 3, 7, 15, 31, 63, 123, 183, 243]);
        assert_eq!(tries(Some(100)), [100, 200, 300]);
        assert_eq!(tries(Some(301)), [301], "a long pause is waited for once");
        assert_eq!(tries(Some(600)), [600]);
        assert_eq!(tries(Some(901)), [0; 0]);
        assert_eq!(tries(Some(u64::MAX)), [0; 0]);
    }
}
