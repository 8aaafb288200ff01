//! What is wrong now, in words: since when, and what would help. The worst first.
//!
//! Lags and counts are read from time to time, not for each question. Each is judged as of the moment when it was read,
//! and one that is older than a few seconds has its age beside it.

use serde::{Deserialize, Serialize};

use crate::alert::own::{self, Condition, ago, shown_count};
use crate::state::view::{Away, OutageView, QueueView};
use crate::state::{CronSight, LagSight, State, outages};

/// From here on the delay queue is late; below that a busy second is the same.
const LATE_SECONDS: u64 = 5;
/// A handler that has run for longer than this holds up its consumer.
const LONG_RUN_MS: i64 = 10 * 60 * 1000;
/// Within this time after its start a daemon has asked each of its servers.
const FIRST_READ_MS: i64 = 60 * 1000;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wrong {
    /// What it is about: `database`, `queue orders`, `cron report`, `delay queue`, `dead letters`.
    pub(crate) about: String,
    /// Since when, unix milliseconds, where that is known.
    pub(crate) since_ms: Option<i64>,
    /// It was so when this daemon began to watch: it may be older.
    #[serde(default)]
    pub(crate) at_least: bool,
    /// A sentence.
    pub(crate) text: String,
    /// What would help.
    pub(crate) remedy: String,
    /// The same as numbers, for texts in other words.
    #[serde(skip)]
    pub(crate) fact: Fact,
}

/// What is wrong, and the entry that it is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Fact {
    /// Nothing more than the text is known.
    #[default]
    Readiness,
    Away {
        cause: String,
    },
    HeldUp {
        cause: String,
    },
    Behind(LagSight),
    Unread(LagSight),
    LongRun {
        queue: String,
    },
    LateTasks {
        waiting: u64,
        late_ms: i64,
        running: usize,
    },
    BadRuns {
        key: String,
        count: u64,
        error: String,
    },
    DeadLetters {
        count: u64,
    },
}

impl Wrong {
    fn of(kind: &str, condition: Condition, fact: Fact) -> Self {
        Self {
            about: format!("{kind}{}", condition.subject),
            since_ms: Some(condition.since_ms),
            at_least: false,
            text: condition.text,
            remedy: condition.remedy,
            fact,
        }
    }
}

/// All of it. `missing` is what readiness lacks.
pub(super) fn wrong(state: &State, missing: &[String], now_ms: i64) -> Vec<Wrong> {
    let mut found: Vec<Wrong> = missing.iter().map(|text| not_ready(text)).collect();
    // By the rules of alerts, but for how long it must have lasted: the caller wants to know now.
    let listed = outages().list();
    let away = own::outages(&listed, 0, now_ms).into_iter();
    found.extend(away.map(|one| {
        let cause = one.text.clone();
        let cause = cause.trim_start_matches("not available: ").to_owned();
        Wrong::of("", one, Fact::Away { cause })
    }));
    found.extend(listed.iter().filter_map(held_up));
    let lags: Vec<LagSight> = state
        .queues()
        .iter()
        .map(|queue| queue.lag_sight())
        .collect();
    // Of one that cannot be read now only that is known.
    let read: Vec<LagSight> = lags
        .iter()
        .filter(|lag| lag.unread_since_ms.is_none())
        .cloned()
        .collect();
    let behind = own::lags(&read, 1, now_ms).into_iter();
    found.extend(behind.map(|one| {
        let lag = read.iter().find(|lag| lag.queue == one.subject);
        let fact = lag.map_or(Fact::default(), |lag| Fact::Behind(lag.clone()));
        Wrong::of("queue ", one, fact)
    }));
    found.extend(lags.iter().filter_map(|lag| unread(lag, now_ms)));
    let queues = state.queues();
    let queues = queues.iter().map(|queue| queue.view());
    found.extend(queues.filter_map(|queue| long_run(&queue, now_ms)));
    let delay = state.delay.sight();
    found.extend(delay.and_then(|delay| {
        let one = own::late_tasks(&delay, LATE_SECONDS, now_ms)?;
        let fact = Fact::LateTasks {
            waiting: delay.waiting,
            late_ms: delay.counted_ms - delay.oldest_due_ms?,
            running: delay.running,
        };
        Some(Wrong::of("delay queue", one, fact))
    }));
    let entries: Vec<CronSight> = state.cron().iter().map(|entry| entry.sight()).collect();
    let bad = entries.iter().filter_map(|entry| {
        let bad = entry.bad.as_ref()?;
        Some(Fact::BadRuns {
            key: entry.key.clone(),
            count: bad.count,
            error: bad.error.clone(),
        })
    });
    let bad = own::cron_runs(&entries).into_iter().zip(bad);
    found.extend(bad.map(|(one, fact)| Wrong::of("cron ", one, fact)));
    let oldest = *state.oldest_dead_letter_ms.lock();
    found.extend(of_dead_letters(*state.dead_letters.lock(), oldest));
    for one in &mut found {
        one.at_least = may_be_older(one, state.identity.started_ms);
    }
    found
}

/// Whether it may have begun before this daemon did. A daemon asks each server within its first minute: an outage that begins
/// in that minute may be older. The age of the others is read from rows, or was measured here from their beginning.
fn may_be_older(one: &Wrong, started_ms: i64) -> bool {
    match &one.fact {
        Fact::Behind(lag) => lag.since_first_check,
        Fact::Away { .. } | Fact::HeldUp { .. } | Fact::Unread(_) => one
            .since_ms
            .is_some_and(|since_ms| since_ms < started_ms.saturating_add(FIRST_READ_MS)),
        Fact::Readiness
        | Fact::LongRun { .. }
        | Fact::LateTasks { .. }
        | Fact::BadRuns { .. }
        | Fact::DeadLetters { .. } => false,
    }
}

fn not_ready(text: &str) -> Wrong {
    Wrong {
        about: "readiness".to_owned(),
        since_ms: None,
        at_least: false,
        text: text.to_owned(),
        remedy: "the log shows what is tried".to_owned(),
        fact: Fact::Readiness,
    }
}

/// A part of this daemon that waits, mostly for one of those that are away.
fn held_up(outage: &OutageView) -> Option<Wrong> {
    (outage.away == Away::Part).then(|| Wrong {
        about: outage.what.clone(),
        since_ms: Some(outage.since_ms),
        at_least: false,
        text: format!("held up: {}", outage.cause),
        remedy: "this daemon goes on by itself once the cause is gone".to_owned(),
        fact: Fact::HeldUp {
            cause: outage.cause.clone(),
        },
    })
}

fn unread(lag: &LagSight, now_ms: i64) -> Option<Wrong> {
    let since_ms = lag.unread_since_ms?;
    let last = match (lag.shown(), lag.read_ms) {
        (Some(shown), Some(read_ms)) => format!("; it was {shown} {}", ago(read_ms, now_ms)),
        _ => String::new(),
    };
    Some(Wrong {
        about: format!("queue {}", lag.queue),
        since_ms: Some(since_ms),
        at_least: false,
        text: format!("its lag cannot be read{last}"),
        remedy: "the pool keeps its size meanwhile; the log has the reason".to_owned(),
        fact: Fact::Unread(lag.clone()),
    })
}

fn long_run(queue: &QueueView, now_ms: i64) -> Option<Wrong> {
    let since_ms = queue.busy_since_ms?;
    (now_ms - since_ms > LONG_RUN_MS).then(|| Wrong {
        about: format!("queue {}", queue.facts.name),
        since_ms: Some(since_ms),
        at_least: false,
        text: "a handler has been running all that time".to_owned(),
        remedy: "a `timeout` of the entry would end it".to_owned(),
        fact: Fact::LongRun {
            queue: queue.facts.name.clone(),
        },
    })
}

/// `oldest_ms`: when the oldest of them died.
fn of_dead_letters(dead_letters: Option<u64>, oldest_ms: Option<i64>) -> Option<Wrong> {
    let dead_letters = dead_letters.filter(|dead_letters| *dead_letters > 0)?;
    Some(Wrong {
        about: "dead letters".to_owned(),
        since_ms: oldest_ms,
        at_least: false,
        text: format!(
            "{} dead letters wait for somebody",
            shown_count(dead_letters)
        ),
        remedy: "`dead list` shows them, `dead replay` runs them again".to_owned(),
        fact: Fact::DeadLetters {
            count: dead_letters,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_daemon_found_when_it_came_may_be_older() {
        let outage = |since_ms| {
            held_up(&OutageView {
                away: Away::Part,
                what: "the delay queue".to_owned(),
                since_ms,
                cause: "refused".to_owned(),
            })
            .unwrap()
        };
        let started = 1_000_000;
        assert!(may_be_older(&outage(started + 2_000), started));
        assert!(!may_be_older(&outage(started + FIRST_READ_MS), started));
        let dead_letters = of_dead_letters(Some(3), Some(7)).unwrap();
        assert_eq!(dead_letters.since_ms, Some(7));
        assert!(!may_be_older(&dead_letters, started), "it is in the table");
    }
}
