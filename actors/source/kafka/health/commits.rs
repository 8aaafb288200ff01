//! Whether the brokers accept our commits.

use std::time::{Duration, Instant};

use crate::outage::Outage;

/// The time for which commits fail before a log line: in a rebalance they are refused for a moment. Records that were
/// finished since then run again if the process is killed.
const PATIENCE: Duration = Duration::from_secs(15);

pub(super) struct Commits {
    outage: Outage,
    refused_since: Option<Instant>,
}

impl Commits {
    pub(super) fn of(queue: &str) -> Self {
        Self {
            outage: Outage::of_queue(
                queue,
                format!("queue `{queue}`: the committing of positions"),
            ),
            refused_since: None,
        }
    }

    pub(super) fn taken(&mut self) {
        self.refused_since = None;
        self.outage.passed();
    }

    pub(super) fn refused(&mut self, why: &str) {
        let now = Instant::now();
        let since = *self.refused_since.get_or_insert(now);
        if now - since >= PATIENCE {
            let _ = self.outage.failed(why);
        }
    }
}
