//! What every actor publishes of itself: counters, gauges, histograms, the last failures, what runs now.
//!
//! Whoever works writes here and reads nothing; metrics, `status` and the HTTP port read and write nothing. A consumer
//! counts into cells of its own (`queue.rs`), so the hot path shares no cache line with another thread. Everything else
//! is rare enough for a lock that is held for some nanoseconds.
//!
//! Nothing here asks a database or grows with the number of rows, and every list is bounded.

mod cell;
mod cron;
mod database;
mod dead_letters;
mod deaths;
mod delay;
mod durations;
mod history;
mod outages;
mod printed;
mod queue;
mod recent;
mod running;
#[cfg(test)]
mod tests;
pub(crate) mod view;

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use self::view::PauseView;

pub(crate) use self::cell::Distribution;
#[cfg(test)]
use self::cell::Scale;
#[cfg(test)]
pub(crate) use self::cron::{BadEnds, Misses};
pub(crate) use self::cron::{CronFacts, CronSight, CronState, EndedRun};
pub(crate) use self::database::commits;
pub(crate) use self::dead_letters::{
    DeadLetterGroup, DeadLettersOf, MOST_SOURCES, SOURCE_CAP, dead_letters,
};
pub(crate) use self::deaths::{PartDeaths, deaths};
pub(crate) use self::delay::{DelaySight, DelayState};
pub(crate) use self::history::{HISTORY_INTERVAL, History};
pub(crate) use self::outages::{OutageMark, outages};
pub(crate) use self::printed::PrintedPart;
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

/// What the entries of one kind publish, in the order of the configuration.
pub(crate) type EntryStates<T> = Arc<[Arc<T>]>;

/// Everything that one daemon publishes.
pub(crate) struct State {
    pub(crate) identity: Identity,
    /// Another list after a reload. Whoever changes it holds the lock of `history`, whose rings stand in its order.
    queues: RwLock<EntryStates<QueueState>>,
    cron: RwLock<EntryStates<CronState>>,
    pub(crate) delay: Arc<DelayState>,
    pub(crate) history: Mutex<History>,
    /// Dead letters, counted up to a cap; none before the first count, and where the last one failed.
    pub(crate) dead_letters: Mutex<Option<u64>>,
    /// The same by their sources, `MOST_SOURCES` at most; none where the last count failed.
    pub(crate) dead_letters_of: Mutex<Option<Vec<DeadLettersOf>>>,
    /// When the oldest of them died, unix milliseconds; none where there is none, or the last count failed.
    pub(crate) oldest_dead_letter_ms: Mutex<Option<i64>>,
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
            queues: RwLock::new(queues.into()),
            cron: RwLock::new(cron.into()),
            delay,
            dead_letters: Mutex::new(None),
            dead_letters_of: Mutex::new(None),
            oldest_dead_letter_ms: Mutex::new(None),
            pauses: Mutex::default(),
        }
    }

    /// Those of the live queue entries, as they are now.
    pub(crate) fn queues(&self) -> EntryStates<QueueState> {
        Arc::clone(&self.queues.read())
    }

    /// Those of the live cron entries, as they are now.
    pub(crate) fn cron(&self) -> EntryStates<CronState> {
        Arc::clone(&self.cron.read())
    }

    /// From now on these are the live entries. Those that were live before keep their last hour.
    pub(crate) fn replace(&self, queues: Vec<Arc<QueueState>>, cron: Vec<Arc<CronState>>) {
        let mut history = self.history.lock();
        let (queues, cron): (EntryStates<_>, EntryStates<_>) = (queues.into(), cron.into());
        history.replace((&*self.queues(), &*queues), (&*self.cron(), &*cron));
        *self.queues.write() = queues;
        *self.cron.write() = cron;
    }
}
