//! A warning: a flag, and how often is too often.

use std::fmt::{self, Display, Write};
use std::sync::Arc;

use super::added::{Added, WarningError};
use super::counter::Counter;
use crate::store::warnings::Period;

/// Characters of a flag.
const FLAG_CHARS: usize = 255;
/// Periods of one warning. Each is a row that every write changes.
const MOST_PERIODS: usize = 16;
/// A year, in seconds.
const LONGEST_PERIOD: u64 = 366 * 24 * 3600;

/// Counts what goes wrong; when the count reaches a limit within a period, one message goes to the receivers of alerts.
///
/// Counts are shared by all processes that have the same tables and the same environment: handlers of all daemons, cron
/// processes, own code. A period begins with the first count; when its limit is reached one message goes out, and the flag
/// is quiet until the period is over. The next count after that begins another one.
///
/// ```
/// use std::sync::LazyLock;
/// use simplest_script::{Context, JobResult, Message, Warning};
///
/// /// A hundred refusals within a minute, or a thousand within an hour.
/// static REFUSED: LazyLock<Warning> =
///     LazyLock::new(|| Warning::new("pay refused").period(100, 60).period(1_000, 3_600));
///
/// async fn pay(message: Message, _: Context) -> JobResult {
///     if message.payload.is_empty() {
///         REFUSED.add(1, [format!("order {} has no amount", message.id)]);
///     }
///     Ok(())
/// }
/// ```
///
/// Cheap to clone. A warning that is not right counts nothing, is a line in the log, and an error where the
/// [`Added`] is awaited: a flag that is empty, longer than 255 characters or has a NUL; no period, more than 16, a
/// limit of 0, a period of 0 seconds or more than 366 days.
#[derive(Debug, Clone)]
pub struct Warning {
    flag: Arc<str>,
    periods: Arc<[Period]>,
    fault: Option<&'static str>,
}

impl Warning {
    /// A warning of this flag, still without a period.
    pub fn new(flag: impl Into<String>) -> Self {
        let flag: String = flag.into();
        let fault = if flag.is_empty() {
            Some("its flag is empty; a name for the kind of trouble would be right")
        } else if flag.contains('\0') {
            Some("its flag has a NUL in it, which databases refuse")
        } else if flag.chars().nth(FLAG_CHARS).is_some() {
            Some("its flag is longer than 255 characters")
        } else {
            None
        };
        Self {
            flag: flag.into(),
            periods: Arc::new([]),
            fault,
        }
    }

    /// The same warning, with a message when the count reaches `limit` within `seconds`. May be called several times; each
    /// limit is judged by itself.
    #[must_use]
    pub fn period(mut self, limit: u64, seconds: u64) -> Self {
        let fault = if limit == 0 {
            Some("a limit of 0 is always reached; 1 or more would be right")
        } else if seconds == 0 {
            Some("a period of 0 seconds has no counts; 1 or more would be right")
        } else if seconds > LONGEST_PERIOD {
            Some("a period is longer than 366 days")
        } else if self.periods.len() >= MOST_PERIODS {
            Some("it has more than 16 periods")
        } else {
            None
        };
        self.fault = self.fault.or(fault);
        let period = Period {
            limit: i64::try_from(limit).unwrap_or(i64::MAX),
            seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
        };
        if self.fault.is_none() && !self.periods.contains(&period) {
            let mut periods = self.periods.to_vec();
            periods.push(period);
            // One order: it is part of what is counted apart.
            periods.sort_unstable();
            self.periods = periods.into();
        }
        self
    }

    /// Counts, and never waits. The last 20 messages of a period, 200 characters of each, go along with what is sent; each
    /// is also a line in `logs/WarningLog/`.
    ///
    /// The count is in the database a second later. A process that is killed in between loses it; where that matters, await
    /// what is returned, or [`wait`](Added::wait) for it in blocking code. A daemon that stops and a cron process that ends
    /// write their counts before.
    pub fn add<M: Display>(&self, count: u64, messages: impl IntoIterator<Item = M>) -> Added {
        let messages: Vec<String> = messages.into_iter().map(|text| shown(&text)).collect();
        Counter::current().add(self, count, messages)
    }

    /// What is counted.
    pub fn flag(&self) -> &str {
        &self.flag
    }

    pub(super) fn key(&self) -> Result<(&Arc<str>, &Arc<[Period]>), WarningError> {
        let missing = "it has no period; `.period(limit, seconds)` would be right";
        let no_period = self.periods.is_empty().then_some(missing);
        match self.fault.or(no_period) {
            None => Ok((&self.flag, &self.periods)),
            Some(why) => Err(WarningError::Invalid {
                flag: shown_flag(&self.flag),
                why,
            }),
        }
    }
}

/// Unlike `to_string`, this does not panic when a `Display` of business code fails.
fn shown(text: &impl Display) -> String {
    let mut shown = String::new();
    let _ = write!(shown, "{text}");
    shown
}

/// A flag in a line of the log: between quotes, and no longer than a line should be.
fn shown_flag(flag: &str) -> String {
    const SHOWN: usize = 40;
    let mut shown: String = flag.chars().take(SHOWN).collect();
    if flag.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    format!("`{}`", shown.escape_debug())
}

impl Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown_flag(&self.flag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(warning: &Warning) -> &'static str {
        match warning.key() {
            Err(WarningError::Invalid { why, .. }) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_not_right_is_named() {
        let with_period = |flag: &str| Warning::new(flag).period(1, 1);
        for (warning, part) in [
            (with_period(""), "flag is empty"),
            (with_period("a\0b"), "NUL"),
            (with_period(&"付".repeat(256)), "longer than 255"),
            (Warning::new("pay"), "no period"),
            (Warning::new("pay").period(0, 60), "limit of 0"),
            (Warning::new("pay").period(100, 0), "0 seconds"),
            (
                Warning::new("pay").period(100, 60).period(0, 5),
                "limit of 0",
            ),
            (Warning::new("pay").period(1, 40_000_000), "366 days"),
            (
                (1..=17).fold(Warning::new("pay"), |it, n| it.period(n, 60)),
                "more than 16",
            ),
        ] {
            assert!(why(&warning).contains(part), "{}", why(&warning));
        }
        assert!(with_period(&"付".repeat(255)).key().is_ok());
        assert!(with_period("pay ").key().is_ok());
    }

    #[test]
    fn the_same_periods_in_another_order_are_counted_together() {
        let one = Warning::new("pay")
            .period(100, 60)
            .period(5, 1)
            .period(100, 60);
        let other = Warning::new("pay").period(5, 1).period(100, 60);
        assert_eq!(one.key(), other.key());
        assert_eq!(one.key().unwrap().1.len(), 2);
    }

    #[test]
    fn a_fault_shows_its_flag_on_one_short_line() {
        let flag = format!("a\n{}", "x".repeat(400));
        let text = Warning::new(flag)
            .period(1, 1)
            .key()
            .unwrap_err()
            .to_string();
        assert!(
            text.starts_with("warning `a\\nxxx") && text.len() < 120,
            "{text}"
        );
    }
}
