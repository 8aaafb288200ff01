//! What every actor publishes of itself: counters, gauges, histograms, the last failures, what runs now.
//!
//! Whoever works writes here and reads nothing; metrics, `status` and the HTTP port read and write nothing. A consumer
//! counts into cells of its own (`queue.rs`), so the hot path shares no cache line with another thread. Everything else is
//! rare enough for a lock that is held for some nanoseconds.
//!
//! Nothing here asks a database or grows with the number of rows, and every list is bounded.

mod cell;
mod cron;
mod database;
mod deaths;
mod delay;
mod history;
mod letters;
mod outages;
mod queue;
mod recent;
mod running;
#[cfg(test)]
mod tests;
pub(crate) mod view;

use std::sync::Arc;

use parking_lot::Mutex;

use self::view::PauseView;

pub(crate) use self::cell::Distribution;
#[cfg(test)]
use self::cell::Scale;
#[cfg(test)]
pub(crate) use self::cron::{BadEnds, Misses};
pub(crate) use self::cron::{CronFacts, CronSight, CronState};
pub(crate) use self::database::commits;
pub(crate) use self::deaths::{PartDeaths, deaths};
pub(crate) use self::delay::{DelaySight, DelayState, TaskDisposition};
pub(crate) use self::history::{HISTORY_INTERVAL, History};
pub(crate) use self::letters::{LetterGroup, letters};
pub(crate) use self::outages::{OutageMark, outages};
pub(crate) use self::queue::{
    ConsumerTally, FailureCause, LagSight, QueueFacts, QueueState, Settlements, Tally,
};

/// Which process this is.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Identity {
    pub(crate) version: &'static str,
    pub(crate) environment: String,
    pub(crate) partition: String,
    pub(crate) host: String,
    pub(crate) pid: u32,
    pub(crate) boot: String,
    /// Unix milliseconds.
    pub(crate) started_ms: i64,
}

/// Everything that one daemon publishes. The lists are those of the configuration, in its order.
pub(crate) struct State {
    pub(crate) identity: Identity,
    pub(crate) queues: Vec<Arc<QueueState>>,
    pub(crate) cron: Vec<Arc<CronState>>,
    pub(crate) delay: Arc<DelayState>,
    pub(crate) history: Mutex<History>,
    /// Dead letters, counted up to a cap; none before the first count, and where the last one failed.
    pub(crate) dead_letters: Mutex<Option<u64>>,
    /// What is paused, as it was read last.
    pub(crate) pauses: Mutex<Vec<PauseView>>,
}

impl State {
    pub(crate) fn new(
        identity: Identity,
        queues: Vec<Arc<QueueState>>,
        cron: Vec<Arc<CronState>>,
        delay: Arc<DelayState>,
    ) -> Self {
        Self {
            identity,
            history: Mutex::new(History::new(queues.len(), cron.len())),
            queues,
            cron,
            delay,
            dead_letters: Mutex::new(None),
            pauses: Mutex::default(),
        }
    }
}
