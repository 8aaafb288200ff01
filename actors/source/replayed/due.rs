//! Looks for letters that wait to run again: one question for all entries of a daemon, beside the hot path.
//!
//! An empty replay table is the usual case. Its pool does not look at it until it is told to, so it costs nothing.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::db::Db;

/// How often: a person who replays waits no longer for it than for a delayed task.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The replay tables of a daemon.
pub(crate) struct DueReplays {
    db: Db,
    tables: Mutex<Vec<(String, watch::Sender<bool>)>>,
}

impl DueReplays {
    pub(crate) fn new(db: Db) -> Self {
        Self {
            db,
            tables: Mutex::default(),
        }
    }

    /// What says when the table is worth looking at.
    pub(crate) fn of(&self, table: String) -> watch::Sender<bool> {
        let due = watch::Sender::new(false);
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables.push((table, due.clone()));
        due
    }

    /// Looks for ever, where there is any table; to be spawned where no business code runs.
    pub(crate) async fn look(self) {
        let tables = self.tables.into_inner();
        let tables = tables.unwrap_or_else(PoisonError::into_inner);
        if tables.is_empty() {
            return;
        }
        let names: Vec<String> = tables.iter().map(|(table, _)| table.clone()).collect();
        loop {
            match self.db.reader().due_queues(names.clone()).await {
                Ok(due) => {
                    for (_, sender) in tables.iter().filter(|(table, _)| due.contains(table)) {
                        sender.send_replace(true);
                    }
                }
                // DbActor tells of the outage.
                Err(cause) => log::debug!("replays cannot be looked for: {cause}"),
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
}
