//! Which dead letters a page is about, by its URL or a form.

use chrono::{DateTime, SecondsFormat, Utc};

use super::delay::Choice;
use super::language::Language;
use super::moments::{self, shown};
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
    /// What the message or task was called before it died.
    pub(super) original_id: Option<String>,
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
        fault = fault.or_else(|| match (since_ms, until_ms) {
            (Some(since), _) if since > now => {
                Some(t.since_is_ahead(get("since").unwrap_or_default(), shown(since, zone)))
            }
            (Some(since), Some(until)) if until <= since => {
                Some(t.until_is_before(shown(since, zone), shown(until, zone)))
            }
            _ => None,
        });
        // As the command line and the configuration call it.
        let kind = match text("kind").as_deref() {
            Some("table") => Some(KIND_TABLE.to_owned()),
            _ => text("kind"),
        };
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
            original_id: text("id"),
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
            ("id", of(&self.original_id)),
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

    /// Whether nothing but the id of a message or task is asked for, of a source or of any: without a dead letter it has none.
    pub(super) fn is_of_an_id_alone(&self) -> bool {
        let place = DeadLetterFilter {
            kind: self.dead_letters.kind.clone(),
            source: self.dead_letters.source.clone(),
            ..DeadLetterFilter::default()
        };
        self.original_id.is_some()
            && *self
                == Self {
                    dead_letters: place,
                    original_id: self.original_id.clone(),
                    zone: self.zone.clone(),
                    ..Self::default()
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
                kind => t.kind_word(kind),
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

    pub(super) fn original_id(&self) -> &str {
        self.original_id.as_deref().unwrap_or_default()
    }

    /// What no order about all that match can go by: it would have to read them all first.
    pub(super) fn needs_each_row(&self) -> bool {
        self.payload.is_some() || self.original_id.is_some()
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
        assert!(form(&[("id", "7"), ("kind", "redis"), ("source", "s")]).is_of_an_id_alone());
        assert!(!form(&[("id", "7"), ("name", "n")]).is_of_an_id_alone());
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
            ("since", "2999-01-31 12:00", "in the future"),
        ] {
            let fault = form(&[(key, value)]).fault.unwrap();
            assert!(fault.contains(value) && fault.contains(said), "{fault}");
        }
        let turned = form(&[("since", "1h"), ("until", "2h")]).fault.unwrap();
        assert!(turned.contains("not after the beginning"), "{turned}");
        assert_eq!(form(&[("since", "2h"), ("until", "1h")]).fault, None);
    }

    #[test]
    fn a_table_is_one_kind_under_both_of_its_names() {
        assert_eq!(form(&[("kind", "table")]), form(&[("kind", "queue")]));
    }
}
