//! Six fields, and the days and times of day they name.
//!
//! croner searches the calendar. What it is asked depends on the entry: one with fixed times of
//! day is searched on the bare wall clock and [`clock`] finds the instant; one that follows the
//! clock as it is shown is searched in its zone.

use std::{fmt, sync::Arc};

use chrono::{DateTime, Datelike, TimeZone};
use croner::{
    Cron, YEAR_LOWER_LIMIT, YEAR_UPPER_LIMIT,
    parser::{CronParser, Seconds, Year},
};

use super::{
    clock,
    error::{Fault, Fields, ScheduleError},
    field::{self, FIELDS, Field, Values},
};

/// The longest each month gets, January first. In 400 years each of these days falls on each
/// weekday, so no other day is impossible.
const LONGEST_MONTHS: [u16; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// When an entry with six fields fires.
#[derive(Clone)]
pub(super) struct Calendar {
    /// Shared, because each holds a table of 5,000 years.
    cron: Arc<Cron>,
    times: Times,
}

/// How an entry takes a change of the clock.
#[derive(Clone, Copy, Debug)]
enum Times {
    /// Never fires; searching 3,000 years for it would take long.
    Never,
    /// Second, minute and hour are plain numbers: once a day it is due.
    Fixed,
    /// One of them is a `*`, a step or a range: follows the clock as it is shown.
    Shown,
}

impl Calendar {
    /// Reads six fields.
    pub(super) fn read(expression: &str) -> Result<Self, ScheduleError> {
        let words: Vec<(usize, &str)> = words(expression).collect();
        if let Some(&(offset, word)) = words.first()
            && ["TZ=", "CRON_TZ="].iter().any(|key| word.starts_with(key))
        {
            let zone = word.split_once('=').map_or("", |(_, zone)| zone).to_owned();
            return Err(ScheduleError::new(offset, Fault::TimeZone { zone }));
        }
        let Ok(words) = <[(usize, &str); FIELDS.len()]>::try_from(words.as_slice()) else {
            return Err(wrong_count(expression, &words));
        };

        let mut values = Vec::with_capacity(FIELDS.len());
        for (field, (offset, word)) in FIELDS.iter().zip(words) {
            values.push(field::read(*field, word, offset)?);
        }
        Self::build(&values)
    }

    fn build(values: &[Values]) -> Result<Self, ScheduleError> {
        let of = |field: Field| &values[field as usize];
        // robfig/cron: with a `*` or `?` in a day field both must match, else either may.
        let both = of(Field::DayOfMonth).star || of(Field::DayOfWeek).star;
        let rewritten: Vec<&str> = values.iter().map(|field| field.text.as_str()).collect();
        let cron = CronParser::builder()
            .seconds(Seconds::Required)
            .year(Year::Disallowed)
            .dom_and_dow(both)
            .build()
            .parse(&rewritten.join(" "))
            .map_err(|cause| ScheduleError::new(0, Fault::Calendar(cause.to_string())))?;

        let fixed = [Field::Second, Field::Minute, Field::Hour]
            .into_iter()
            .all(|field| of(field).plain);
        let times = if both && !any_date_exists(&cron) {
            Times::Never
        } else if fixed {
            Times::Fixed
        } else {
            Times::Shown
        };
        Ok(Self {
            cron: Arc::new(cron),
            times,
        })
    }

    pub(super) fn next_after<Tz: TimeZone>(&self, after: &DateTime<Tz>) -> Option<DateTime<Tz>> {
        // Outside these croner finds nothing, and the local time of the very first and last
        // instants cannot be computed.
        if !(YEAR_LOWER_LIMIT..YEAR_UPPER_LIMIT).contains(&after.naive_utc().year()) {
            return None;
        }
        match self.times {
            Times::Never => None,
            Times::Fixed => clock::next_fixed(&self.cron, after),
            Times::Shown => self.cron.find_next_occurrence(after, false).ok(),
        }
    }
}

impl fmt::Debug for Calendar {
    /// Shows what croner was given; its own output has 5,000 years in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calendar")
            .field("cron", &self.cron.as_str())
            .field("times", &self.times)
            .finish()
    }
}

/// Whether one of the days of month exists in one of the months.
fn any_date_exists(cron: &Cron) -> bool {
    let first = cron.pattern.days.values().first().copied();
    let months = cron.pattern.months.values();
    first.is_some_and(|day| {
        months
            .iter()
            .any(|&month| day <= LONGEST_MONTHS[usize::from(month) - 1])
    })
}

/// The words of a text, each with its byte offset.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_whitespace()
        .map(|word| (word.as_ptr().addr() - text.as_ptr().addr(), word))
}

fn wrong_count(expression: &str, words: &[(usize, &str)]) -> ScheduleError {
    let text: Vec<&str> = words.iter().map(|(_, word)| *word).collect();
    let text = text.join(" ");
    match words.len() {
        0 => ScheduleError::new(0, Fault::Empty { fields: Fields }),
        5 => ScheduleError::new(words[0].0, Fault::FiveFields { text }),
        found if found < FIELDS.len() => {
            let end = expression.trim_end().len();
            ScheduleError::new(
                end,
                Fault::TooFew {
                    found,
                    fields: Fields,
                },
            )
        }
        found => {
            let (offset, surplus) = words[FIELDS.len()];
            let surplus = surplus.to_owned();
            ScheduleError::new(
                offset,
                Fault::TooMany {
                    found,
                    surplus,
                    fields: Fields,
                },
            )
        }
    }
}
