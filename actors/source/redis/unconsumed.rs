//! Finds messages beside lists that no daemon consumes: retries of an entry that was removed, and messages that its
//! daemons had taken.
//!
//! All keys of the server are scanned, a few at a time. The names of our keys show which list they belong to, and the
//! heartbeats show whether a daemon of any partition consumes it.

use std::collections::BTreeSet;
use std::time::Duration;

use bb8_redis::redis::cmd;

use super::error::Fault;
use super::scripts::LAG;
use super::server::Answer;
use super::stream::Attentive;

/// Keys in one step of the scan: well under a millisecond of the server's time.
const STEP: usize = 500;
/// A part of the name of each key of ours; the list's own name is before it.
pub(super) const OURS: &str = ":simplest_script:";
/// The most lists that are reported: an operator does not read more.
const MOST_LISTS: usize = 100;

/// A list beside which messages wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnconsumedList {
    pub(crate) key: String,
    /// The number of messages, with those in the list itself. None: the user may not read it.
    pub(crate) waiting: Option<u64>,
}

impl UnconsumedList {
    /// Why no daemon consumes them, and what to do.
    pub(crate) fn why(&self) -> String {
        format!(
            "retries of an entry that is not there, or what its daemons had taken, lie in `{key}{OURS}…`, and no daemon consumes \
             `{key}`; an entry with `\"key\": \"{key}\"` would",
            key = self.key
        )
    }
}

/// All such lists of a server, but for the `consumed` ones. The pause after each step leaves the server to other clients.
///
/// # Errors
///
/// When the server does not answer, or the user may not read its keys.
pub(super) async fn unconsumed_lists(
    connection: &mut Attentive,
    consumed: &BTreeSet<String>,
    pause: Duration,
) -> Answer<Vec<UnconsumedList>> {
    let mut lists = BTreeSet::new();
    let mut cursor = 0_u64;
    loop {
        let mut scan = cmd("SCAN");
        scan.arg(cursor)
            .arg("MATCH")
            .arg(format!("*{OURS}*"))
            .arg("COUNT")
            .arg(STEP);
        let (next, keys): (u64, Vec<Vec<u8>>) = connection.query(&scan).await?;
        for key in keys {
            if let Some(list) = holding(&key).filter(|list| !consumed.contains(list)) {
                lists.insert(list);
            }
        }
        cursor = next;
        if cursor == 0 || lists.len() >= MOST_LISTS {
            break;
        }
        tokio::time::sleep(pause).await;
    }
    let mut found = Vec::new();
    for list in lists {
        // Keys of an entry that is gone may be none of the user's any more.
        if granted(is_consumed(connection, &list).await)? != Some(true) {
            let waiting = granted(connection.run(&LAG.key(list.as_str())).await)?;
            found.push(UnconsumedList { key: list, waiting });
        }
    }
    Ok(found)
}

/// The list that the key belongs to. None where the key holds no messages.
fn holding(key: &[u8]) -> Option<String> {
    let key = str::from_utf8(key).ok()?;
    let at = key.rfind(OURS)?;
    let what = &key[at + OURS.len()..];
    let holds = what == "retries" || what == "back" || what.starts_with("batch:");
    holds.then(|| key[..at].to_owned())
}

/// Whether a daemon's heartbeat still counts, by the server's clock.
async fn is_consumed(connection: &mut Attentive, list: &str) -> Answer<bool> {
    let (seconds, _): (u64, u64) = connection.query(&cmd("TIME")).await?;
    let mut count = cmd("ZCOUNT");
    count
        .arg(format!("{list}{OURS}boots"))
        .arg(seconds * 1000)
        .arg("+inf");
    let alive: u64 = connection.query(&count).await?;
    Ok(alive > 0)
}

/// `None` where the server refuses it.
fn granted<T>(answer: Answer<T>) -> Answer<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(Fault::Refused(_)) => Ok(None),
        Err(away) => Err(away),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_hold_messages_name_their_list() {
        for (key, list) in [
            ("a:simplest_script:retries", Some("a")),
            ("a:b:simplest_script:back", Some("a:b")),
            ("a:simplest_script:batch:boot:7", Some("a")),
            ("a:simplest_script:batches:boot", None),
            ("a:simplest_script:boots", None),
            ("a:simplest_script:death:id", None),
            ("a", None),
        ] {
            assert_eq!(holding(key.as_bytes()).as_deref(), list, "{key}");
        }
        assert_eq!(holding(b"\xff:simplest_script:back"), None);
    }
}
