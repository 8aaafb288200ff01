//! What is wrong now, in words: since when, and what would help. The worst first.
//!
//! Lags and counts are read from time to time, not for each question. Each is judged as of the moment when it was read, and
//! one that is older than a few seconds has its age beside it.

use serde::{Deserialize, Serialize};

use crate::db::rows::COUNT_CAP;
use crate::state::view::{CronView, DelayView, OutageView, QueueView};
use crate::state::{State, outages};

/// From here on the delay queue is late; below that a busy second looks the same.
const LATE_MS: i64 = 5_000;
/// A run that failed longer ago than this is in the history, and not wrong now.
const RECENT_MS: i64 = 60 * 60 * 1000;
/// A handler that has run for longer than this holds up its consumer.
const LONG_RUN_MS: i64 = 10 * 60 * 1000;

/// Numbers that are younger than this are those of now.
const FRESH_MS: i64 = 5_000;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wrong {
    /// What it is about: `database`, `queue orders`, `cron report`, `delay queue`, `dead letters`.
    pub(crate) about: String,
    /// Since when, unix milliseconds, where that is known.
    pub(crate) since_ms: Option<i64>,
    /// A sentence.
    pub(crate) text: String,
    /// What would help.
    pub(crate) remedy: String,
}

/// All of it. `missing` is what readiness lacks.
pub(super) fn wrong(state: &State, missing: &[String], now_ms: i64) -> Vec<Wrong> {
    let mut found: Vec<Wrong> = missing.iter().map(|text| not_ready(text)).collect();
    found.extend(outages().list().iter().map(away));
    let queues = state.queues.iter().map(|queue| queue.view());
    found.extend(queues.flat_map(|queue| of_queue(&queue, now_ms)));
    found.extend(of_delay(&state.delay.view(), now_ms));
    let entries = state.cron.iter().map(|entry| entry.view());
    found.extend(entries.filter_map(|entry| of_entry(&entry, now_ms)));
    found.extend(of_letters(*state.dead_letters.lock()));
    found
}

fn not_ready(text: &str) -> Wrong {
    Wrong {
        about: "readiness".to_owned(),
        since_ms: None,
        text: text.to_owned(),
        remedy: "the log says what is tried".to_owned(),
    }
}

fn away(outage: &OutageView) -> Wrong {
    Wrong {
        about: outage.what.clone(),
        since_ms: Some(outage.since_ms),
        text: format!("{} is away: {}", outage.what, outage.cause),
        remedy: "nothing here: this daemon goes on by itself once it is back".to_owned(),
    }
}

fn of_queue(queue: &QueueView, now_ms: i64) -> Vec<Wrong> {
    let about = format!("queue {}", queue.facts.name);
    let mut found = Vec::new();
    if let Some(since_ms) = queue.lag_unread_since_ms {
        let last = match (queue.last_lag, queue.lag_read_ms) {
            (Some(lag), Some(read_ms)) => {
                format!(
                    "; it was {} {}",
                    shown_lag(queue, lag),
                    ago(read_ms, now_ms)
                )
            }
            _ => String::new(),
        };
        found.push(Wrong {
            about: about.clone(),
            since_ms: Some(since_ms),
            text: format!("its lag cannot be read{last}"),
            remedy: "the pool keeps its size meanwhile; the log says why".to_owned(),
        });
    } else if let (Some(since_ms), Some(lag)) = (queue.behind_since_ms, queue.lag) {
        found.push(Wrong {
            about: about.clone(),
            since_ms: Some(since_ms),
            text: format!(
                "lag {} is above {} at full size, {} of {} consumers{}",
                shown_lag(queue, lag),
                queue.facts.lag_limit,
                queue.consumers_present,
                queue.consumers_ceiling,
                aged(queue.lag_read_ms, now_ms, |ago| format!(" (read {ago})")),
            ),
            remedy: "raise `max_progress`, add a partition, or make the handler faster".to_owned(),
        });
    }
    if let Some(since_ms) = queue.busy_since_ms
        && now_ms - since_ms > LONG_RUN_MS
    {
        found.push(Wrong {
            about,
            since_ms: Some(since_ms),
            text: "a handler has been running all that time".to_owned(),
            remedy: "a `timeout` of the entry would end it".to_owned(),
        });
    }
    found
}

fn shown_lag(queue: &QueueView, lag: u64) -> String {
    let more = if queue.lag_is_capped { " or more" } else { "" };
    format!("{lag}{more}")
}

/// The age of a number that is not of now; nothing for one that is.
fn aged(read_ms: Option<i64>, now_ms: i64, say: impl Fn(&str) -> String) -> String {
    let old = read_ms.filter(|read_ms| now_ms - read_ms >= FRESH_MS);
    old.map_or_else(String::new, |read_ms| say(&ago(read_ms, now_ms)))
}

fn ago(then_ms: i64, now_ms: i64) -> String {
    match (now_ms - then_ms).max(0) / 1000 {
        seconds @ ..120 => format!("{seconds} s ago"),
        seconds => format!("{} min ago", seconds / 60),
    }
}

/// As of the last count: the oldest task may have run since, and then nothing is late.
fn of_delay(delay: &DelayView, now_ms: i64) -> Option<Wrong> {
    let late_ms = delay.overdue_ms()?;
    let waiting = delay.waiting.filter(|waiting| *waiting > 0)?;
    (late_ms > LATE_MS).then(|| Wrong {
        about: "delay queue".to_owned(),
        since_ms: delay.oldest_due_ms,
        text: format!(
            "{} tasks wait, the oldest {} s past its time{}; {} run",
            shown_count(waiting),
            late_ms / 1000,
            aged(delay.counted_ms, now_ms, |ago| format!(", counted {ago}")),
            delay.running_count
        ),
        remedy: "raise `delay_concurrency`, or make the handlers faster".to_owned(),
    })
}

/// Where the last run has ended well since, nothing is wrong any more.
fn of_entry(entry: &CronView, now_ms: i64) -> Option<Wrong> {
    let failure = entry.failures.first()?;
    let is_mended = entry
        .last_success_ms
        .is_some_and(|success| success >= failure.at_ms);
    let is_recent = now_ms - failure.at_ms <= RECENT_MS;
    (is_recent && !is_mended).then(|| Wrong {
        about: format!("cron {}", entry.facts.name),
        since_ms: Some(failure.at_ms),
        text: format!("the last run did not end well: {}", failure.error),
        remedy: "its output is in the log directory, below `cron`".to_owned(),
    })
}

fn of_letters(letters: Option<u64>) -> Option<Wrong> {
    let letters = letters.filter(|letters| *letters > 0)?;
    Some(Wrong {
        about: "dead letters".to_owned(),
        since_ms: None,
        text: format!("{} dead letters wait for somebody", shown_count(letters)),
        remedy: "`dead list` shows them, `dead replay` runs them again".to_owned(),
    })
}

/// Rows are counted up to a cap.
fn shown_count(n: u64) -> String {
    match n > COUNT_CAP {
        true => "100,000+".to_owned(),
        false => n.to_string(),
    }
}
