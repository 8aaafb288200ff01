//! Why an expression is refused, where, and what would be right.

use std::fmt;

use thiserror::Error;

use super::field::Field;

/// Why an expression is not a schedule.
///
/// Shown as one sentence that names the field and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{fault}")]
pub struct ScheduleError {
    offset: usize,
    fault: Fault,
}

impl ScheduleError {
    pub(super) fn new(offset: usize, fault: Fault) -> Self {
        Self { offset, fault }
    }

    /// Where the offending character is, in bytes from the start of the expression.
    ///
    /// The length of the expression where something is missing at its end.
    pub fn offset(&self) -> usize {
        self.offset
    }
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Fault {
    #[error("the expression is empty; write {fields}")]
    Empty { fields: Fields },
    #[error(
        "five fields can be read in two ways: for `second minute hour day-of-month month`, as \
         robfig/cron reads them, write `{text} *`; for `minute hour day-of-month month \
         day-of-week`, as crontab(5) reads them, write `0 {text}`"
    )]
    FiveFields { text: String },
    #[error("{found} of the six fields found; write {fields}")]
    TooFew { found: usize, fields: Fields },
    #[error("{found} fields found, `{surplus}` is one too many (there is no year); write {fields}")]
    TooMany {
        found: usize,
        surplus: String,
        fields: Fields,
    },
    #[error(
        "a time zone does not stand in the expression; leave it out and set the entry's \
         `timezone`, such as `\"timezone\": \"{}\"`",
        if zone.is_empty() { "Asia/Shanghai" } else { zone }
    )]
    TimeZone { zone: String },

    #[error(
        "`{found}` is not known; use `@yearly`, `@annually`, `@monthly`, `@weekly`, `@daily`, \
         `@midnight`, `@hourly` or `@every 1h30m`, or write {fields}"
    )]
    UnknownDescriptor { found: String, fields: Fields },
    #[error("`{found}` must stand alone and in small letters; write `{right}`")]
    DescriptorForm { found: String, right: &'static str },
    #[error(
        "`@every` stands at the start, in small letters, and takes a duration after one space; \
         write it as in `@every 90s` or `@every 1h30m`"
    )]
    EveryForm,
    #[error(
        "`{found}` is not a duration for `@every`; write numbers with a unit each, such as `90s`, \
         `1h30m` or `1.5h`, without spaces"
    )]
    EveryNumber { found: String },
    #[error(
        "`{found}` is not a duration for `@every`: `{number}` has no unit; write `{number}s` for \
         seconds, or one of `ns`, `us`, `ms`, `s`, `m`, `h`"
    )]
    EveryNoUnit { found: String, number: String },
    #[error(
        "`{unit}` is not a unit of time for `@every`; write one of `ns`, `us`, `ms`, `s`, `m`, \
         `h` (a day is `24h`)"
    )]
    EveryUnit { unit: String },
    #[error("`{found}` is negative; `@every` takes a duration of at least `1s`")]
    EveryNegative { found: String },
    #[error("`{found}` is too long for `@every`; write at most `2562047h` (292 years)")]
    EveryTooLong { found: String },

    #[error("{0} holds no value; write {right}", right = .0.right())]
    NoValue(Found),
    #[error("{0} is {what}; write {right}", what = .0.what(), right = .0.right())]
    NotAValue(Found),
    #[error("{0} is out of range; write {right}{sunday}", right = .0.right(), sunday = .0.sunday())]
    OutOfRange(Found),
    #[error("{0} is a range without one of its ends; write both, as in `{low}-{high}`", low = .0.lowest(), high = .0.highest())]
    HalfRange(Found),
    #[error("{0} has two hyphens; write `first-last`, and a comma between ranges")]
    TwoHyphens(Found),
    #[error("{0} is a range that runs backwards; write {turned}", turned = .0.turned())]
    Backwards(Found),
    #[error("{0} is a step of nothing; write `*{part}` for a step of the whole range", part = .0.part)]
    StepOfNothing(Found),
    #[error("{0} has two slashes; write one step, as in `*/5`")]
    TwoSlashes(Found),
    #[error("{0} has a step that is not a whole number above 0; write one such as `*/5`")]
    Step(Found),
    #[error("the calendar refuses the expression: {0}; please report it as a fault of ours")]
    Calendar(String),
}

/// The six fields, in words and as an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fields;

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "six fields, `second minute hour day-of-month month day-of-week`, such as \
             `0 30 2 * * *`",
        )
    }
}

/// A member of a field's list. Shown with the field it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    field: Field,
    part: String,
}

impl Found {
    pub(super) fn new(field: Field, part: &str) -> Self {
        let part = part.to_owned();
        Self { field, part }
    }

    /// What may stand there.
    fn right(&self) -> String {
        let numbers = format!("{} to {}", self.lowest(), self.highest());
        match self.field.names() {
            [first, .., last] => format!("{numbers}, a name from `{first}` to `{last}`, or `*`"),
            _ => format!("{numbers}, or `*`"),
        }
    }

    fn lowest(&self) -> u64 {
        *self.field.range().start()
    }

    fn highest(&self) -> u64 {
        *self.field.range().end()
    }

    /// The two things that a range which runs backwards may have been meant to be.
    fn turned(&self) -> String {
        let range = self.part.split('/').next().unwrap_or_default();
        let (low, high) = range.split_once('-').unwrap_or_default();
        let (first, last) = (self.lowest(), self.highest());
        format!("`{high}-{low}`, or `{low}-{last},{first}-{high}` to go on past the end")
    }

    /// What was taken for a value and is none.
    fn what(&self) -> &'static str {
        if self.part.contains(['L', 'W', '#']) && self.part.contains(|c: char| c.is_ascii_digit())
            || matches!(self.part.as_str(), "L" | "W" | "LW")
        {
            "an extension of other crons (`L`, `W` and `#` are not known here)"
        } else {
            "not a value of that field"
        }
    }

    fn sunday(&self) -> &'static str {
        match (self.field, self.part.contains('7')) {
            (Field::DayOfWeek, true) => " (Sunday is 0)",
            _ => "",
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` in the {} field", self.part, self.field.name())
    }
}
