//! What happens rather than lasts: how much of it was said, and for how long it is an alert.

use std::collections::BTreeMap;

use super::Rule;

/// How many of something were said: by the rule, by what the alert is about, and by the kind of thing.
#[derive(Debug, Default)]
pub(crate) struct Said(BTreeMap<(Rule, String), BTreeMap<String, u64>>);

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

impl Said {
    /// How many of these were not said yet.
    pub(super) fn unsaid(&self, rule: Rule, happened: &Happened) -> u64 {
        let said = self.0.get(&(rule, happened.subject.clone()));
        let said = said.and_then(|kinds| kinds.get(&happened.kind));
        happened.count.saturating_sub(said.copied().unwrap_or(0))
    }

    /// What is known of this subject has been said.
    pub(super) fn note(&mut self, rule: Rule, subject: &str, happened: &[Happened]) {
        let of_subject = happened.iter().filter(|one| one.subject == subject);
        let kinds = of_subject.map(|one| (one.kind.clone(), one.count));
        self.0.insert((rule, subject.to_owned()), kinds.collect());
    }
}

/// Whether the last of it is younger than this. What is not and was not said is said by the end of its alert.
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
    fn what_was_said_is_not_said_again_and_what_came_since_is() {
        let mut said = Said::default();
        let rule = Rule::DeadLetters;
        assert_eq!(said.unsaid(rule, &happened("a", 3)), 3);
        said.note(rule, "q", &[happened("a", 3)]);
        assert_eq!(said.unsaid(rule, &happened("a", 3)), 0);
        assert_eq!(said.unsaid(rule, &happened("a", 5)), 2);
        assert_eq!(said.unsaid(rule, &happened("b", 1)), 1);
        assert_eq!(said.unsaid(Rule::Misfires, &happened("a", 3)), 3);
    }

    #[test]
    fn an_event_is_fresh_for_so_long() {
        assert!(is_fresh(0, 999, 1));
        assert!(!is_fresh(0, 1_000, 1));
        assert!(is_fresh(0, i64::MAX - 1, u64::MAX));
    }
}
