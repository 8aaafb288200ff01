//! `misfires`: fires that were not made in time and are not made up for, by their entry.

use super::events::{Happened, Reported, is_fresh};
use super::{Condition, Rule, cron_runs::subject};
use crate::state::CronSight;

pub(super) fn happened(entries: &[CronSight]) -> Vec<Happened> {
    let missed = entries.iter().filter(|entry| entry.misses.count > 0);
    let each = missed.map(|entry| Happened {
        subject: subject(entry, entries),
        kind: String::new(),
        count: entry.misses.count,
        last_ms: entry.misses.last_ms,
    });
    each.collect()
}

/// Entries with missed fires that were not reported, or that happened within this number of seconds.
pub(super) fn conditions(
    entries: &[CronSight],
    reported: &Reported,
    resolve_after_seconds: u64,
    now_ms: i64,
) -> Vec<Condition> {
    let each = happened(entries).into_iter().filter_map(|one| {
        let unreported = reported.unreported(Rule::Misfires, &one);
        let is_fresh = is_fresh(one.last_ms, now_ms, resolve_after_seconds);
        (is_fresh || unreported > 0).then(|| Condition {
            summary: format!("cron `{}`: fires were missed", one.subject),
            subject: one.subject,
            since_ms: one.last_ms,
            text: match unreported {
                0 => "no further one".to_owned(),
                1 => "1 fire since the last word".to_owned(),
                n => format!("{n} fires since the last word"),
            },
            remedy: "the log has the reasons; `misfire` decides which fires are made up for"
                .to_owned(),
            is_news: unreported > 0,
            is_over: !is_fresh,
            ..Condition::default()
        })
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::entry;
    use super::*;

    #[test]
    fn missed_fires_are_reported_once_by_their_entry() {
        let mut entries = [entry("a", "1"), entry("b", "2")];
        assert_eq!(conditions(&entries, &Reported::default(), 60, 0), []);
        entries[1].misses.count = 3;
        entries[1].misses.last_ms = 1_000;
        let mut reported = Reported::default();
        let found = conditions(&entries, &reported, 60, 2_000);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].text, "3 fires since the last word");
        reported.note(Rule::Misfires, "b", &happened(&entries));
        assert!(!conditions(&entries, &reported, 60, 60_999)[0].is_news);
        assert_eq!(conditions(&entries, &reported, 60, 61_000), []);
        entries[1].misses.count = 4;
        let late = conditions(&entries, &reported, 60, 61_000).remove(0);
        assert!(late.is_over && late.is_news);
    }
}
