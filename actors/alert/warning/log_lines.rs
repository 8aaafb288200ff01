//! What warnings write into logs: their messages, and what is wrong with them, once.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::logs::QueuedLogger;

/// The logger of all messages, as in the Go project.
const LOGGER: &str = "WarningLog";
/// The same trouble is a line again after so long.
const SAID_AGAIN: Duration = Duration::from_secs(3600);
/// So many kinds of trouble are remembered.
const MOST_SAID: usize = 1_000;

static MESSAGES: LazyLock<Option<QueuedLogger>> =
    LazyLock::new(|| match QueuedLogger::start(LOGGER) {
        Ok(logger) => Some(logger),
        Err(cause) => {
            log::error!("messages of warnings are not logged: no thread for them: {cause}");
            None
        }
    });

/// A line for each.
pub(super) fn write_messages(flag: &str, messages: &[String]) {
    if let (Some(logger), false) = (&*MESSAGES, messages.is_empty()) {
        let mut fields = Map::new();
        fields.insert("flag".to_owned(), Value::from(flag));
        for message in messages {
            logger.warn(message, &fields);
        }
    }
}

/// An error line, unless it was one within the last hour.
pub(super) fn say_once(trouble: &str) {
    static SAID: Mutex<BTreeMap<String, Instant>> = Mutex::new(BTreeMap::new());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    said.retain(|_, at| at.elapsed() < SAID_AGAIN);
    if said.contains_key(trouble) || said.len() >= MOST_SAID {
        return;
    }
    said.insert(trouble.to_owned(), Instant::now());
    drop(said);
    log::error!("{trouble}");
}
