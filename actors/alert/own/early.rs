//! The alerts of a daemon that waits for its database at the start. Nothing works yet, so there is one rule: `outages`.
//!
//! **Alerts that fire here are resolved.** By the first poll after the database has answered; or, where the start ends
//! before it does, by [`EarlyAlerts::end`]. The daemon's own polls go on with the same memory.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

use super::actor::POLL_INTERVAL;
use super::memory::{Change, Memory};
use super::sight::Sight;
use super::table::{Moment, Table};
use crate::alert::Notifier;
use crate::config::AlertRules;
use crate::state::outages;

/// The longest that an ending start waits for its alerts to be sent.
const LAST_WORD: Duration = Duration::from_secs(2);

/// See the module's header.
pub(crate) struct EarlyAlerts {
    rules: AlertRules,
    notifier: Notifier,
    memory: Memory,
    polled_at: Cell<Option<Instant>>,
}

impl EarlyAlerts {
    pub(crate) fn new(rules: &AlertRules, notifier: Notifier) -> Self {
        let rules = AlertRules {
            outages: rules.outages,
            lag: None,
            dead_letters: None,
            cron_runs: None,
            misfires: None,
            late_tasks: None,
            restarts: None,
            disk: None,
        };
        Self {
            rules,
            notifier,
            memory: Memory::default(),
            polled_at: Cell::new(None),
        }
    }

    /// What was reported, for later polls.
    pub(crate) fn memory(&self) -> Memory {
        self.memory.clone()
    }

    /// To be called often: polls if the last poll is old.
    pub(crate) fn wait(&self) {
        let now = Instant::now();
        let polled_at = self.polled_at.get();
        if polled_at.is_none_or(|at| now.saturating_duration_since(at) >= POLL_INTERVAL) {
            self.polled_at.set(Some(now));
            self.poll();
        }
    }

    /// Reports what has changed.
    pub(crate) fn poll(&self) {
        self.report(Table::apply);
    }

    /// There will be no daemon: the last word, which is sent before this returns or within [`LAST_WORD`].
    pub(crate) async fn end(&self) {
        self.report(Table::finish);
        self.memory.end();
        self.notifier.finish(Instant::now() + LAST_WORD).await;
    }

    fn report(&self, change: Change) {
        let at = Moment::now();
        let sight = Sight {
            now_ms: at.utc.timestamp_millis(),
            outages: outages().list(),
            ..Sight::default()
        };
        self.memory
            .report(&self.rules, &sight, at, &self.notifier, change);
    }
}
