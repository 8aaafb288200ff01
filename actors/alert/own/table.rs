//! The alerts that fire, and the words about them: the only place that knows an alert's life. Pure: time is an
//! argument.
//!
//! **A condition that comes and goes.** The first end is reported at once. An alert that fires again within
//! [`FLAPPING`] of its end is resolved only when its condition was gone for that long. So one that flaps, however fast,
//! is two pairs of messages at first, and then at most one pair each [`FLAPPING`].
//!
//! **Events during an alert** are reported when it is repeated, or by its end: no count is kept back, and none keeps an
//! alert from its end.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::rules::Found;
use super::{Condition, Rule};
use crate::alert::{Notice, NoticeKind, Severity};
use crate::clock::now_utc;

/// Time after which an alert that lasts is reported again.
const REPEATED_EVERY: Duration = Duration::from_secs(3600);
/// See the module's header.
const FLAPPING: Duration = Duration::from_secs(5 * 60);

type Key = (Rule, String);

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct Table {
    firing: BTreeMap<Key, Firing>,
    /// When alerts ended that may come back.
    ended: BTreeMap<Key, Instant>,
}

/// One alert.
#[derive(Debug)]
struct Firing {
    severity: Severity,
    /// The first line of all words about it.
    summary: String,
    since: DateTime<Utc>,
    reported_at: Instant,
    /// Since when its condition does not hold.
    gone_since: Option<Instant>,
    /// It came back soon after its end.
    flaps: bool,
}

/// One notice to send, and its rule.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) rule: Rule,
    pub(super) notice: Notice,
}

/// When it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) now: Instant,
    pub(super) utc: DateTime<Utc>,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self {
            now: Instant::now(),
            utc: now_utc(),
        }
    }
}

impl Table {
    /// What has changed. Rules that are not in `found` are switched off, and hold for nothing.
    pub(super) fn apply(&mut self, found: &[Found], at: Moment) -> Vec<Word> {
        self.ended
            .retain(|_, ended| at.now.saturating_duration_since(*ended) < FLAPPING);
        let mut words = Vec::new();
        for found in found {
            for condition in &found.findings.conditions {
                words.extend(self.holds(found, condition, at));
            }
        }
        words.extend(self.resolve_what_is_gone(found, at));
        words
    }

    /// The daemon stops. Events that were not reported are reported; alerts that only a living daemon can report are
    /// resolved.
    pub(super) fn finish(&mut self, found: &[Found], at: Moment) -> Vec<Word> {
        let mut words = Vec::new();
        let events = found.iter().filter(|one| !one.rule.ends_with_the_daemon());
        for found in events {
            let news = found.findings.conditions.iter().filter(|one| one.is_news);
            for condition in news {
                let key = (found.rule, condition.subject.clone());
                if let Some(firing) = self.firing.get_mut(&key) {
                    let repeated = firing.word(NoticeKind::Repeated, &key, condition.details(), at);
                    words.push(repeated);
                } else {
                    words.extend(self.holds(found, condition, at));
                }
            }
        }
        self.firing.retain(|key, firing| {
            if !key.0.ends_with_the_daemon() {
                return true;
            }
            let why = "resolved because this daemon stops; the next one reports whether it lasts";
            words.push(firing.word(NoticeKind::Resolved, key, vec![why.to_owned()], at));
            false
        });
        words
    }

    fn holds(&mut self, found: &Found, condition: &Condition, at: Moment) -> Option<Word> {
        let key = (found.rule, condition.subject.clone());
        if let Some(firing) = self.firing.get_mut(&key) {
            if condition.is_over {
                return None;
            }
            firing.gone_since = None;
            let is_old = at.now.saturating_duration_since(firing.reported_at) >= REPEATED_EVERY;
            return is_old
                .then(|| firing.word(NoticeKind::Repeated, &key, condition.details(), at));
        }
        let since = DateTime::from_timestamp_millis(condition.since_ms);
        let mut firing = Firing {
            severity: found.severity,
            summary: condition.summary.clone(),
            since: since.map_or(at.utc, |since| since.min(at.utc)),
            reported_at: at.now,
            gone_since: None,
            flaps: self.ended.contains_key(&key),
        };
        let kind = match condition.is_inherited {
            true => NoticeKind::Repeated,
            false => NoticeKind::Firing,
        };
        let word = firing.word(kind, &key, condition.details(), at);
        self.firing.insert(key, firing);
        Some(word)
    }

    fn resolve_what_is_gone(&mut self, found: &[Found], at: Moment) -> Vec<Word> {
        let mut words = Vec::new();
        let ended = &mut self.ended;
        self.firing.retain(|key, firing| {
            let (rule, subject) = key;
            let found = found.iter().find(|found| found.rule == *rule);
            let condition = found.and_then(|found| {
                let mut conditions = found.findings.conditions.iter();
                conditions.find(|condition| condition.subject == *subject)
            });
            let is_unknown = found.is_some_and(|found| found.findings.unknown.covers(subject));
            // An alert that was over before it was reported has just been reported, and ends with the next poll.
            let holds = |condition: &Condition| !condition.is_over || firing.reported_at == at.now;
            if is_unknown || condition.is_some_and(holds) {
                return true;
            }
            let gone_since = *firing.gone_since.get_or_insert(at.now);
            let gone_for = at.now.saturating_duration_since(gone_since);
            if firing.flaps && gone_for < FLAPPING {
                return true;
            }
            let unreported = condition.filter(|condition| condition.is_news);
            let details = unreported.map_or_else(Vec::new, Condition::details);
            words.push(firing.word(NoticeKind::Resolved, key, details, at));
            ended.insert(key.clone(), at.now);
            false
        });
        words
    }
}

impl Firing {
    fn word(&mut self, kind: NoticeKind, key: &Key, details: Vec<String>, at: Moment) -> Word {
        self.reported_at = at.now;
        let (rule, subject) = key;
        Word {
            rule: *rule,
            notice: Notice {
                kind,
                rule: rule.name().to_owned(),
                subject: subject.clone(),
                severity: self.severity,
                summary: self.summary.clone(),
                details,
                started_at: self.since,
                ended_at: (kind == NoticeKind::Resolved).then_some(at.utc),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::{Findings, Unknown};
    use super::*;

    struct Clock {
        begun: Instant,
        s: u64,
    }

    impl Clock {
        fn new() -> Self {
            let begun = Instant::now();
            Self { begun, s: 0 }
        }

        fn at(&self) -> Moment {
            let s = i64::try_from(self.s).unwrap();
            Moment {
                now: self.begun + Duration::from_secs(self.s),
                utc: DateTime::from_timestamp(1_800_000_000 + s, 0).unwrap(),
            }
        }
    }

    fn condition(subject: &str, text: &str) -> Condition {
        Condition {
            subject: subject.to_owned(),
            since_ms: 1_800_000_000_000,
            summary: format!("`{subject}`: the first line"),
            text: text.to_owned(),
            ..Condition::default()
        }
    }

    fn found(rule: Rule, conditions: Vec<Condition>) -> Found {
        Found {
            rule,
            severity: Severity::Warning,
            findings: conditions.into(),
            panic: None,
        }
    }

    fn kinds(words: &[Word]) -> Vec<(NoticeKind, &str)> {
        let each = words.iter();
        each.map(|word| (word.notice.kind, word.notice.subject.as_str()))
            .collect()
    }

    #[test]
    fn an_alert_fires_repeats_hourly_and_resolves() {
        let (mut table, mut clock) = (Table::default(), Clock::new());
        let mut reported = Vec::new();
        for s in 0..8_000_u64 {
            clock.s = s;
            let lasts = s < 7_500;
            let text = format!("number {s}");
            let now = match lasts {
                true => vec![condition("q", &text)],
                false => Vec::new(),
            };
            reported.extend(table.apply(&[found(Rule::Lag, now)], clock.at()));
        }
        let seconds: Vec<i64> = reported
            .iter()
            .map(|word| {
                word.notice
                    .ended_at
                    .unwrap_or(word.notice.started_at)
                    .timestamp()
            })
            .collect();
        use NoticeKind::{Firing, Repeated, Resolved};
        let wanted = [
            (Firing, "q"),
            (Repeated, "q"),
            (Repeated, "q"),
            (Resolved, "q"),
        ];
        assert_eq!(kinds(&reported), wanted);
        assert_eq!(seconds[3], 1_800_007_500);
        assert_eq!(reported[1].notice.details, ["number 3600"]);
        let first = &reported[0].notice;
        for word in &reported {
            assert_eq!(word.notice.summary, first.summary);
            assert_eq!(word.notice.started_at, first.started_at);
        }
        assert!(table.firing.is_empty());
    }

    #[test]
    fn alerts_are_apart_by_rule_and_subject() {
        let (mut table, clock) = (Table::default(), Clock::new());
        let all = [
            found(Rule::Lag, vec![condition("a", ""), condition("b", "")]),
            found(Rule::Disk, vec![condition("a", "")]),
        ];
        assert_eq!(table.apply(&all, clock.at()).len(), 3);
        assert_eq!(table.apply(&all, clock.at()), []);
        let left = [found(Rule::Lag, vec![condition("b", "")])];
        let words = table.apply(&left, clock.at());
        let resolved: Vec<(Rule, &str)> = words
            .iter()
            .map(|word| (word.rule, word.notice.subject.as_str()))
            .collect();
        assert_eq!(resolved, [(Rule::Lag, "a"), (Rule::Disk, "a")]);
    }

    #[test]
    fn unknown_findings_keep_their_alert_as_it_was() {
        let (mut table, clock) = (Table::default(), Clock::new());
        let all = [
            found(
                Rule::Disk,
                vec![condition("data", ""), condition("logs", "")],
            ),
            found(Rule::LateTasks, vec![condition("", "")]),
            found(Rule::Lag, vec![condition("q", "")]),
        ];
        table.apply(&all, clock.at());
        let unknown = |rule, unknown| Found {
            findings: Findings {
                conditions: Vec::new(),
                unknown,
            },
            ..found(rule, Vec::new())
        };
        let all = [
            unknown(Rule::Disk, Unknown::Of(vec!["logs".to_owned()])),
            unknown(Rule::LateTasks, Unknown::All),
            unknown(Rule::Lag, Unknown::Nothing),
        ];
        let words = table.apply(&all, clock.at());
        use NoticeKind::Resolved;
        assert_eq!(kinds(&words), [(Resolved, "q"), (Resolved, "data")]);
    }

    #[test]
    fn a_condition_that_comes_and_goes_is_few_messages() {
        for period in [1, 7, 59, 61, 299] {
            let (mut table, mut clock) = (Table::default(), Clock::new());
            let mut words = 0;
            for s in 0..3_600_u64 {
                clock.s = s;
                let now = match s / period % 2 {
                    0 => vec![condition("q", "")],
                    _ => Vec::new(),
                };
                words += table.apply(&[found(Rule::Lag, now)], clock.at()).len();
            }
            assert!((3..=4).contains(&words), "{period}: {words}");
        }
        // Beyond that each time is an alert of its own: one pair in ten minutes.
        let (mut table, mut clock) = (Table::default(), Clock::new());
        let mut words = 0;
        for s in 0..3_600_u64 {
            clock.s = s;
            let now = match s / 301 % 2 {
                0 => vec![condition("q", "")],
                _ => Vec::new(),
            };
            words += table.apply(&[found(Rule::Lag, now)], clock.at()).len();
        }
        assert_eq!(words, 12);
    }

    #[test]
    fn an_alert_that_flapped_is_resolved_in_the_end() {
        let (mut table, mut clock) = (Table::default(), Clock::new());
        let mut reported = Vec::new();
        for s in 0..1_000_u64 {
            clock.s = s;
            let now = match s {
                0 | 20 => vec![condition("q", "")],
                _ => Vec::new(),
            };
            reported.extend(table.apply(&[found(Rule::Lag, now)], clock.at()));
        }
        use NoticeKind::{Firing, Resolved};
        let wanted = [
            (Firing, "q"),
            (Resolved, "q"),
            (Firing, "q"),
            (Resolved, "q"),
        ];
        assert_eq!(kinds(&reported), wanted);
        let end = reported[3].notice.ended_at.unwrap().timestamp();
        assert_eq!(end, 1_800_000_321, "five minutes after it was seen last");
    }

    #[test]
    fn the_end_reports_what_was_not_reported() {
        let (mut table, mut clock) = (Table::default(), Clock::new());
        let late = |is_news| Condition {
            is_over: true,
            is_news,
            ..condition("q", "2 since the last word")
        };
        let mut poll = |s, conditions| {
            clock.s = s;
            table.apply(&[found(Rule::DeadLetters, conditions)], clock.at())
        };
        use NoticeKind::{Firing, Resolved};
        assert_eq!(kinds(&poll(0, vec![condition("q", "1")])), [(Firing, "q")]);
        assert_eq!(poll(5, vec![condition("q", "2 since the last word")]), []);
        let words = poll(10, vec![late(true)]);
        assert_eq!(kinds(&words), [(Resolved, "q")]);
        assert_eq!(words[0].notice.details, ["2 since the last word"]);
        assert_eq!(poll(11, Vec::new()), []);
        // Over before any poll saw it: reported, and then ended.
        let words = poll(1_000, vec![late(true)]);
        assert_eq!(kinds(&words), [(Firing, "q")]);
        let words = poll(1_005, Vec::new());
        assert_eq!(kinds(&words), [(Resolved, "q")]);
        assert!(words[0].notice.details.is_empty());
    }

    #[test]
    fn what_an_earlier_daemon_left_is_repeated_and_resolved() {
        let (mut table, clock) = (Table::default(), Clock::new());
        let left = Condition {
            is_inherited: true,
            ..condition("report", "failed")
        };
        use NoticeKind::{Repeated, Resolved};
        let all = [found(Rule::CronRuns, vec![left])];
        assert_eq!(
            kinds(&table.apply(&all, clock.at())),
            [(Repeated, "report")]
        );
        assert_eq!(table.apply(&all, clock.at()), []);
        let words = table.apply(&[found(Rule::CronRuns, Vec::new())], clock.at());
        assert_eq!(kinds(&words), [(Resolved, "report")]);
    }

    #[test]
    fn a_stop_reports_and_resolves_what_it_leaves() {
        let (mut table, clock) = (Table::default(), Clock::new());
        let event = |subject: &str, is_news| Condition {
            is_news,
            ..condition(subject, "n")
        };
        let all = [
            found(Rule::Outages, vec![condition("db", "")]),
            found(
                Rule::DeadLetters,
                vec![event("old", true), event("more", true)],
            ),
        ];
        table.apply(&all, clock.at());
        let all = [
            found(
                Rule::Outages,
                vec![condition("db", ""), condition("late", "")],
            ),
            found(
                Rule::DeadLetters,
                vec![event("old", false), event("more", true), event("new", true)],
            ),
        ];
        let words = table.finish(&all, clock.at());
        use NoticeKind::{Firing, Repeated, Resolved};
        let wanted = [(Repeated, "more"), (Firing, "new"), (Resolved, "db")];
        assert_eq!(kinds(&words), wanted);
        assert!(words[2].notice.details[0].contains("this daemon stops"));
    }
}
