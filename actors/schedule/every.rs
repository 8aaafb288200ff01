//! The durations of `@every`, which are Go's: `1h30m`, `1.5h`, `500ms`.
//!
//! robfig/cron counts in whole seconds: less than one becomes one, what is above is cut off.

use std::time::Duration;

use super::error::{Fault, ScheduleError};

/// Go's units of time, in nanoseconds. The two micro signs look alike: U+00B5 and U+03BC.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// The longest Go duration in nanoseconds, 292 years.
const LONGEST: u64 = i64::MAX as u64;

/// Keeps fractions of a nanosecond exact down to the eighteenth digit.
const SCALE: u128 = 1_000_000_000_000_000_000;

/// Reads a Go duration that begins `offset` bytes into the expression.
pub(super) fn read(text: &str, offset: usize) -> Result<Duration, ScheduleError> {
    let found = text.to_owned();
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(ScheduleError::new(0, Fault::EveryForm));
    }
    if text.starts_with('-') {
        return Err(ScheduleError::new(offset, Fault::EveryNegative { found }));
    }
    if unsigned.is_empty() {
        return Err(ScheduleError::new(offset, Fault::EveryNumber { found }));
    }
    // In Go the one number that needs no unit.
    if unsigned == "0" {
        return Ok(whole_seconds(0));
    }

    let mut total: u64 = 0;
    let mut rest = unsigned;
    while !rest.is_empty() {
        let at = offset + text.len() - rest.len();
        let term = Term::first_of(rest);
        let unit = term
            .unit(text)
            .map_err(|(into_term, fault)| ScheduleError::new(at + into_term, fault))?;
        total = term
            .nanoseconds(unit)
            .and_then(|more| total.checked_add(more))
            .filter(|total| *total <= LONGEST)
            .ok_or_else(|| {
                let found = text.to_owned();
                ScheduleError::new(at, Fault::EveryTooLong { found })
            })?;
        rest = term.rest;
    }
    Ok(whole_seconds(total))
}

/// A number with its unit, such as the `1.5h` of `1.5h30m`; any part may be missing.
struct Term<'a> {
    whole: &'a str,
    fraction: &'a str,
    /// The number as written.
    number: &'a str,
    unit: &'a str,
    rest: &'a str,
}

impl<'a> Term<'a> {
    fn first_of(text: &'a str) -> Self {
        let (whole, after) = digits(text);
        let (fraction, after) = after.strip_prefix('.').map_or(("", after), digits);
        let number = &text[..text.len() - after.len()];
        let unit_end = after.find(|c: char| c == '.' || c.is_ascii_digit());
        let (unit, rest) = after.split_at(unit_end.unwrap_or(after.len()));
        Self {
            whole,
            fraction,
            number,
            unit,
            rest,
        }
    }

    /// The unit in nanoseconds; or what is wrong with this term of `text`, and how far into it.
    fn unit(&self, text: &str) -> Result<u64, (usize, Fault)> {
        let found = text.to_owned();
        if self.whole.is_empty() && self.fraction.is_empty() {
            return Err((0, Fault::EveryNumber { found }));
        }
        if self.unit.is_empty() {
            let number = self.number.to_owned();
            return Err((0, Fault::EveryNoUnit { found, number }));
        }
        if let Some(space) = self.unit.find(char::is_whitespace) {
            return Err((self.number.len() + space, Fault::EveryNumber { found }));
        }
        match UNITS.iter().find(|(name, _)| *name == self.unit) {
            Some((_, nanoseconds)) => Ok(*nanoseconds),
            None => {
                let unit = self.unit.to_owned();
                Err((self.number.len(), Fault::EveryUnit { unit }))
            }
        }
    }

    /// Its length where a unit has `unit` nanoseconds; `None` where that is too many.
    fn nanoseconds(&self, unit: u64) -> Option<u64> {
        let whole: u64 = match self.whole {
            "" => 0,
            digits => digits.parse().ok()?,
        };
        // Each digit is worth a tenth of the one before it.
        let mut worth = u128::from(unit) * SCALE;
        let mut part = 0;
        for digit in self.fraction.bytes() {
            worth /= 10;
            part += worth * u128::from(digit - b'0');
        }
        whole
            .checked_mul(unit)?
            .checked_add(u64::try_from(part / SCALE).ok()?)
    }
}

/// The digits at the start of a text, and what follows them.
fn digits(text: &str) -> (&str, &str) {
    text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    )
}

/// At least a second, and no part of one.
fn whole_seconds(nanoseconds: u64) -> Duration {
    Duration::from_secs(Duration::from_nanos(nanoseconds).as_secs().max(1))
}
