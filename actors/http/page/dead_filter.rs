//! Which dead letters a page is about, by its URL or a form.

use chrono::{DateTime, SecondsFormat, Utc};

use super::delay::Choice;
use super::language::Language;
use super::moments;
use super::visit::{Form, Visit};
use crate::clock::now_ms;
use crate::store::dead_letter::{KIND_DELAY, KIND_TABLE};
use crate::store::rows::DeadLetterFilter;

/// `dead_letter.kind`.
const KINDS: [&str; 4] = [KIND_TABLE, "redis", "kafka", KIND_DELAY];

/// See the module's header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) dead_letters: DeadLetterFilter,
    /// In the beginning of the payload.
    pub(super) payload: Option<String>,
    /// The group's name.
    pub(super) group: Option<String>,
    /// As they were typed.
    pub(super) since: String,
    pub(super) until: String,
    pub(super) zone: String,
    /// Why it is not readable.
    pub(super) fault: Option<String>,
}

impl Filter {
    pub(super) fn of(visit: &Visit) -> Self {
        Self::read(visit.t, |key| visit.get(key))
    }

    pub(super) fn of_form(t: Language, form: &Form) -> Self {
        Self::read(t, |key| {
            Some(form.get(key).trim()).filter(|value| !value.is_empty())
        })
    }

    fn read<'a>(t: Language, get: impl Fn(&str) -> Option<&'a str>) -> Self {
        let text = |key: &str| get(key).map(str::to_owned);
        let (now, zone) = (now_ms(), get("zone"));
        let mut fault = None;
        let mut moment = |key: &str| {
            let typed = get(key)?;
            match moments::then(typed, zone, now) {
                Ok(ms) => Some(ms),
                Err(forms) => {
                    fault = Some(t.wrong_moment(typed, forms));
                    None
                }
            }
        };
        let (since_ms, until_ms) = (moment("since"), moment("until"));
        let kind = text("kind");
        if let Some(kind) = kind.as_deref().filter(|kind| !KINDS.contains(kind)) {
            fault = Some(t.wrong_kind(kind, KINDS.join(", ")));
        }
        Self {
            dead_letters: DeadLetterFilter {
                name: text("name"),
                kind,
                exec_cmd: text("cmd"),
                source: text("source"),
                since_ms,
                until_ms,
                error: text("error"),
                ..DeadLetterFilter::default()
            },
            payload: text("payload"),
            group: text("group"),
            since: text("since").unwrap_or_default(),
            until: text("until").unwrap_or_default(),
            zone: text("zone").unwrap_or_default(),
            fault,
        }
    }

    /// For a link, or hidden fields of a form, with others before them.
    pub(super) fn pairs<'a>(&'a self, before: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let of = |value: &'a Option<String>| value.as_deref().unwrap_or_default();
        let mut pairs = before.to_vec();
        pairs.extend([
            ("name", of(&self.dead_letters.name)),
            ("kind", of(&self.dead_letters.kind)),
            ("source", of(&self.dead_letters.source)),
            ("cmd", of(&self.dead_letters.exec_cmd)),
            ("error", of(&self.dead_letters.error)),
            ("since", &self.since),
            ("until", &self.until),
            ("zone", &self.zone),
            ("payload", of(&self.payload)),
            ("group", of(&self.group)),
        ]);
        pairs.retain(|(_, value)| !value.is_empty());
        pairs
    }

    /// With times that stay what they are, however long the reader thinks about it.
    pub(super) fn made_absolute(self) -> Self {
        let absolute = |ms: Option<i64>| {
            let at = DateTime::<Utc>::from_timestamp_millis(ms?)?;
            Some(at.to_rfc3339_opts(SecondsFormat::Millis, true))
        };
        Self {
            since: absolute(self.dead_letters.since_ms).unwrap_or_default(),
            until: absolute(self.dead_letters.until_ms).unwrap_or_default(),
            ..self
        }
    }

    pub(super) fn is_set(&self) -> bool {
        *self
            != Self {
                zone: self.zone.clone(),
                ..Self::default()
            }
    }

    pub(super) fn kinds(&self, t: Language) -> Vec<Choice> {
        let chosen = self.dead_letters.kind.as_deref();
        let choice = |value: &'static str| Choice {
            value,
            label: match value {
                "" => t.any_kind(),
                KIND_TABLE => "table",
                other => other,
            },
            is_chosen: chosen.unwrap_or_default() == value,
        };
        [""].into_iter().chain(KINDS).map(choice).collect()
    }

    pub(super) fn kind(&self) -> &str {
        self.dead_letters.kind.as_deref().unwrap_or_default()
    }

    pub(super) fn name(&self) -> &str {
        self.dead_letters.name.as_deref().unwrap_or_default()
    }

    pub(super) fn source(&self) -> &str {
        self.dead_letters.source.as_deref().unwrap_or_default()
    }

    pub(super) fn cmd(&self) -> &str {
        self.dead_letters.exec_cmd.as_deref().unwrap_or_default()
    }

    pub(super) fn error(&self) -> &str {
        self.dead_letters.error.as_deref().unwrap_or_default()
    }

    pub(super) fn payload(&self) -> &str {
        self.payload.as_deref().unwrap_or_default()
    }

    pub(super) fn group(&self) -> &str {
        self.group.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(fields: &[(&str, &str)]) -> Filter {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let fields: Vec<(String, String)> = fields.iter().map(own).collect();
        Filter::of_form(Language::English, &Form::from(fields))
    }

    #[test]
    fn a_filter_is_what_its_link_says() {
        let filter = form(&[
            ("kind", "redis"),
            ("error", "a&b"),
            ("group", "0a1b"),
            ("payload", " 17 "),
            ("name", ""),
        ]);
        assert_eq!(filter.fault, None);
        assert!(filter.is_set());
        let pairs = filter.pairs(&[("do", "purge")]);
        assert_eq!(
            pairs,
            [
                ("do", "purge"),
                ("kind", "redis"),
                ("error", "a&b"),
                ("payload", "17"),
                ("group", "0a1b")
            ]
        );
        assert_eq!(form(&pairs), filter);
        assert!(!form(&[("zone", "480")]).is_set());
    }

    #[test]
    fn a_time_that_is_confirmed_does_not_move() {
        let filter = form(&[("since", "2h")]).made_absolute();
        let again = form(&filter.pairs(&[]));
        assert_eq!(again.dead_letters.since_ms, filter.dead_letters.since_ms);
    }

    #[test]
    fn what_is_misread_is_a_fault_and_never_left_out() {
        for (key, value, said) in [
            ("since", "noon", "12:00"),
            ("until", "x", "12:00"),
            ("kind", "<b>", "redis"),
        ] {
            let fault = form(&[(key, value)]).fault.unwrap();
            assert!(fault.contains(value) && fault.contains(said), "{fault}");
        }
    }
}
