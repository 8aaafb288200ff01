//! Dead letters of the same error.
//!
//! Two dead letters are of one group when they died in the same place of errors that differ in numbers and ids alone.
//! The dead letters have no index by their error: groups are made of the dead letters at one end of the table, so that
//! the answer takes no longer with ten million of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::shape::{pattern, shape};
use crate::config::did_you_mean_met;
use crate::store::dead_letter::KIND_DELAY;
use crate::store::rows::{DeadLetterFilter, DeadLetterHead, DeadLetterScan, SCANNED_LETTERS, Side};

/// Characters of an error of which its shape is made.
const ERROR_CHARS_READ: usize = 512;
/// Hexadecimal digits of a group's name: enough that no two of some thousand groups have the same.
const NAME_DIGITS: usize = 10;

/// What dead letters of one group have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group {
    pub(crate) kind: String,
    pub(crate) source: String,
    /// The queue entry; empty of delayed tasks, each of which may have a name of its own.
    pub(crate) entry: String,
    pub(crate) exec_cmd: String,
    /// The beginning of the errors, with `#` for each number and id in them.
    pub(crate) shape: String,
}

impl Group {
    pub(crate) fn of(dead_letter: &DeadLetterHead) -> Self {
        let place = [
            &dead_letter.kind,
            &dead_letter.source,
            &dead_letter.name,
            &dead_letter.exec_cmd,
        ];
        Self::of_parts(place.map(String::as_str), &dead_letter.error)
    }

    fn of_parts([kind, source, name, exec_cmd]: [&str; 4], error: &str) -> Self {
        let entry = if kind == KIND_DELAY { "" } else { name };
        let error: String = error.chars().take(ERROR_CHARS_READ).collect();
        Self {
            kind: kind.to_owned(),
            source: source.to_owned(),
            entry: entry.to_owned(),
            exec_cmd: exec_cmd.to_owned(),
            shape: shape(&error),
        }
    }

    /// The same on every machine and in every release: it is made of what the group is.
    pub(crate) fn name(&self) -> String {
        let mut hash = Sha256::new();
        for part in [
            &self.kind,
            &self.source,
            &self.entry,
            &self.exec_cmd,
            &self.shape,
        ] {
            hash.update(part.len().to_be_bytes());
            hash.update(part.as_bytes());
        }
        let hash = hash.finalize();
        let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        digits.chars().take(NAME_DIGITS).collect()
    }

    /// The filter, such that the database leaves out most dead letters of other groups.
    pub(crate) fn narrow(&self, filter: &DeadLetterFilter) -> DeadLetterFilter {
        DeadLetterFilter {
            kind: Some(self.kind.clone()),
            source: Some(self.source.clone()),
            exec_cmd: Some(self.exec_cmd.clone()),
            name: match self.entry.as_str() {
                "" => filter.name.clone(),
                entry => Some(entry.to_owned()),
            },
            error_like: Some(pattern(&self.shape)),
            ..filter.clone()
        }
    }

    /// Where they died, for people.
    pub(crate) fn place(&self) -> String {
        match self.kind.as_str() {
            KIND_DELAY => format!("delayed task `{}`", self.exec_cmd),
            _ => format!("queue `{}` (`{}`)", self.entry, self.exec_cmd),
        }
    }

    pub(crate) fn error(&self) -> &str {
        &self.shape
    }
}

/// Bars of a group: one for each of the last hours.
const HOURS: usize = 24;
const HOUR_MS: i64 = 3_600_000;

/// What is known of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) dead_letters: u64,
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    /// Dead letters of each of the last hours, the earliest first.
    pub(crate) by_hour: [u64; HOURS],
}

impl Size {
    fn of(dead_letter: &DeadLetterHead) -> Self {
        Self {
            dead_letters: 0,
            first_ms: dead_letter.died_ms,
            last_ms: dead_letter.died_ms,
            by_hour: [0; HOURS],
        }
    }

    fn add(&mut self, dead_letter: &DeadLetterHead, now_ms: i64) {
        self.dead_letters += 1;
        self.first_ms = self.first_ms.min(dead_letter.died_ms);
        self.last_ms = self.last_ms.max(dead_letter.died_ms);
        // A dead letter that the clock of the database dates ahead of ours died in the last hour.
        let ago = now_ms.saturating_sub(dead_letter.died_ms).max(0) / HOUR_MS;
        let bar = usize::try_from(ago)
            .ok()
            .and_then(|ago| (HOURS - 1).checked_sub(ago));
        if let Some(bar) = bar {
            self.by_hour[bar] += 1;
        }
    }
}

/// The largest first.
pub(crate) fn groups(dead_letters: &[DeadLetterHead], now_ms: i64) -> Vec<(Group, Size)> {
    let mut groups: BTreeMap<Group, Size> = BTreeMap::new();
    for dead_letter in dead_letters {
        let size = groups.entry(Group::of(dead_letter));
        size.or_insert_with(|| Size::of(dead_letter))
            .add(dead_letter, now_ms);
    }
    let mut groups: Vec<(Group, Size)> = groups.into_iter().collect();
    groups.sort_by_key(|(_, size)| Reverse((size.dead_letters, size.last_ms)));
    groups
}

/// The group of that name, among the dead letters of a scan that pass the filter; or that there is none.
pub(super) fn named(
    scan: &DeadLetterScan,
    name: &str,
    filter: &DeadLetterFilter,
) -> Result<Group, String> {
    let dead_letters = scan
        .dead_letters
        .iter()
        .filter(|dead_letter| filter.takes(dead_letter));
    let groups: BTreeSet<Group> = dead_letters.map(Group::of).collect();
    let found = groups.iter().find(|group| group.name() == name);
    found.cloned().ok_or_else(|| {
        let names = groups.iter().map(Group::name).collect();
        let hint = did_you_mean_met(name, &names);
        let among = among(scan, Side::of(filter));
        format!(
            "no dead letter{among} is of group `{name}`{hint}; `dead group` shows which there are"
        )
    })
}

/// Where only a part of the dead letters was read: which.
pub(crate) fn among(scan: &DeadLetterScan, side: Side) -> String {
    match (scan.is_all, side) {
        (true, _) => String::new(),
        (false, Side::Newest) => format!(" of the newest {SCANNED_LETTERS}"),
        (false, Side::Oldest) => format!(" of the oldest {SCANNED_LETTERS}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dead_letter(kind: &str, name: &str, error: &str, died_ms: i64) -> DeadLetterHead {
        DeadLetterHead {
            id: died_ms,
            kind: kind.to_owned(),
            source: "s".to_owned(),
            name: name.to_owned(),
            exec_cmd: "ship".to_owned(),
            partition: "script1".to_owned(),
            error: error.to_owned(),
            died_ms,
        }
    }

    #[test]
    fn dead_letters_are_grouped_by_where_they_died_and_of_what() {
        let dead_letters = [
            dead_letter("queue", "orders", "no 7", 30),
            dead_letter("queue", "orders", "no 8", 10),
            dead_letter("queue", "bills", "no 7", 20),
            dead_letter("delay", "bill 17", "no 7", 5),
            dead_letter("delay", "bill 18", "no 9", 6),
            dead_letter("delay", "bill 18", "gone", 7),
        ];
        let groups = groups(&dead_letters, 40);
        let sizes: Vec<u64> = groups.iter().map(|(_, size)| size.dead_letters).collect();
        assert_eq!(sizes, [2, 2, 1, 1]);
        let (group, size) = &groups[0];
        assert_eq!((size.first_ms, size.last_ms), (10, 30));
        assert_eq!(
            (group.place().as_str(), group.error()),
            ("queue `orders` (`ship`)", "no #")
        );
        assert_eq!(groups[1].0.place(), "delayed task `ship`");
        let names: BTreeSet<String> = groups.iter().map(|(group, _)| group.name()).collect();
        assert_eq!(names.len(), 4);
        assert_eq!(groups[0].0.name(), Group::of(&dead_letters[1]).name());
        assert!(names.iter().all(|name| name.len() == NAME_DIGITS));
    }

    #[test]
    fn a_group_has_a_bar_for_each_hour_of_the_last_day() {
        let hour = |ago: i64| 1000 * HOUR_MS - ago * HOUR_MS;
        let dead_letters =
            [-1, 0, 1, 23, 24, 99].map(|ago| dead_letter("queue", "orders", "e", hour(ago)));
        let (_, size) = groups(&dead_letters, hour(0)).remove(0);
        let mut expected = [0; HOURS];
        (expected[23], expected[22], expected[0]) = (2, 1, 1);
        assert_eq!((size.by_hour, size.dead_letters), (expected, 6));
    }
}
