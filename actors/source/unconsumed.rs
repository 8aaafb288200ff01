//! Finds messages in the daemon's database that no entry of this partition consumes: an entry was renamed or removed, its
//! `table` has another name now, or it is a queue of another kind.
//!
//! A replay table belongs to one entry of one partition, so it is certain whether it is consumed. Other partitions may
//! consume other tables: those that their files name are left out.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::UnconsumedList;
use super::replayed::replay_table;
use crate::config::{Config, REPLAY_PREFIX, SourceConfig};
use crate::store::rows::COUNT_CAP;
use crate::store::{DbError, Reader};

/// The tables that the entries of this partition consume.
#[derive(Debug, Clone, Default)]
pub(crate) struct Consumed {
    partition: String,
    live: BTreeSet<String>,
    /// The tables of entries that are not live, with the names of the entries.
    not_live: BTreeMap<String, String>,
    /// The tables that other partitions name.
    elsewhere: BTreeSet<String>,
}

/// A table with messages that are not consumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Unconsumed {
    /// `queue_message.queue`.
    pub(crate) source: String,
    /// The number of messages, counted up to `COUNT_CAP`. One above it means more.
    pub(crate) waiting: u64,
    /// Why no entry consumes the messages, and the remedy.
    pub(crate) why: String,
    /// The entry of the replayed dead letters, where it no longer exists.
    #[serde(skip)]
    pub(crate) dead_letters_of: Option<String>,
}

impl From<UnconsumedList> for Unconsumed {
    fn from(list: UnconsumedList) -> Self {
        Self {
            why: list.why(),
            waiting: list.waiting.unwrap_or(0),
            source: list.key,
            dead_letters_of: None,
        }
    }
}

impl Consumed {
    /// `elsewhere`: the tables that other partitions name.
    pub(crate) fn of(config: &Config, elsewhere: BTreeSet<String>) -> Self {
        let mut consumed = Self {
            partition: config.partition.to_string(),
            elsewhere,
            ..Self::default()
        };
        for entry in &config.queues {
            let table = match &entry.source {
                SourceConfig::Table { table } => table.clone(),
                SourceConfig::Redis { .. } | SourceConfig::Kafka { .. } => {
                    replay_table(&consumed.partition, &entry.name)
                }
            };
            if entry.live {
                consumed.live.insert(table);
            } else {
                consumed.not_live.insert(table, entry.name.clone());
            }
        }
        consumed
    }

    /// `None`: the table is consumed, or another partition names it.
    fn judge(&self, queue: &str) -> Option<Unconsumed> {
        let found = |why: String, dead_letters_of: Option<&str>| {
            Some(Unconsumed {
                source: queue.to_owned(),
                waiting: 0,
                why,
                dead_letters_of: dead_letters_of.map(str::to_owned),
            })
        };
        if self.live.contains(queue) {
            return None;
        }
        if let Some(entry) = self.not_live.get(queue) {
            return found(
                format!("its entry `{entry}` is not live here; they run when it is"),
                None,
            );
        }
        if let Some(of) = queue.strip_prefix(REPLAY_PREFIX) {
            // Another partition's daemon reports its own.
            let entry = of.strip_prefix(&self.partition)?.strip_prefix(':')?;
            return found(
                format!(
                    "they are replayed dead letters of the entry `{entry}`, which is not there, or is a `table` queue now; the \
                     next start makes dead letters of them again, for `dead replay`"
                ),
                Some(entry),
            );
        }
        if self.elsewhere.contains(queue) {
            return None;
        }
        found(
            format!(
                "no entry has this `table`, here or in the `queue_*.json` of another partition beside it; an entry with \
                 `\"table\": \"{queue}\"` would consume them"
            ),
            None,
        )
    }
}

/// All tables with messages that are not consumed.
///
/// # Errors
///
/// When the database does not answer.
pub(crate) async fn unconsumed(
    reader: &dyn Reader,
    consumed: &Consumed,
) -> Result<Vec<Unconsumed>, DbError> {
    let queues = reader.waiting_queues().await?;
    let judged = queues.iter().filter_map(|queue| consumed.judge(queue));
    let mut found: Vec<Unconsumed> = judged.collect();
    let asked = found.iter().map(|one| (one.source.clone(), COUNT_CAP + 1));
    let lags = match found.is_empty() {
        true => Vec::new(),
        false => reader.queue_lags(asked.collect()).await?,
    };
    for (one, lag) in found.iter_mut().zip(lags) {
        one.waiting = lag;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumed() -> Consumed {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Consumed {
            partition: "script1".to_owned(),
            live: names(&["orders", "dead:script1:clicks"]),
            not_live: [("asleep".to_owned(), "sleeper".to_owned())].into(),
            elsewhere: names(&["others"]),
        }
    }

    #[test]
    fn what_no_entry_consumes_is_distinguished_from_what_others_do() {
        let consumed = consumed();
        for queue in [
            "orders",
            "dead:script1:clicks",
            "others",
            "dead:script2:clicks",
            "dead:script11:clicks",
        ] {
            assert_eq!(consumed.judge(queue), None, "{queue}");
        }
        for (queue, why, dead_letters_of) in [
            ("asleep", "its entry `sleeper` is not live here", None),
            ("old", "no entry has this `table`", None),
            (
                "dead:script1:gone:1",
                "replayed dead letters of the entry `gone:1`",
                Some("gone:1"),
            ),
        ] {
            let found = consumed.judge(queue).unwrap();
            assert!(found.why.contains(why), "{found:?}");
            assert_eq!(found.dead_letters_of.as_deref(), dead_letters_of);
        }
    }
}
