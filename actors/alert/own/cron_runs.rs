//! `cron_runs`: an entry whose last run failed, ran too long, was killed or lost. The next good run ends it, whichever daemon
//! sees that: `watch.rs` asks the database for runs of others.

use super::events::{Happened, Reported};
use super::{Condition, Rule};
use crate::state::CronSight;

/// Letters of an entry's key that distinguish it from others of its name.
const KEY_SHOWN: usize = 8;

/// Bad ends; the last one's time is that of its end.
pub(super) fn happened(entries: &[CronSight]) -> Vec<Happened> {
    let each = entries.iter().filter_map(|entry| {
        let bad = entry.bad.as_ref()?;
        Some(Happened {
            subject: subject(entry, entries),
            kind: String::new(),
            count: bad.number,
            last_ms: bad.last_ms,
        })
    });
    each.collect()
}

/// As [`conditions`], each with whether it is news: none of the bad runs in a row was reported.
pub(super) fn with_news(entries: &[CronSight], reported: &Reported) -> Vec<Condition> {
    let happened = happened(entries);
    let mut all = conditions(entries);
    let in_a_row = entries.iter().filter_map(|entry| entry.bad.as_ref());
    for ((condition, one), bad) in all.iter_mut().zip(&happened).zip(in_a_row) {
        condition.is_news = reported.unreported(Rule::CronRuns, one) >= bad.count;
    }
    all
}

pub(crate) fn conditions(entries: &[CronSight]) -> Vec<Condition> {
    let each = entries.iter().filter_map(|entry| {
        let bad = entry.bad.as_ref()?;
        let subject = subject(entry, entries);
        let so_many = match bad.count {
            1 => String::new(),
            n => format!("; {n} in a row"),
        };
        Some(Condition {
            summary: format!("cron `{subject}`: the last run did not end well"),
            subject,
            since_ms: bad.first_ms,
            text: format!("the last run did not end well: {}{so_many}", bad.error),
            remedy: "its output is in the log directory, below `cron`".to_owned(),
            is_inherited: bad.are_inherited,
            ..Condition::default()
        })
    });
    each.collect()
}

/// Its name, which may be that of several.
pub(super) fn subject(entry: &CronSight, all: &[CronSight]) -> String {
    let same = all.iter().filter(|other| other.name == entry.name);
    match same.count() {
        0 | 1 => entry.name.clone(),
        _ => {
            let key: String = entry.key.chars().take(KEY_SHOWN).collect();
            format!("{} ({key})", entry.name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bad, entry};
    use super::*;
    use crate::state::BadEnds;

    #[test]
    fn an_entry_is_wrong_while_its_last_run_is() {
        let mut entries = [entry("a", "1"), entry("b", "2")];
        assert_eq!(conditions(&entries), []);
        entries[1].bad = Some(bad(2));
        let found = conditions(&entries).remove(0);
        assert_eq!((found.subject.as_str(), found.since_ms), ("b", 5));
        assert_eq!(
            found.text,
            "the last run did not end well: failed: {}; 2 in a row"
        );
    }

    #[test]
    fn bad_runs_are_news_until_one_was_reported() {
        let mut entries = [entry("a", "1"), entry("b", "2")];
        let mut reported = Reported::default();
        entries[1].bad = Some(bad(2));
        assert!(with_news(&entries, &reported)[0].is_news);
        reported.note(Rule::CronRuns, "b", &happened(&entries));
        assert!(!with_news(&entries, &reported)[0].is_news);
        entries[1].bad = Some(bad(3));
        assert!(!with_news(&entries, &reported)[0].is_news, "the same row");
        // A good one came in between.
        entries[1].bad = Some(BadEnds {
            number: 4,
            ..bad(1)
        });
        assert!(with_news(&entries, &reported)[0].is_news);
    }

    #[test]
    fn entries_of_one_name_are_distinguished() {
        let mut entries = [entry("a", "1111111111"), entry("a", "2222222222")];
        entries[0].bad = Some(bad(1));
        entries[1].bad = Some(bad(1));
        let subjects: Vec<String> = conditions(&entries)
            .into_iter()
            .map(|one| one.subject)
            .collect();
        assert_eq!(subjects, ["a (11111111)", "a (22222222)"]);
    }
}
