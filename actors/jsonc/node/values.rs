//! What a single value is read as: strings, numbers, durations.

use std::{fmt::Display, num::NonZeroU64, ops::RangeInclusive, str::FromStr, time::Duration};

use jsonc_parser::ast::{StringLit, Value};

use super::Node;
use crate::jsonc::duration::{self, Bounds, DurationError};
use crate::jsonc::interpolate::interpolate;
use crate::jsonc::quote;
use crate::jsonc::sketch::{Form, Sketch, Text};

impl<'r> Node<'r> {
    /// `null` as `None`, anything else as `read` has it.
    pub(crate) fn nullable<T>(&self, read: impl FnOnce(&Self) -> Option<T>) -> Option<Option<T>> {
        if self.is_null() {
            self.note(Sketch::null);
            Some(None)
        } else {
            read(self).map(Some)
        }
    }

    /// Any string, with the environment put in.
    pub(crate) fn string(&self) -> Option<String> {
        let Value::StringLit(text) = self.value else {
            return self.wanted("a string");
        };
        self.interpolated(text)
    }

    /// A string that is never shown.
    pub(crate) fn secret_string(&self) -> Option<String> {
        let Value::StringLit(text) = self.value else {
            return self.wanted_secret("a string");
        };
        self.interpolated(text)
    }

    /// A string of 1 to `longest` characters, without NUL, which databases and command lines
    /// cannot hold.
    pub(crate) fn text(&self, longest: usize) -> Option<String> {
        let text = self.string()?;
        self.note_string(|noted| {
            noted.filled = true;
            noted.longest = Some(longest);
        });
        if text.is_empty() {
            return self.wanted("a string that is not empty");
        }
        self.within(&text, longest)?;
        Some(text)
    }

    /// A name of 1 to `longest` characters that a line can show: not blank, without control characters.
    pub(crate) fn name(&self, longest: usize) -> Option<String> {
        let name = self.text(longest)?;
        self.has_form(not_blank);
        self.printable(&name)?;
        Some(name)
    }

    /// Refuses a text that a line of a log could not show.
    pub(crate) fn printable(&self, text: &str) -> Option<()> {
        if let Some((offset, found)) = text.char_indices().find(|(_, c)| c.is_control()) {
            let code = u32::from(found);
            self.fault_inside(
                offset,
                format!("the control character U+{code:04X}, which a name cannot have"),
            );
            return None;
        }
        if text.trim().is_empty() {
            return self.wanted("a name that is not blank");
        }
        Some(())
    }

    /// Checks a string for NUL and its length in characters.
    pub(crate) fn within(&self, text: &str, longest: usize) -> Option<()> {
        self.note_string(|noted| noted.longest = Some(longest));
        if let Some(offset) = text.find('\0') {
            self.fault_inside(
                offset,
                "a NUL character, which no database or command line can hold",
            );
            return None;
        }
        let length = text.chars().count();
        if length > longest {
            self.fault(format!(
                "wanted at most {longest} characters, found {length}"
            ));
            return None;
        }
        Some(())
    }

    /// A string that is a `T`.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(&self) -> Option<T> {
        self.string()?
            .parse()
            .map_err(|error: T::Err| self.fault(error.to_string()))
            .ok()
    }

    /// A string that is a `T`, and may hold a secret: its errors must not repeat it.
    pub(crate) fn parsed_secret<T: FromStr<Err: Display>>(&self) -> Option<T> {
        self.secret_string()?
            .parse()
            .map_err(|error: T::Err| self.fault(error.to_string()))
            .ok()
    }

    /// A whole number of a range.
    pub(crate) fn integer(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let what = format!("a whole number from {} to {}", range.start(), range.end());
        self.integer_as(range, &what)
    }

    /// The same for a number that means something more; `what` describes it.
    pub(crate) fn integer_as(&self, range: RangeInclusive<u64>, what: &str) -> Option<u64> {
        let within = |number: &str| {
            let number: i128 = number.parse().ok()?;
            u64::try_from(number).ok().filter(|n| range.contains(n))
        };
        if self.is_number() {
            self.note(|sketch| sketch.integer(*range.start(), *range.end()));
        }
        match self.value {
            Value::NumberLit(number) => within(number.value).or_else(|| {
                if is_whole_within(number.value, &range) {
                    return self.wanted(format!("{what}, written without point or exponent"));
                }
                self.wanted(what)
            }),
            Value::StringLit(text) if within(text.value.trim()).is_some() => {
                self.wanted(format!("{what}, without quotes"))
            }
            _ => self.wanted(what),
        }
    }

    /// A whole number of a range that fits a smaller type.
    pub(crate) fn small<T: TryFrom<u64>>(&self, range: RangeInclusive<u64>) -> Option<T> {
        let number = self.integer(range)?;
        // Only a range larger than the type can get here; the value is refused all the same.
        T::try_from(number)
            .map_err(|_| self.fault("this number is too large"))
            .ok()
    }

    /// A whole number from 1 to `most`.
    pub(crate) fn positive<T: TryFrom<NonZeroU64>>(&self, most: u64) -> Option<T> {
        let number = NonZeroU64::new(self.integer(1..=most)?)?;
        T::try_from(number)
            .map_err(|_| self.fault("this number is too large"))
            .ok()
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self) -> Option<bool> {
        match self.value {
            Value::BooleanLit(boolean) => {
                self.note(Sketch::boolean);
                Some(boolean.value)
            }
            _ => self.wanted("`true` or `false`"),
        }
    }

    /// One of a few words.
    pub(crate) fn one_of<T: Clone>(&self, words: &[(&str, T)]) -> Option<T> {
        let names = quote::names(words.iter().map(|(word, _)| *word));
        self.one_of_as(words, &format!("one of {names}"))
    }

    /// The same where other values are taken too; `what` describes all of them.
    pub(crate) fn one_of_as<T: Clone>(&self, words: &[(&str, T)], what: &str) -> Option<T> {
        if !self.is_string() {
            return self.wanted(what);
        }
        let text = self.string()?;
        self.takes_only(|| words.iter().map(|(word, _)| *word));
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Some(value.clone()),
            None => self.wanted(what),
        }
    }

    /// Notes that this string is one of those.
    pub(crate) fn takes_only<'w, W: Iterator<Item = &'w str>>(&self, words: impl FnOnce() -> W) {
        self.note_string(|noted| noted.words = words().map(str::to_owned).collect());
    }

    /// Notes what this string may be, among others.
    pub(crate) fn may_be<'w>(&self, examples: impl IntoIterator<Item = &'w String>) {
        self.note_string(|noted| noted.examples = examples.into_iter().cloned().collect());
    }

    /// Notes how this string is written.
    pub(crate) fn has_form(&self, form: impl FnOnce() -> Form) {
        self.note_string(|noted| noted.form = Some(form()));
    }

    /// Notes that this string is not empty.
    pub(crate) fn is_filled(&self) {
        self.note_string(|noted| noted.filled = true);
    }

    /// Notes that this array has one element or more, each once.
    pub(crate) fn has_each_once(&self) {
        if matches!(self.value, Value::Array(_)) {
            self.note(Sketch::each_once);
        }
    }

    fn note_string(&self, note: impl FnOnce(&mut Text)) {
        if self.is_string() {
            self.note(|sketch| sketch.string(note));
        }
    }

    /// A number of seconds, or a string with units.
    pub(crate) fn duration(&self, bounds: &Bounds) -> Option<Duration> {
        let parsed = match self.value {
            Value::NumberLit(number) => {
                let (least, most) = (bounds.least.as_secs_f64(), bounds.most.as_secs_f64());
                self.note(|sketch| sketch.seconds(least, most));
                let within = bounds.contain_seconds(number.value);
                duration::seconds(number.value).map(|duration| within.then_some(duration))
            }
            Value::StringLit(_) => {
                self.has_form(duration::form);
                duration::parse(&self.string()?)
                    .map(|duration| bounds.contain(duration).then_some(duration))
            }
            _ => {
                return self
                    .wanted("a duration: a number of seconds, or a string such as `\"90s\"`");
            }
        };
        match parsed {
            Ok(Some(duration)) => Some(duration),
            Ok(None) => {
                let (least, most) = (duration::show(bounds.least), duration::show(bounds.most));
                self.wanted(format!(
                    "a duration from {least} to {most} ({})",
                    bounds.why
                ))
            }
            Err(DurationError::Malformed) => self.wanted(duration::WRITTEN),
            Err(error) => self.wanted(format!("a duration ({error})")),
        }
    }

    /// Any value, as it is, with the environment put into its strings.
    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        use serde_json::Value as Json;
        if self.pretence.is_some() {
            self.note(Sketch::anything);
            return Some(Json::Null);
        }
        Some(match self.value {
            Value::NullKeyword(_) => Json::Null,
            Value::BooleanLit(boolean) => Json::Bool(boolean.value),
            Value::StringLit(_) => Json::String(self.string()?),
            Value::NumberLit(number) => match serde_json::from_str(number.value) {
                Ok(number) => Json::Number(number),
                Err(_) => return self.wanted("a number that fits 64 bits"),
            },
            Value::Array(_) => {
                let all: Vec<_> = self.array()?.iter().map(Self::json).collect();
                Json::Array(all.into_iter().collect::<Option<_>>()?)
            }
            Value::Object(_) => {
                let all: Vec<_> = self
                    .entries()?
                    .into_iter()
                    .map(|(key, node)| (key, node.json()))
                    .collect();
                let all = all.into_iter().map(|(key, value)| Some((key, value?)));
                Json::Object(all.collect::<Option<_>>()?)
            }
        })
    }

    /// A string, number or boolean as the text it is written as, for what takes all as text.
    pub(crate) fn scalar(&self) -> Option<String> {
        match self.value {
            Value::StringLit(text) => self.interpolated(text),
            Value::NumberLit(number) => {
                self.note(Sketch::number);
                Some(number.value.to_owned())
            }
            Value::BooleanLit(boolean) => {
                self.note(Sketch::boolean);
                Some(boolean.value.to_string())
            }
            _ => self.wanted("a string, a number, `true` or `false`"),
        }
    }

    fn interpolated(&self, text: &StringLit<'r>) -> Option<String> {
        self.note_string(|_| ());
        match interpolate(&text.value, self.file.environment()) {
            Ok(text) => Some(text.into_owned()),
            Err(bad) => {
                bad.into_iter()
                    .for_each(|bad| self.fault_as_written(bad.offset, bad.message));
                None
            }
        }
    }
}

/// Whether a number such as `1.0` or `1e3` is a whole one of the range.
fn is_whole_within(number: &str, range: &RangeInclusive<u64>) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "a hint in a message")]
    let (least, most) = (*range.start() as f64, *range.end() as f64);
    let number = Some(number).filter(|number| number.contains(['.', 'e', 'E']));
    let number = number.and_then(|number| number.parse::<f64>().ok());
    number.is_some_and(|number| number.fract() == 0.0 && (least..=most).contains(&number))
}

/// Blank is what is made of spaces alone; the reader knows other blanks as well, editors not all of them.
fn not_blank() -> Form {
    Form {
        pattern: "[^ ]".to_owned(),
        what: "a name that is not blank",
        chinese: "不能只由空格组成的名称",
    }
}
