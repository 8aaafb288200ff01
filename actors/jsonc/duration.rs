//! Durations as people write them: seconds as a number, or `"90s"`, `"500ms"`, `"1h30m"`.

use std::time::Duration;

use super::sketch::Form;

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The units with their nanoseconds, largest first.
const UNITS: [(&str, u64); 5] = [
    ("d", DAY),
    ("h", HOUR),
    ("m", MINUTE),
    ("s", SECOND),
    ("ms", MILLISECOND),
];

/// The longest duration anything takes: ten years. Added to any clock it still is a time.
pub(crate) const LONGEST: Duration = Duration::from_secs(3_650 * 24 * 3_600);

/// What a key takes, both ends included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) least: Duration,
    pub(crate) most: Duration,
    /// Why, or what to write instead; follows the bounds in the message.
    pub(crate) why: &'static str,
}

impl Bounds {
    pub(crate) fn contain(&self, duration: Duration) -> bool {
        (self.least..=self.most).contains(&duration)
    }

    /// The same of a JSON number, before it is rounded to nanoseconds: a JSON Schema compares the number as it is written.
    pub(crate) fn contain_seconds(&self, number: &str) -> bool {
        let bounds = self.least.as_secs_f64()..=self.most.as_secs_f64();
        number
            .parse()
            .is_ok_and(|seconds| bounds.contains(&seconds))
    }
}

/// Why a text or number is no duration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DurationError {
    /// Nothing is written.
    #[error("an empty string is none")]
    Empty,
    /// Below zero.
    #[error("it may not be negative")]
    Negative,
    /// More than can be counted.
    #[error("it is too long; ten years are the most")]
    TooLong,
    /// Another writing.
    #[error("in another writing")]
    Malformed,
}

/// Reads a JSON number: seconds.
pub(crate) fn seconds(number: &str) -> Result<Duration, DurationError> {
    let seconds: f64 = number.parse().map_err(|_| DurationError::Malformed)?;
    if seconds < 0.0 {
        return Err(DurationError::Negative);
    }
    // Only what is negative or too long is refused here: a JSON number is not NaN.
    Duration::try_from_secs_f64(seconds).map_err(|_| DurationError::TooLong)
}

/// Reads a string: numbers with units, the largest first, each once.
pub(crate) fn parse(text: &str) -> Result<Duration, DurationError> {
    if text.is_empty() {
        return Err(DurationError::Empty);
    }
    if text.starts_with('-') {
        return Err(DurationError::Negative);
    }
    let mut rest = text;
    let mut units = &UNITS[..];
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit() || c == '.');
        let (unit, after) = split(after, |c| c.is_ascii_alphabetic());
        let index = units.iter().position(|(name, _)| *name == unit);
        let index = index.ok_or(DurationError::Malformed)?;
        let part = nanoseconds(number, units[index].1)?;
        total = total.checked_add(part).ok_or(DurationError::TooLong)?;
        units = &units[index + 1..];
        rest = after;
    }
    Ok(Duration::from_nanos(total))
}

/// What a string should have been, for people.
pub(crate) const WRITTEN: &str =
    "a duration such as `90s`, `1h30m` or `500ms` (units `d`, `h`, `m`, `s`, `ms`)";

/// The same in Chinese, for editors.
const WRITTEN_CHINESE: &str =
    "时长，例如 `90s`、`1h30m` 或 `500ms`（单位 `d`、`h`、`m`、`s`、`ms`）";

/// How such a string is written; that it is not empty is not in it.
pub(crate) fn form() -> Form {
    let parts: String = UNITS
        .iter()
        .map(|(unit, _)| format!("([0-9]+(\\.[0-9]+)?{unit})?"))
        .collect();
    Form {
        pattern: format!("^{parts}$"),
        what: WRITTEN,
        chinese: WRITTEN_CHINESE,
    }
}

fn split(text: &str, inside: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !inside(c)).unwrap_or(text.len());
    text.split_at(end)
}

/// `number` (digits, perhaps with a fraction) of units of `unit` nanoseconds, exactly.
fn nanoseconds(number: &str, unit: u64) -> Result<u64, DurationError> {
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) if is_digits(fraction) => (whole, fraction),
        Some(_) => return Err(DurationError::Malformed),
        None => (number, ""),
    };
    if !is_digits(whole) {
        return Err(DurationError::Malformed);
    }
    let whole: u64 = whole.parse().map_err(|_| DurationError::TooLong)?;
    let mut nanos = whole.checked_mul(unit).ok_or(DurationError::TooLong)?;
    let mut place = unit;
    for digit in fraction.bytes() {
        place /= 10;
        let part = place * u64::from(digit - b'0');
        nanos = nanos.checked_add(part).ok_or(DurationError::TooLong)?;
    }
    Ok(nanos)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// A duration as one would write it into a file.
pub(crate) fn show(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0".to_owned();
    }
    UNITS
        .iter()
        .find(|(_, unit)| nanos.is_multiple_of(u128::from(*unit)))
        .map_or_else(
            || format!("{duration:?}"),
            |(name, unit)| format!("{}{name}", nanos / u128::from(*unit)),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_exactly() {
        for (text, millis) in [
            ("90s", 90_000),
            ("3m", 180_000),
            ("500ms", 500),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("1h30m", 5_400_000),
            ("1.5h", 5_400_000),
            ("1d2h3m4s5ms", 93_784_005),
            ("0s", 0),
            ("0.1s", 100),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        use DurationError::{Empty, Malformed, Negative, TooLong};
        for (text, error) in [
            ("", Empty),
            ("-5s", Negative),
            ("5 s", Malformed),
            (" 5s", Malformed),
            ("5x", Malformed),
            ("s", Malformed),
            ("0", Malformed),
            ("90", Malformed),
            ("1m1h", Malformed),
            ("1m1m", Malformed),
            ("1h30", Malformed),
            ("1.s", Malformed),
            (".5s", Malformed),
            ("1.2.3s", Malformed),
            ("5S", Malformed),
            ("五s", Malformed),
            ("1e3s", Malformed),
            ("99999999999999999999s", TooLong),
            ("9999999999999d", TooLong),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn numbers_are_seconds() {
        assert_eq!(seconds("90"), Ok(Duration::from_secs(90)));
        assert_eq!(seconds("0.1"), Ok(Duration::from_millis(100)));
        assert_eq!(seconds("1e2"), Ok(Duration::from_secs(100)));
        assert_eq!(seconds("-0"), Ok(Duration::ZERO));
        assert_eq!(seconds("-1"), Err(DurationError::Negative));
        assert_eq!(seconds("1e99"), Err(DurationError::TooLong));
        assert_eq!(seconds("1e999"), Err(DurationError::TooLong));
    }

    #[test]
    fn a_number_just_outside_its_bounds_is_outside() {
        let bounds = Bounds {
            least: Duration::from_millis(100),
            most: Duration::from_secs(10),
            why: "",
        };
        for (number, is_within) in [
            ("0.1", true),
            ("1e-1", true),
            ("0.09999999999", false),
            ("0.1000000000001", true),
            ("9.99999999999", true),
            ("10", true),
            ("10.0", true),
            ("10.0000000001", false),
        ] {
            assert_eq!(bounds.contain_seconds(number), is_within, "{number}");
        }
    }

    #[test]
    fn durations_are_shown_as_they_are_written() {
        for (millis, shown) in [
            (0, "0"),
            (1, "1ms"),
            (90_000, "90s"),
            (180_000, "3m"),
            (86_400_000, "1d"),
        ] {
            assert_eq!(show(Duration::from_millis(millis)), shown);
        }
        assert_eq!(show(LONGEST), "3650d");
    }
}
