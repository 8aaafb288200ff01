//! One outage is two log lines: went away, came back after.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::Instant;

/// The shortest and the longest pause between two tries at something that is away.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Keeps watch over one thing that may be away.
#[derive(Debug)]
pub(crate) struct Outage {
    what: String,
    since: Option<Instant>,
    tries: u32,
}

impl Outage {
    /// `what` begins the log lines: "the database", "queue `orders`".
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            since: None,
            tries: 0,
        }
    }

    /// A try failed. Answers how long to wait before the next.
    pub(crate) fn failed(&mut self, cause: impl Display) -> Duration {
        if self.since.is_none() {
            log::warn!(
                "{} is away, trying again until it is back: {cause}",
                self.what
            );
            self.since = Some(Instant::now());
        }
        let pause = FIRST_PAUSE
            .saturating_mul(1 << self.tries.min(10))
            .min(LONGEST_PAUSE);
        self.tries += 1;
        pause
    }

    /// A try went well.
    pub(crate) fn passed(&mut self) {
        if let Some(since) = self.since.take() {
            let away = since.elapsed().as_secs_f64();
            log::info!("{} is back after {away:.1} s", self.what);
        }
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_start_anew() {
        let mut outage = Outage::new("it");
        let pauses: Vec<u128> = (0..8).map(|_| outage.failed("gone").as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        outage.passed();
        assert_eq!(outage.failed("gone"), FIRST_PAUSE);
    }
}
