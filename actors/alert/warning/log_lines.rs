//! What warnings write into logs: their messages, and what is wrong with them, once.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::logs::QueuedLogger;

/// The logger of all messages, as in the Go project.
const LOGGER: &str = "WarningLog";
/// Time after which the same trouble is logged again.
const SAID_AGAIN: Duration = Duration::from_secs(3600);
/// Lines of one kind of trouble within that time.
const MOST_OF_A_KIND: usize = 10;

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

/// What is said once. Whatever one kind does, it mutes no other one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    Invalid,
    TooManyFlags,
    GivenUp,
    Refused,
    Held,
    Look,
    Claim,
    Delete,
}

/// An error line, unless it was one within the last hour, or the kind has had its lines of that hour.
pub(super) fn say_once(kind: Trouble, text: &str) {
    static SAID: Mutex<Said> = Mutex::new(Said::new());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    let verdict = said.say(kind, text, Instant::now());
    drop(said);
    match verdict {
        Verdict::Say => log::error!("{text}"),
        Verdict::SayAsLast => {
            log::error!("{text}; more of that kind are not logged within the hour");
        }
        Verdict::IsSaid => {}
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Say,
    SayAsLast,
    IsSaid,
}

/// The lines of the last hour, by their kinds.
struct Said(BTreeMap<Trouble, Vec<(String, Instant)>>);

impl Said {
    const fn new() -> Self {
        Self(BTreeMap::new())
    }

    fn say(&mut self, kind: Trouble, text: &str, now: Instant) -> Verdict {
        let lines = self.0.entry(kind).or_default();
        lines.retain(|(_, at)| now.saturating_duration_since(*at) < SAID_AGAIN);
        if lines.len() >= MOST_OF_A_KIND || lines.iter().any(|(said, _)| said == text) {
            return Verdict::IsSaid;
        }
        lines.push((text.to_owned(), now));
        match lines.len() {
            MOST_OF_A_KIND => Verdict::SayAsLast,
            _ => Verdict::Say,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_flags_that_are_refused_are_ten_lines_and_mute_no_other_trouble() {
        let now = Instant::now();
        let mut said = Said::new();
        let mut of_flags = |now| -> Vec<Verdict> {
            let flags = (0..1_000).map(|n| said.say(Trouble::Refused, &format!("flag {n}"), now));
            flags.filter(|it| *it != Verdict::IsSaid).collect()
        };
        let lines = of_flags(now);
        assert_eq!(lines.len(), MOST_OF_A_KIND);
        assert_eq!(lines.last(), Some(&Verdict::SayAsLast));
        assert_eq!(of_flags(now).len(), 0);
        let again = now + SAID_AGAIN;
        assert_eq!(of_flags(again).len(), MOST_OF_A_KIND);
        assert_eq!(said.say(Trouble::Claim, "other", again), Verdict::Say);
        assert_eq!(said.say(Trouble::Claim, "other", again), Verdict::IsSaid);
    }
}
