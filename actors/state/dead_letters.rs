//! Dead letters that this process has written, by the entry that they came through and by their error. There is one
//! list for the process, as there is one DbActor: every dead letter is written there.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use parking_lot::Mutex;

use super::recent::cut;
use crate::clock::now_ms;

/// How many groups by entry and error there are. Dead letters of further ones are counted by their entry alone,
const MOST_GROUPS: usize = 200;
/// in this many groups at most, and those of further entries together.
const MOST_OVERFLOWS: usize = 200;
/// What those are called.
const OTHERS: &str = "other entries";
/// The kind of a group that has all further errors of its entry: no error's, as each of those has words without line
/// breaks.
const ANY_ERROR: &str = "\n";

/// Dead letters of one entry with one kind of error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeadLetterGroup {
    /// As people call it: "queue `orders`", "delayed task `mail`".
    pub(crate) entry: String,
    /// The error without words that have digits: an id or a port makes no other kind of it.
    pub(crate) kind: String,
    /// Since the process began.
    pub(crate) count: u64,
    /// The last one's, whole.
    pub(crate) error: String,
    /// When that was written, unix milliseconds.
    pub(crate) last_ms: i64,
}

/// Dead letters of the table that came from one list, topic or table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeadLettersOf {
    /// `dead_letter.kind` and `source`.
    pub(crate) kind: String,
    pub(crate) source: String,
    /// Of the newest one: the queue entry.
    pub(crate) name: String,
    /// Counted up to one more than [`SOURCE_CAP`].
    pub(crate) count: u64,
}

/// Dead letters of one source are counted up to this number.
pub(crate) const SOURCE_CAP: u64 = 10_000;
/// Sources whose dead letters are counted.
pub(crate) const MOST_SOURCES: usize = 20;

/// See the module's header.
#[derive(Debug, Default)]
pub(crate) struct DeadLetters {
    groups: Mutex<BTreeMap<(String, String), DeadLetterGroup>>,
}

static LETTERS: LazyLock<DeadLetters> = LazyLock::new(DeadLetters::default);

/// The list of this process.
pub(crate) fn dead_letters() -> &'static DeadLetters {
    &LETTERS
}

impl DeadLetters {
    /// One is in the database.
    pub(crate) fn written(&self, entry: &str, error: &str) {
        let kind = cut(&kind_of(error));
        let mut groups = self.groups.lock();
        let mut key = (cut(entry), kind);
        let mut last_error = cut(error);
        if !groups.contains_key(&key) && groups.len() >= MOST_GROUPS {
            // An entry whose errors all differ takes no other entry's name from it.
            key.1 = ANY_ERROR.to_owned();
            if !groups.contains_key(&key) && groups.len() >= MOST_GROUPS + MOST_OVERFLOWS {
                key.0 = OTHERS.to_owned();
            }
            last_error = format!("other errors, the last one: {last_error}");
        }
        let group = groups
            .entry(key)
            .or_insert_with_key(|(entry, kind)| DeadLetterGroup {
                entry: entry.clone(),
                kind: kind.clone(),
                count: 0,
                error: String::new(),
                last_ms: 0,
            });
        group.count += 1;
        group.error = last_error;
        group.last_ms = now_ms();
    }

    /// All of them, by entry.
    pub(crate) fn groups(&self) -> Vec<DeadLetterGroup> {
        self.groups.lock().values().cloned().collect()
    }
}

fn kind_of(error: &str) -> String {
    let words = error.split_whitespace();
    let words = words.filter(|word| !word.contains(|c: char| c.is_ascii_digit()));
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_letters_are_counted_by_entry_and_kind_of_error() {
        let dead_letters = DeadLetters::default();
        dead_letters.written("queue `a`", "order 4711 is unknown");
        dead_letters.written("queue `a`", "order 4712 is unknown");
        dead_letters.written("queue `a`", "timeout");
        dead_letters.written("queue `b`", "timeout");
        let groups = dead_letters.groups();
        let counts: Vec<_> = groups
            .iter()
            .map(|group| (group.entry.as_str(), group.count, group.error.as_str()))
            .collect();
        assert_eq!(
            counts,
            [
                ("queue `a`", 2, "order 4712 is unknown"),
                ("queue `a`", 1, "timeout"),
                ("queue `b`", 1, "timeout")
            ]
        );
    }

    #[test]
    fn no_dead_letter_is_uncounted_however_many_groups_there_are() {
        let dead_letters = DeadLetters::default();
        for n in 0..MOST_GROUPS + MOST_OVERFLOWS + 50 {
            dead_letters.written(&format!("queue `{n}`"), "e");
        }
        let groups = dead_letters.groups();
        assert_eq!(groups.len(), MOST_GROUPS + MOST_OVERFLOWS + 1);
        assert_eq!(groups.iter().map(|group| group.count).sum::<u64>(), 450);
        let others = groups.iter().find(|group| group.entry == OTHERS).unwrap();
        assert_eq!(others.count, 50);
    }

    #[test]
    fn differing_errors_take_no_other_entrys_name() {
        let dead_letters = DeadLetters::default();
        for n in 0..MOST_GROUPS + 50 {
            dead_letters.written("queue `noisy`", &"x".repeat(n + 1));
        }
        dead_letters.written("queue `quiet`", "timeout");
        dead_letters.written("queue `quiet`", "refused");
        let groups = dead_letters.groups();
        let of = |entry: &str| -> u64 {
            let of_entry = groups.iter().filter(|group| group.entry == entry);
            of_entry.map(|group| group.count).sum()
        };
        assert_eq!(
            (of("queue `noisy`"), of("queue `quiet`"), of(OTHERS)),
            (250, 2, 0)
        );
        let quiet = groups.iter().find(|group| group.entry == "queue `quiet`");
        assert_eq!(quiet.unwrap().error, "other errors, the last one: refused");
    }
}
