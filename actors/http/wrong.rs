//! What is wrong now, in words: since when, and what would help. The worst first.

use serde::{Deserialize, Serialize};

use crate::state::view::{CronView, DelayView, OutageView, QueueView};
use crate::state::{State, outages};

/// From here on the delay queue is late; below that a busy second looks the same.
const LATE_MS: i64 = 5_000;
/// A run that failed longer ago than this is in the history, and not wrong now.
const RECENT_MS: i64 = 60 * 60 * 1000;
/// A handler that has run for longer than this holds up its consumer.
const LONG_RUN_MS: i64 = 10 * 60 * 1000;

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
    if let (Some(since_ms), Some(lag)) = (queue.behind_since_ms, queue.lag) {
        let more = if queue.lag_is_capped { " or more" } else { "" };
        found.push(Wrong {
            about: about.clone(),
            since_ms: Some(since_ms),
            text: format!(
                "lag {lag}{more} is above {} at full size, {} of {} consumers",
                queue.facts.lag_limit, queue.consumers_present, queue.consumers_ceiling
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

fn of_delay(delay: &DelayView, now_ms: i64) -> Option<Wrong> {
    let due_ms = delay.oldest_due_ms?;
    let late_ms = now_ms - due_ms;
    let waiting = delay.waiting.filter(|waiting| *waiting > 0)?;
    (late_ms > LATE_MS).then(|| Wrong {
        about: "delay queue".to_owned(),
        since_ms: Some(due_ms),
        text: format!(
            "{waiting} tasks wait, the oldest {} s past its time; {} run",
            late_ms / 1000,
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
    let shown = match letters {
        100_001.. => "100,000+".to_owned(),
        n => n.to_string(),
    };
    Some(Wrong {
        about: "dead letters".to_owned(),
        since_ms: None,
        text: format!("{shown} dead letters wait for somebody"),
        remedy: "`dead list` shows them, `dead replay` runs them again".to_owned(),
    })
}
