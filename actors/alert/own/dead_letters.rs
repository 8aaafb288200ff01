//! `dead_letters`: messages and tasks that this daemon gave up, by their entry, grouped by their error.

use std::collections::BTreeMap;

use super::events::{Happened, Reported, is_fresh};
use super::{Condition, Rule};
use crate::state::DeadLetterGroup;

/// Kinds of errors that are listed; the others are counted.
const MOST_LISTED: usize = 20;

pub(super) fn happened(dead_letters: &[DeadLetterGroup]) -> Vec<Happened> {
    let each = dead_letters.iter().map(|group| Happened {
        subject: subject(group),
        kind: group.kind.clone(),
        count: group.count,
        last_ms: group.last_ms,
    });
    each.collect()
}

fn subject(group: &DeadLetterGroup) -> String {
    group.entry.replace('`', "")
}

/// Entries with dead letters that were not reported, or that came within this number of seconds.
pub(super) fn conditions(
    dead_letters: &[DeadLetterGroup],
    reported: &Reported,
    resolve_after_seconds: u64,
    now_ms: i64,
) -> Vec<Condition> {
    let mut by_entry: BTreeMap<&str, Vec<&DeadLetterGroup>> = BTreeMap::new();
    for group in dead_letters {
        by_entry.entry(&group.entry).or_default().push(group);
    }
    let all = by_entry.into_iter().filter_map(|(entry, groups)| {
        let counted = groups.iter().map(|group| {
            let one = happened(std::slice::from_ref(*group));
            let unreported = one
                .iter()
                .map(|one| reported.unreported(Rule::DeadLetters, one))
                .sum();
            (*group, unreported)
        });
        let counted: Vec<(&DeadLetterGroup, u64)> = counted.collect();
        condition(entry, counted, resolve_after_seconds, now_ms)
    });
    all.collect()
}

fn condition(
    entry: &str,
    mut counted: Vec<(&DeadLetterGroup, u64)>,
    resolve_after_seconds: u64,
    now_ms: i64,
) -> Option<Condition> {
    let unreported: u64 = counted.iter().map(|(_, unreported)| unreported).sum();
    let (last, _) = counted.iter().max_by_key(|(group, _)| group.last_ms)?;
    let last_ms = last.last_ms;
    let is_fresh = is_fresh(last_ms, now_ms, resolve_after_seconds);
    if !is_fresh && unreported == 0 {
        return None;
    }
    let subject = subject(last);
    counted.retain(|(_, unreported)| *unreported > 0);
    counted.sort_by_key(|(_, unreported)| std::cmp::Reverse(*unreported));
    let mut more: Vec<String> = counted
        .iter()
        .take(MOST_LISTED)
        .map(|(group, unreported)| format!("{unreported} × {}", group.error))
        .collect();
    if counted.len() > MOST_LISTED {
        let rest: u64 = counted[MOST_LISTED..]
            .iter()
            .map(|(_, unreported)| unreported)
            .sum();
        more.push(format!("{rest} × other errors"));
    }
    Some(Condition {
        subject,
        since_ms: last_ms,
        summary: format!("{entry}: dead letters"),
        text: match unreported {
            0 => "no further one".to_owned(),
            1 => "1 dead letter since the last word".to_owned(),
            n => format!("{n} dead letters since the last word"),
        },
        remedy: "`dead list` shows them, `dead replay` runs them again".to_owned(),
        more,
        is_news: unreported > 0,
        is_over: !is_fresh,
        ..Condition::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(entry: &str, kind: &str, count: u64, last_ms: i64) -> DeadLetterGroup {
        DeadLetterGroup {
            entry: entry.to_owned(),
            kind: kind.to_owned(),
            count,
            error: format!("{kind} 7"),
            last_ms,
        }
    }

    #[test]
    fn dead_letters_are_one_alert_for_each_entry_grouped_by_error() {
        let dead_letters = [
            group("delayed task `mail`", "timeout", 1, 0),
            group("queue `q`", "no row", 2, 0),
            group("queue `q`", "timeout", 5, 0),
        ];
        let mut reported = Reported::default();
        let found = conditions(&dead_letters, &reported, 3600, 0);
        let subjects: Vec<&str> = found.iter().map(|one| one.subject.as_str()).collect();
        assert_eq!(subjects, ["delayed task mail", "queue q"]);
        assert_eq!(found[1].summary, "queue `q`: dead letters");
        assert_eq!(found[1].text, "7 dead letters since the last word");
        assert_eq!(found[1].more, ["5 × timeout 7", "2 × no row 7"]);

        reported.note(Rule::DeadLetters, "queue q", &happened(&dead_letters));
        let dead_letters = [
            group("queue `q`", "no row", 3, 100),
            group("queue `q`", "timeout", 5, 0),
        ];
        let found = conditions(&dead_letters, &reported, 3600, 100).remove(0);
        assert_eq!(found.more, ["1 × no row 7"]);
        assert!(found.is_news);
    }

    #[test]
    fn dead_letters_resolve_after_a_quiet_period() {
        let dead_letters = [group("queue `q`", "e", 1, 1_000)];
        let mut reported = Reported::default();
        assert!(!conditions(&dead_letters, &reported, 5, 5_999)[0].is_over);
        let late = conditions(&dead_letters, &reported, 5, 6_000).remove(0);
        assert!(late.is_over && late.is_news);
        reported.note(Rule::DeadLetters, "queue q", &happened(&dead_letters));
        let found = conditions(&dead_letters, &reported, 5, 5_999);
        assert!(!found[0].is_news);
        assert_eq!(conditions(&dead_letters, &reported, 5, 6_000), []);
    }

    #[test]
    fn many_kinds_of_errors_are_listed_up_to_a_number() {
        let dead_letters: Vec<DeadLetterGroup> = (0..30)
            .map(|n| group("queue `q`", &format!("e{n}"), 1, 0))
            .collect();
        let found = conditions(&dead_letters, &Reported::default(), 5, 0).remove(0);
        assert_eq!(found.more.len(), MOST_LISTED + 1);
        assert_eq!(found.more[MOST_LISTED], "10 × other errors");
    }
}
