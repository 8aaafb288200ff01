//! Idempotency keys: the name that a caller gives a push or a message, so that a repetition of it makes nothing new.
//!
//! The row of a key and the row that it makes come in one transaction, or neither does. The key is the primary key of its table:
//! of two transactions that use one at once the second waits for the first, fails, and finds the first one's row when it is tried
//! again. A message of Redis or Kafka cannot be part of the transaction: its key is claimed before the message is sent and marked
//! as done after it, see `source/send_once.rs`.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use sha2::{Digest, Sha256};

use super::rows::{NewMessage, NewTask};
use super::schema::idempotency_key;

/// Characters of a key at most: with four bytes each they fit the shortest index that MySQL may have.
const KEY_CHARS: usize = 190;
/// Hexadecimal digits of a hash that are kept: two contents that differ do not meet in 64 bits by chance.
const HASH_DIGITS: usize = 16;
/// A send that has not ended by then is taken to have died. A producer of Kafka gives up after 30 s.
pub(crate) const CLAIM_MS: i64 = 60_000;

/// `idempotency_key.state`.
pub(in crate::store) const CLAIMED: i16 = 1;
pub(in crate::store) const DONE: i16 = 2;

/// A key, and hashes of what it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewKey {
    pub(crate) key: String,
    content: String,
}

impl NewKey {
    /// `kind`: what the key names; the parts of that, each with its name. Names hold no space and no `=`.
    pub(crate) fn new(key: &str, kind: &str, parts: &[(&str, &[u8])]) -> Self {
        let mut content = kind.to_owned();
        for (name, bytes) in parts {
            let hash = Sha256::digest(bytes);
            let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            content += &format!(" {name}={}", &digits[..HASH_DIGITS]);
        }
        Self {
            key: key.to_owned(),
            content,
        }
    }

    /// Why a text is no key.
    pub(crate) fn refusal(key: &str) -> Option<String> {
        let chars = key.chars().count();
        let wrong = match key {
            "" => "it is empty".to_owned(),
            _ if chars > KEY_CHARS => format!("it has {chars} characters"),
            _ if key.chars().any(char::is_control) => "it holds a control character".to_owned(),
            _ if key.trim() != key => "it begins or ends with a space".to_owned(),
            _ => return None,
        };
        Some(format!(
            "`{}` is no idempotency key: {wrong}; 1 to {KEY_CHARS} characters without control characters, and no space at either \
             end, would be right",
            key.escape_debug()
        ))
    }

    /// What the key named before, where that is something else.
    fn differing(&self, before: &str) -> Option<String> {
        let (kind, parts) = split(&self.content);
        let (kind_before, parts_before) = split(before);
        if kind != kind_before {
            return Some("something of another kind".to_owned());
        }
        let is_other = |name: &&&str| parts.get(**name) != parts_before.get(**name);
        let names: BTreeSet<&str> = parts.keys().chain(parts_before.keys()).copied().collect();
        let others: Vec<String> = names
            .iter()
            .filter(is_other)
            .map(|name| format!("`{name}`"))
            .collect();
        let others = match others.as_slice() {
            [] => return None,
            [one] => one.clone(),
            [all @ .., last] => format!("{} and {last}", all.join(", ")),
        };
        Some(format!("a {kind} with another {others}"))
    }
}

fn split(content: &str) -> (&str, BTreeMap<&str, &str>) {
    let mut words = content.split(' ');
    let kind = words.next().unwrap_or_default();
    (
        kind,
        words.filter_map(|word| word.split_once('=')).collect(),
    )
}

/// Rows of which some have keys.
#[derive(Debug, Clone)]
pub(crate) struct KeyedInsert {
    pub(crate) rows: KeyedRows,
    /// In the order of the rows. No key is there twice.
    pub(crate) keys: Vec<Option<NewKey>>,
}

/// See `KeyedInsert`.
#[derive(Debug, Clone)]
pub(crate) enum KeyedRows {
    /// The owner is that of the rows that are `claimed`.
    Tasks { rows: Vec<NewTask>, owner: String },
    Messages {
        queue: String,
        rows: Vec<NewMessage>,
    },
}

/// What became of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Keyed {
    /// In their order.
    Rows(Vec<KeyedRow>),
    /// Nothing was inserted: this key names something else.
    Differs(Difference),
}

/// A row of a `KeyedInsert`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyedRow {
    pub(crate) id: i64,
    /// By this insert, and not by an earlier one with the same key.
    pub(crate) is_new: bool,
}

/// A key that names something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Its place among the rows.
    pub(crate) at: usize,
    /// What it named before.
    pub(crate) before: String,
}

impl Difference {
    /// For the caller.
    pub(crate) fn describe(&self, key: &str) -> String {
        format!(
            "the idempotency key `{key}` named {} before; a repetition must be the same, anything else needs a key of its own",
            self.before
        )
    }
}

/// A key as in its row.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = idempotency_key)]
pub(in crate::store) struct KnownKey {
    key_name: String,
    content: String,
    row_id: Option<i64>,
    pub(in crate::store) state: i16,
    pub(in crate::store) owner: String,
    pub(in crate::store) claimed_ms: i64,
}

impl KeyedInsert {
    pub(in crate::store) fn key_names(&self) -> Vec<&str> {
        let keys = self.keys.iter().flatten();
        keys.map(|key| key.key.as_str()).collect()
    }

    /// Of each row the id that an earlier insert gave it.
    pub(in crate::store) fn ids_before(
        &self,
        known: &[KnownKey],
    ) -> Result<Vec<Option<i64>>, Difference> {
        let known: BTreeMap<&str, &KnownKey> = known
            .iter()
            .map(|known| (known.key_name.as_str(), known))
            .collect();
        let id_before = |(at, key): (usize, &Option<NewKey>)| {
            let Some((key, known)) = key
                .as_ref()
                .and_then(|key| Some((key, known.get(key.key.as_str())?)))
            else {
                return Ok(None);
            };
            match key.differing(&known.content) {
                Some(before) => Err(Difference { at, before }),
                None => Ok(known.row_id),
            }
        };
        self.keys.iter().enumerate().map(id_before).collect()
    }

    /// The keys of rows that were inserted now, each with its row's id, in the order in which all transactions insert
    /// them.
    pub(in crate::store) fn made(&self, rows: &[KeyedRow]) -> Vec<(&str, &str, i64)> {
        let made = self.keys.iter().zip(rows).filter(|(_, row)| row.is_new);
        let made = made.filter_map(|(key, row)| {
            let key = key.as_ref()?;
            Some((key.key.as_str(), key.content.as_str(), row.id))
        });
        let mut made: Vec<_> = made.collect();
        made.sort_unstable();
        made
    }
}

/// Those with an id keep it; the others get the new ids in their order.
pub(in crate::store) fn merged(before: &[Option<i64>], new_ids: Vec<i64>) -> Vec<KeyedRow> {
    let mut new_ids = new_ids.into_iter();
    let row = |before: &Option<i64>| match before {
        Some(id) => Some(KeyedRow {
            id: *id,
            is_new: false,
        }),
        None => new_ids.next().map(|id| KeyedRow { id, is_new: true }),
    };
    before.iter().filter_map(row).collect()
}

/// The items without an id.
pub(in crate::store) fn without_id<'a, T>(items: &'a [T], before: &[Option<i64>]) -> Vec<&'a T> {
    let both = items.iter().zip(before);
    both.filter(|(_, id)| id.is_none())
        .map(|(item, _)| item)
        .collect()
}

/// Claims the key of a message that is about to be sent.
#[derive(Debug, Clone)]
pub(crate) struct KeyClaim {
    pub(crate) key: NewKey,
    /// Names the attempt to send.
    pub(crate) owner: String,
}

/// Whether a message is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyClaimed {
    /// By the claim's owner. `again`: an earlier attempt may have sent it.
    Ours { again: bool },
    /// It was sent before.
    Done,
    /// Another process sends it; its claim holds for `for_ms` milliseconds.
    Busy { for_ms: i64 },
    /// The key names something else.
    Differs(String),
}

impl KeyClaim {
    /// What a row that is there means for this claim.
    pub(in crate::store) fn of(&self, known: &KnownKey, now_ms: i64) -> KeyClaimed {
        if let Some(before) = self.key.differing(&known.content) {
            return KeyClaimed::Differs(before);
        }
        let until_ms = known.claimed_ms.saturating_add(CLAIM_MS);
        match known.state {
            DONE => KeyClaimed::Done,
            // The answer to this very claim was lost.
            _ if known.owner == self.owner => KeyClaimed::Ours { again: true },
            _ if !known.owner.is_empty() && until_ms > now_ms => KeyClaimed::Busy {
                for_ms: until_ms - now_ms,
            },
            _ => KeyClaimed::Ours { again: true },
        }
    }

    pub(in crate::store) fn content(&self) -> &str {
        &self.key.content
    }
}

/// How an attempt to send ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyEnd {
    /// It is sent.
    Sent,
    /// It may be sent: the next attempt sends it again.
    InDoubt,
    /// It is not: the key is free.
    Unsent,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_text_that_every_database_keeps_apart() {
        for good in ["a", "order-7/mail", "订单 7", &"😀".repeat(190)] {
            assert_eq!(NewKey::refusal(good), None, "{good}");
        }
        for (bad, why) in [
            ("", "empty"),
            (" a", "a space"),
            ("a ", "a space"),
            ("a\nb", "control"),
            (&"x".repeat(191), "191 characters"),
        ] {
            let refusal = NewKey::refusal(bad).unwrap();
            assert!(refusal.contains(why), "{refusal}");
        }
    }

    #[test]
    fn what_differs_is_named() {
        let of = |kind, name: &str, params: &str| {
            let parts = [("name", name.as_bytes()), ("params", params.as_bytes())];
            NewKey::new("k", kind, &parts)
        };
        let key = of("push", "n", "p");
        let before = |other: NewKey| key.differing(&other.content);
        assert_eq!(before(of("push", "n", "p")), None);
        assert_eq!(
            before(of("push", "n", "q")).unwrap(),
            "a push with another `params`"
        );
        assert_eq!(
            before(of("push", "m", "q")).unwrap(),
            "a push with another `name` and `params`"
        );
        assert_eq!(
            before(of("message", "n", "p")).unwrap(),
            "something of another kind"
        );
        assert!(
            key.content.len() < 200 && !key.content.contains("p "),
            "{}",
            key.content
        );
    }
}
