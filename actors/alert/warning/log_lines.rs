//! What warnings write into logs: their messages, and what is wrong with them, once.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::{Map, Value};

use crate::logs::QueuedLogger;

/// The logger of all messages, as in the Go project.
const LOGGER: &str = "WarningLog";
/// Time after which the same trouble is logged again.
const LOGGED_AGAIN: Duration = Duration::from_secs(3600);
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

/// A kind of trouble that is logged once. No kind mutes another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    Invalid,
    TooManyFlags,
    GivenUp,
    Refused,
    Held,
    Poll,
    Claim,
    Delete,
}

/// An error line, unless it was one within the last hour, or the kind has had its lines of that hour.
pub(super) fn log_once(kind: Trouble, text: &str) {
    static LOGGED: Mutex<Logged> = Mutex::new(Logged::new());
    let mut logged = LOGGED.lock();
    let verdict = logged.verdict(kind, text, Instant::now());
    drop(logged);
    match verdict {
        Verdict::Log => log::error!("{text}"),
        Verdict::LogAsLast => {
            log::error!("{text}; more of that kind are not logged within the hour");
        }
        Verdict::IsLogged => {}
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Log,
    LogAsLast,
    IsLogged,
}

/// The lines of the last hour, by their kinds.
struct Logged(BTreeMap<Trouble, Vec<(String, Instant)>>);

impl Logged {
    const fn new() -> Self {
        Self(BTreeMap::new())
    }

    fn verdict(&mut self, kind: Trouble, text: &str, now: Instant) -> Verdict {
        let lines = self.0.entry(kind).or_default();
        lines.retain(|(_, at)| now.saturating_duration_since(*at) < LOGGED_AGAIN);
        if lines.len() >= MOST_OF_A_KIND || lines.iter().any(|(logged, _)| logged == text) {
            return Verdict::IsLogged;
        }
        lines.push((text.to_owned(), now));
        match lines.len() {
            MOST_OF_A_KIND => Verdict::LogAsLast,
            _ => Verdict::Log,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_refused_flags_are_ten_lines() {
        let now = Instant::now();
        let mut logged = Logged::new();
        let mut of_flags = |now| -> Vec<Verdict> {
            let flags =
                (0..1_000).map(|n| logged.verdict(Trouble::Refused, &format!("flag {n}"), now));
            flags.filter(|it| *it != Verdict::IsLogged).collect()
        };
        let lines = of_flags(now);
        assert_eq!(lines.len(), MOST_OF_A_KIND);
        assert_eq!(lines.last(), Some(&Verdict::LogAsLast));
        assert_eq!(of_flags(now).len(), 0);
        let again = now + LOGGED_AGAIN;
        assert_eq!(of_flags(again).len(), MOST_OF_A_KIND);
        assert_eq!(logged.verdict(Trouble::Claim, "other", again), Verdict::Log);
        assert_eq!(
            logged.verdict(Trouble::Claim, "other", again),
            Verdict::IsLogged
        );
    }
}
