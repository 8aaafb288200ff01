//! How fast dead letters are worked off.

use std::str::FromStr;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::walk::PORTION;

/// Portions a second, at most: that many transactions a second are no load, and dead letters come evenly.
const PORTIONS_A_SECOND: u64 = 10;

/// A number of dead letters per unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    dead_letters: u32,
    per: Duration,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a number of dead letters and a unit: `100/s`, `30/m`, `5/h`".to_owned();
        let (dead_letters, unit) = text.split_once('/').ok_or_else(wrong)?;
        let dead_letters: u32 = dead_letters.parse().map_err(|_| wrong())?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return Err(wrong()),
        };
        if dead_letters == 0 {
            return Err("at least one dead letter: `1/h`".to_owned());
        }
        Ok(Self {
            dead_letters,
            per: Duration::from_secs(seconds),
        })
    }
}

impl Rate {
    fn time_of(self, dead_letters: u64) -> Duration {
        let nanos = self.per.as_nanos() * u128::from(dead_letters) / u128::from(self.dead_letters);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Dead letters of one portion.
    fn portion(self) -> u32 {
        let a_second = u64::from(self.dead_letters) / self.per.as_secs().max(1);
        let portion = (a_second / PORTIONS_A_SECOND).clamp(1, u64::from(PORTION));
        u32::try_from(portion).unwrap_or(PORTION)
    }
}

/// Dead letters in one transaction.
pub(crate) fn portion(rate: Option<Rate>) -> u32 {
    rate.map_or(PORTION, Rate::portion)
}

/// Waits between portions, such that no more dead letters are worked off than the rate allows, from the beginning on: a
/// portion that took long is made up for.
pub(crate) struct Pace {
    rate: Option<Rate>,
    begun: Instant,
    dead_letters: u64,
}

impl Pace {
    pub(crate) fn begin(rate: Option<Rate>) -> Self {
        Self {
            rate,
            begun: Instant::now(),
            dead_letters: 0,
        }
    }

    /// Until the next portion may be worked off.
    pub(crate) async fn wait(&self) {
        if let Some(rate) = self.rate {
            sleep_until(self.begun + rate.time_of(self.dead_letters)).await;
        }
    }

    pub(crate) fn did(&mut self, dead_letters: usize) {
        self.dead_letters += u64::try_from(dead_letters).unwrap_or(u64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_and_a_unit() {
        for (text, portion, of_30) in [
            ("100/s", 10, 300),
            ("1/s", 1, 30_000),
            ("60/m", 1, 30_000),
            ("3600/h", 1, 30_000),
            ("1000000/s", PORTION, 0),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate.portion(), portion, "{text}");
            assert_eq!(rate.time_of(30).as_millis(), of_30, "{text}");
        }
        for wrong in [
            "", "100", "/s", "0/s", "-1/s", "1/d", "1/", "1.5/s", "100/s/s",
        ] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
    }

    #[actix_rt::test]
    async fn no_more_dead_letters_than_the_rate_says_are_worked_off() {
        tokio::time::pause();
        let begun = Instant::now();
        let mut pace = Pace::begin(Some("100/s".parse().unwrap()));
        for portion in 0..30_u32 {
            pace.wait().await;
            let expected = Duration::from_millis(100) * portion;
            let passed = begun.elapsed();
            assert!(
                passed >= expected && passed < expected + Duration::from_millis(20),
                "{portion}: {passed:?}"
            );
            pace.did(10);
        }
        let none = Pace::begin(None);
        none.wait().await;
    }
}
