//! Numbers and spans of time, for people.

use super::language::Language;
use crate::store::rows::COUNT_CAP;

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// What stands for a number that is not known.
pub(super) const UNKNOWN: &str = "–";

/// With a comma before each three digits.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Rows of tables are counted up to a cap.
pub(super) fn capped(n: u64) -> String {
    match n > COUNT_CAP {
        true => format!("{}+", count(COUNT_CAP)),
        false => count(n),
    }
}

pub(super) fn known(n: Option<String>) -> String {
    n.unwrap_or_else(|| UNKNOWN.to_owned())
}

/// Bytes, in units of 1,024.
pub(super) fn bytes(n: u64) -> String {
    match n {
        0..1024 => format!("{n} B"),
        1024..1_048_576 => format!("{} KiB", n / 1024),
        _ => format!("{} MiB", n / 1_048_576),
    }
}

impl Language {
    /// Two units at most: `850 ms`, `3.2 s`, `4 min 10 s`, `2 h 5 min`, `3 d 4 h`.
    pub(super) fn span(self, ms: i64) -> String {
        let ms = ms.max(0);
        let two = |large: i64, unit: &str, small: i64, next: &str| match small {
            0 => format!("{large} {unit}"),
            small => format!("{large} {unit} {small} {next}"),
        };
        let [milli, second, minute, hour, day] = self.units();
        match ms {
            ..SECOND_MS => format!("{ms} {milli}"),
            SECOND_MS..10_000 => format!("{}.{} {second}", ms / SECOND_MS, ms % SECOND_MS / 100),
            10_000..MINUTE_MS => format!("{} {second}", ms / SECOND_MS),
            MINUTE_MS..HOUR_MS => two(ms / MINUTE_MS, minute, ms % MINUTE_MS / SECOND_MS, second),
            HOUR_MS..DAY_MS => two(ms / HOUR_MS, hour, ms % HOUR_MS / MINUTE_MS, minute),
            _ => two(ms / DAY_MS, day, ms % DAY_MS / HOUR_MS, hour),
        }
    }

    const fn units(self) -> [&'static str; 5] {
        match self {
            Self::English => ["ms", "s", "min", "h", "d"],
            Self::Chinese => ["毫秒", "秒", "分", "小时", "天"],
        }
    }

    /// One unit, as ages change while they are read.
    pub(super) fn age(self, ms: i64) -> String {
        let [_, second, minute, hour, day] = self.units();
        match ms.max(0) {
            ms @ ..MINUTE_MS => format!("{} {second}", ms / SECOND_MS),
            ms @ MINUTE_MS..HOUR_MS => format!("{} {minute}", ms / MINUTE_MS),
            ms @ HOUR_MS..DAY_MS => format!("{} {hour}", ms / HOUR_MS),
            ms => format!("{} {day}", ms / DAY_MS),
        }
    }

    pub(super) fn ago(self, then_ms: i64, now_ms: i64) -> String {
        self.before_now(self.age(now_ms - then_ms))
    }

    /// Until a moment; that it is now where it is over.
    pub(super) fn until(self, then_ms: i64, now_ms: i64) -> String {
        match then_ms - now_ms {
            ..=0 => self.due_now().to_owned(),
            left => self.ahead_by(self.age(left)),
        }
    }

    /// Seconds that something took on average.
    pub(super) fn seconds(self, seconds: f64) -> String {
        let [milli, second, ..] = self.units();
        match seconds {
            0.0..0.000_95 => format!("{:.2} {milli}", seconds * 1e3),
            0.000_95..0.01 => format!("{:.1} {milli}", seconds * 1e3),
            0.01..1.0 => format!("{:.0} {milli}", seconds * 1e3),
            1.0..10.0 => format!("{seconds:.1} {second}"),
            #[expect(clippy::cast_possible_truncation, reason = "it saturates")]
            _ => self.span((seconds * 1e3) as i64),
        }
    }

    /// How often within a second, or within a minute where that is less than one in ten seconds.
    pub(super) fn rate(self, per_second: f64) -> String {
        let [_, second, minute, ..] = self.units();
        match per_second {
            ..=0.0 => "0".to_owned(),
            rate if rate < 0.1 => format!("{:.1}/{minute}", rate * 60.0),
            rate if rate < 10.0 => format!("{rate:.1}/{second}"),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is above 0, and saturates"
            )]
            rate => format!("{}/{second}", count(rate.round() as u64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_commas_and_a_cap() {
        let counts = [0, 999, 1000, 12_400, 1_234_567].map(count);
        assert_eq!(counts, ["0", "999", "1,000", "12,400", "1,234,567"]);
        assert_eq!([100_000, 100_001].map(capped), ["100,000", "100,000+"]);
        assert_eq!([1, 2048, 3 << 20].map(bytes), ["1 B", "2 KiB", "3 MiB"]);
    }

    #[test]
    fn spans_have_two_units_at_most() {
        let spans = [
            -5,
            850,
            3_250,
            59_999,
            60_000,
            250_000,
            7_500_000,
            273_600_000,
        ];
        assert_eq!(
            spans.map(|ms| Language::English.span(ms)),
            [
                "0 ms",
                "850 ms",
                "3.2 s",
                "59 s",
                "1 min",
                "4 min 10 s",
                "2 h 5 min",
                "3 d 4 h"
            ]
        );
        assert_eq!(Language::Chinese.span(250_000), "4 分 10 秒");
        assert_eq!(Language::English.ago(0, 130_000), "2 min ago");
        assert_eq!(Language::English.until(7_200_000, 0), "in 2 h");
        assert_eq!(Language::Chinese.until(0, 5), "现在");
    }

    #[test]
    fn rates_and_means_have_a_unit_that_fits() {
        let rates = [0.0, 0.05, 1.25, 1234.0].map(|rate| Language::English.rate(rate));
        assert_eq!(rates, ["0", "3.0/min", "1.2/s", "1,234/s"]);
        let means = [0.000_12, 0.004, 0.25, 2.0, 90.0].map(|mean| Language::English.seconds(mean));
        assert_eq!(
            means,
            ["0.12 ms", "4.0 ms", "250 ms", "2.0 s", "1 min 30 s"]
        );
    }
}
