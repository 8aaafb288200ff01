//! Cron expressions: when an entry fires next.
//!
//! An expression means what robfig/cron v1 takes it to mean, because that is what the files of
//! the Go project were written for; over clock changes it behaves as Vixie cron does. [`field`]
//! reads the six fields and rewrites them in croner's words, croner knows the calendar, [`clock`]
//! turns its wall clock times into instants, [`every`] reads Go's durations.
//!
//! Pure: the time is an argument, nothing here reads a clock.

use std::{fmt, str::FromStr, time::Duration};

use chrono::{DateTime, TimeDelta, TimeZone};

mod calendar;
mod clock;
mod error;
mod every;
mod field;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use self::calendar::Calendar;
pub use self::error::ScheduleError;
use self::error::{Fault, Fields};

/// What each descriptor stands for, as robfig/cron v1 defines it.
const DESCRIPTORS: [(&str, &str); 7] = [
    ("@yearly", "0 0 0 1 1 *"),
    ("@annually", "0 0 0 1 1 *"),
    ("@monthly", "0 0 0 1 * *"),
    ("@weekly", "0 0 0 * * 0"),
    ("@daily", "0 0 0 * * *"),
    ("@midnight", "0 0 0 * * *"),
    ("@hourly", "0 0 * * * *"),
];

/// When a cron entry fires: six fields, or a descriptor such as `@daily` or `@every 90s`.
///
/// ```
/// use chrono::DateTime;
/// use simplest_script::cron::Schedule;
///
/// let schedule: Schedule = "0 30 2 * * mon-fri".parse()?;
/// let friday = DateTime::parse_from_rfc3339("2026-01-02T12:00:00+01:00")?;
/// let monday = DateTime::parse_from_rfc3339("2026-01-05T02:30:00+01:00")?;
/// assert_eq!(schedule.next_after(&friday), Some(monday));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The fields are second, minute, hour, day of month, month and day of week (0 is Sunday).
/// It is shown as it was written.
#[derive(Clone, Debug)]
pub struct Schedule {
    expression: String,
    timing: Timing,
}

#[derive(Clone, Debug)]
enum Timing {
    Every(Duration),
    Calendar(Calendar),
}

impl Schedule {
    /// The first time it fires strictly after `after`, in the zone of `after`.
    ///
    /// An entry whose second, minute and hour are plain numbers, or lists of them, fires once on
    /// each day it is due: where the clock skips its time, at the first instant after the gap;
    /// where the clock shows its time twice, the first time. All other entries follow the clock
    /// as it is shown. `@every` counts from `after`, without its part of a second.
    ///
    /// `None` means never, such as 31 February; or that `after` is outside the years 1 to 4999.
    pub fn next_after<Tz: TimeZone>(&self, after: &DateTime<Tz>) -> Option<DateTime<Tz>> {
        match &self.timing {
            Timing::Calendar(calendar) => calendar.next_after(after),
            Timing::Every(period) => {
                let start = DateTime::from_timestamp(after.timestamp(), 0)?;
                let next = start.checked_add_signed(TimeDelta::from_std(*period).ok()?)?;
                Some(next.with_timezone(&after.timezone()))
            }
        }
    }

    /// The period of an `@every`, in whole seconds, at least one; `None` for all others.
    pub fn every(&self) -> Option<Duration> {
        match self.timing {
            Timing::Every(period) => Some(period),
            Timing::Calendar(_) => None,
        }
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    /// Reads an expression.
    ///
    /// # Errors
    ///
    /// When robfig/cron v1 refuses it; and for five fields, which nobody should have to guess at.
    fn from_str(expression: &str) -> Result<Self, ScheduleError> {
        let timing = match expression.strip_prefix("@every ") {
            Some(period) => Timing::Every(every::read(period, expression.len() - period.len())?),
            None if expression.trim_start().starts_with('@') => descriptor(expression)?,
            None => Timing::Calendar(Calendar::read(expression)?),
        };
        Ok(Self {
            expression: expression.to_owned(),
            timing,
        })
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.expression)
    }
}

/// Reads a descriptor other than `@every`; its letters are small ones and nothing stands round it.
fn descriptor(expression: &str) -> Result<Timing, ScheduleError> {
    if let Some((_, fields)) = DESCRIPTORS.iter().find(|(name, _)| *name == expression) {
        return Ok(Timing::Calendar(Calendar::read(fields)?));
    }
    let word = expression.trim();
    let offset = expression.len() - expression.trim_start().len();
    let lower = word.to_lowercase();
    let fault = if lower.split_whitespace().next() == Some("@every") {
        Fault::EveryForm
    } else if let Some((name, _)) = DESCRIPTORS.iter().find(|(name, _)| *name == lower) {
        Fault::DescriptorForm {
            found: expression.to_owned(),
            right: name,
        }
    } else {
        Fault::UnknownDescriptor {
            found: word.to_owned(),
            fields: Fields,
        }
    };
    Err(ScheduleError::new(offset, fault))
}
