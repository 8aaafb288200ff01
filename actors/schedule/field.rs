//! One field of an expression, read as robfig/cron v1 reads it and rewritten for croner.
//!
//! The rewriting: `?` becomes `*`, `N/step` becomes `N-max/step`, names become numbers. Nothing
//! is expanded: croner decides by `*` and steps whether an entry follows the clock as it is
//! shown. croner's own additions (`L`, `W`, `#`, `+`, 7 for Sunday) do not get through.

use std::ops::RangeInclusive;

use super::error::{Fault, Found, ScheduleError};

/// The fields, in the order they are written in.
pub(super) const FIELDS: [Field; 6] = [
    Field::Second,
    Field::Minute,
    Field::Hour,
    Field::DayOfMonth,
    Field::Month,
    Field::DayOfWeek,
];

/// Which of the six fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Second,
    Minute,
    Hour,
    DayOfMonth,
    Month,
    DayOfWeek,
}

impl Field {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day-of-month",
            Self::Month => "month",
            Self::DayOfWeek => "day-of-week",
        }
    }

    pub(super) fn range(self) -> RangeInclusive<u64> {
        match self {
            Self::Second | Self::Minute => 0..=59,
            Self::Hour => 0..=23,
            Self::DayOfMonth => 1..=31,
            Self::Month => 1..=12,
            Self::DayOfWeek => 0..=6,
        }
    }

    /// The names of its values, from the lowest on.
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Month => &[
                "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
            ],
            Self::DayOfWeek => &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
            _ => &[],
        }
    }
}

/// The values of a field.
#[derive(Debug)]
pub(super) struct Values {
    /// The field in croner's words.
    pub(super) text: String,
    /// Whether a `*` or `?` stands in it, alone, in a list or before a step.
    pub(super) star: bool,
    /// Whether it is nothing but a number, or a list of them.
    pub(super) plain: bool,
}

/// Reads a field: a list of ranges. As in robfig/cron, commas may stand alone.
pub(super) fn read(field: Field, word: &str, offset: usize) -> Result<Values, ScheduleError> {
    let mut values = Values {
        text: String::new(),
        star: false,
        plain: true,
    };
    let only = word.split(',').filter(|part| !part.is_empty()).count() == 1;
    let mut at = offset;
    for part in word.split(',') {
        if !part.is_empty() {
            let reader = Reader {
                field,
                part,
                offset: at,
            };
            reader.read(only, &mut values)?;
        }
        at += part.len() + ",".len();
    }
    if values.text.is_empty() {
        let found = Found::new(field, word);
        return Err(ScheduleError::new(offset, Fault::NoValue(found)));
    }
    Ok(values)
}

/// Reads one member of a list: `*`, `N` or `N-M`, perhaps with a step.
struct Reader<'a> {
    field: Field,
    part: &'a str,
    /// Where `part` begins in the expression.
    offset: usize,
}

impl Reader<'_> {
    fn read(&self, only: bool, values: &mut Values) -> Result<(), ScheduleError> {
        let (range, step) = match self.part.split_once('/') {
            Some((range, step)) => (range, Some(self.step(step, range.len() + 1)?)),
            None => (self.part, None),
        };
        let text = match range.split_once('-') {
            // robfig/cron does not read what follows `*-`.
            Some(("*" | "?", _)) => self.star(step, only, values),
            None if matches!(range, "*" | "?") => self.star(step, only, values),
            Some((low, high)) => {
                if let Some(second) = high.find('-') {
                    return Err(self.fault(low.len() + 1 + second, Fault::TwoHyphens));
                }
                if low.is_empty() || high.is_empty() {
                    return Err(self.fault(low.len(), Fault::HalfRange));
                }
                let (first, last) = (self.value(low, 0)?, self.value(high, low.len() + 1)?);
                if first > last {
                    return Err(self.fault(0, Fault::Backwards));
                }
                values.plain = false;
                between(first, last, step)
            }
            None if range.is_empty() => return Err(self.fault(0, Fault::StepOfNothing)),
            None => {
                let first = self.value(range, 0)?;
                match step {
                    None => first.to_string(),
                    Some(_) => {
                        values.plain = false;
                        between(first, *self.field.range().end(), step)
                    }
                }
            }
        };
        if !values.text.is_empty() {
            values.text.push(',');
        }
        values.text.push_str(&text);
        Ok(())
    }

    fn star(&self, step: Option<u64>, only: bool, values: &mut Values) -> String {
        values.star = true;
        values.plain = false;
        match step {
            None if only => "*".to_owned(),
            // croner knows a bare `*` only where it stands alone.
            None => "*/1".to_owned(),
            Some(step) => format!("*/{step}"),
        }
    }

    /// A number or a name that the field has.
    fn value(&self, text: &str, at: usize) -> Result<u64, ScheduleError> {
        let range = self.field.range();
        let mut named = (*range.start()..).zip(self.field.names());
        if let Some((value, _)) = named.find(|(_, name)| name.eq_ignore_ascii_case(text)) {
            return Ok(value);
        }
        if let Some(strange) = strange(text) {
            return Err(self.fault(at + strange, Fault::NotAValue));
        }
        match text.parse() {
            Ok(value) if range.contains(&value) => Ok(value),
            _ => Err(self.fault(at, Fault::OutOfRange)),
        }
    }

    /// A step, at most one above the field's range: from there on all mean the first value only.
    fn step(&self, text: &str, at: usize) -> Result<u64, ScheduleError> {
        if let Some(second) = text.find('/') {
            return Err(self.fault(at + second, Fault::TwoSlashes));
        }
        if text.is_empty() {
            return Err(self.fault(at - 1, Fault::Step));
        }
        if let Some(strange) = strange(text) {
            return Err(self.fault(at + strange, Fault::Step));
        }
        // Go's `int` is where robfig/cron ends.
        match text
            .parse::<i64>()
            .ok()
            .and_then(|step| u64::try_from(step).ok())
        {
            Some(step) if step > 0 => Ok(step.min(self.field.range().end() + 1)),
            _ => Err(self.fault(at, Fault::Step)),
        }
    }

    /// A fault of this member, `at` bytes into it.
    fn fault(&self, at: usize, fault: fn(Found) -> Fault) -> ScheduleError {
        ScheduleError::new(self.offset + at, fault(Found::new(self.field, self.part)))
    }
}

/// `first-last/step` for croner. It takes a field with one value for a fixed time of day, unless
/// the step is above 1; and here a range or a step is written, which follows the clock as shown.
fn between(first: u64, last: u64, step: Option<u64>) -> String {
    let least = if first == last { 2 } else { 1 };
    match step.unwrap_or(1).max(least) {
        1 => format!("{first}-{last}"),
        step => format!("{first}-{last}/{step}"),
    }
}

/// Where a number has something that is not an ASCII digit; behind a `*`, what follows it.
fn strange(text: &str) -> Option<usize> {
    let star = if text.len() > 1 && text.starts_with('*') {
        1
    } else {
        0
    };
    let digits = text[star..].find(|c: char| !c.is_ascii_digit());
    digits.map(|at| at + star).or((star > 0).then_some(0))
}
