//! The alerts of a daemon that waits for its database at the start. Nothing works yet, so there is one rule: `outages`.
//!
//! **What fires here is resolved.** By the first look after the database has answered; or, where the start ends before it
//! does, by [`EarlyAlerts::end`]. The daemon's own looks go on with the same memory.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

use super::actor::LOOK_INTERVAL;
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
    looked_at: Cell<Option<Instant>>,
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
            looked_at: Cell::new(None),
        }
    }

    /// What was said, for those who look later.
    pub(crate) fn memory(&self) -> Memory {
        self.memory.clone()
    }

    /// To be called often: looks where the last look is old.
    pub(crate) fn wait(&self) {
        let now = Instant::now();
        let looked_at = self.looked_at.get();
        if looked_at.is_none_or(|at| now.saturating_duration_since(at) >= LOOK_INTERVAL) {
            self.looked_at.set(Some(now));
            self.look();
        }
    }

    /// Says what has changed.
    pub(crate) fn look(&self) {
        self.say(Table::apply);
    }

    /// There will be no daemon: the last word, which is sent before this returns or within [`LAST_WORD`].
    pub(crate) async fn end(&self) {
        self.say(Table::finish);
        self.memory.end();
        self.notifier.finish(Instant::now() + LAST_WORD).await;
    }

    fn say(&self, change: Change) {
        let at = Moment::now();
        let sight = Sight {
            now_ms: at.utc.timestamp_millis(),
            outages: outages().list(),
            ..Sight::default()
        };
        self.memory
            .say(&self.rules, &sight, at, &self.notifier, change);
    }
}
