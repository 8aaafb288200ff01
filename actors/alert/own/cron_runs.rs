//! `cron_runs`: an entry whose last run failed, ran too long, was killed or lost. The next good run ends it, whichever daemon
//! sees that: `watch.rs` asks the database for runs of others.

use super::Condition;
use crate::state::CronSight;

/// Letters of an entry's key that tell it from others of its name.
const KEY_SHOWN: usize = 8;

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
    fn entries_of_one_name_are_told_apart() {
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
