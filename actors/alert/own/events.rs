//! Events, which happen rather than last: how many of them were reported, and for how long they are an alert.

use std::collections::BTreeMap;

use super::Rule;

/// How many events were reported: by the rule, by the subject of the alert, and by the kind of event.
#[derive(Debug, Default)]
pub(crate) struct Reported(BTreeMap<(Rule, String), BTreeMap<String, u64>>);

/// A count that only grows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Happened {
    pub(super) subject: String,
    /// Within the subject.
    pub(super) kind: String,
    pub(super) count: u64,
    /// When the last of them happened, unix milliseconds.
    pub(super) last_ms: i64,
}

impl Reported {
    /// How many of these were not reported yet.
    pub(super) fn unreported(&self, rule: Rule, happened: &Happened) -> u64 {
        let reported = self.0.get(&(rule, happened.subject.clone()));
        let reported = reported.and_then(|kinds| kinds.get(&happened.kind));
        happened
            .count
            .saturating_sub(reported.copied().unwrap_or(0))
    }

    /// All known events of this subject have been reported.
    pub(super) fn note(&mut self, rule: Rule, subject: &str, happened: &[Happened]) {
        let of_subject = happened.iter().filter(|one| one.subject == subject);
        let kinds = of_subject.map(|one| (one.kind.clone(), one.count));
        self.0.insert((rule, subject.to_owned()), kinds.collect());
    }
}

/// Whether the last event is younger than this. An older one that was not reported is reported by the end of its alert.
pub(super) fn is_fresh(last_ms: i64, now_ms: i64, resolve_after_seconds: u64) -> bool {
    let kept_ms = i64::try_from(resolve_after_seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
    now_ms.saturating_sub(last_ms) < kept_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn happened(kind: &str, count: u64) -> Happened {
        Happened {
            subject: "q".to_owned(),
            kind: kind.to_owned(),
            count,
            last_ms: 0,
        }
    }

    #[test]
    fn each_event_is_reported_once() {
        let mut reported = Reported::default();
        let rule = Rule::DeadLetters;
        assert_eq!(reported.unreported(rule, &happened("a", 3)), 3);
        reported.note(rule, "q", &[happened("a", 3)]);
        assert_eq!(reported.unreported(rule, &happened("a", 3)), 0);
        assert_eq!(reported.unreported(rule, &happened("a", 5)), 2);
        assert_eq!(reported.unreported(rule, &happened("b", 1)), 1);
        assert_eq!(reported.unreported(Rule::Misfires, &happened("a", 3)), 3);
    }

    #[test]
    fn an_event_is_fresh_for_so_long() {
        assert!(is_fresh(0, 999, 1));
        assert!(!is_fresh(0, 1_000, 1));
        assert!(is_fresh(0, i64::MAX - 1, u64::MAX));
    }
}
