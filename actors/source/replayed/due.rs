//! Polls for dead letters that wait to run again: one query for all entries of a daemon, beside the hot path.
//!
//! An empty replay table is the usual case. Its pool polls it only once a dead letter is found, so it costs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::db::Db;
use crate::task::{panic_point, restart_on_panic};

/// How often: a replay starts no later than a delayed task would.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The replay tables of a daemon.
pub(crate) struct DueReplays {
    db: Db,
    tables: Mutex<BTreeMap<String, watch::Sender<bool>>>,
}

impl DueReplays {
    pub(crate) fn new(db: Db) -> Self {
        Self {
            db,
            tables: Mutex::default(),
        }
    }

    /// Receives whether the table has a row that is due.
    pub(crate) fn of(&self, table: String) -> watch::Sender<bool> {
        let mut tables = self.tables.lock();
        // A source that a reload makes anew has that of the one before it, which may still be ending.
        let due = tables.entry(table);
        due.or_insert_with(|| watch::Sender::new(false)).clone()
    }

    /// After a reload the others have no entry any more.
    pub(crate) fn keep(&self, tables: &BTreeSet<String>) {
        self.tables.lock().retain(|table, _| tables.contains(table));
    }

    /// Polls for ever; to be spawned where no business code runs.
    pub(crate) async fn run(&self) {
        restart_on_panic("the poll for replays", || self.poll()).await;
    }

    async fn poll(&self) {
        loop {
            let names: Vec<String> = self.tables.lock().keys().cloned().collect();
            // A reload may bring some.
            if let Some(first) = names.first() {
                panic_point("replays", first);
                self.poll_once(names).await;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    async fn poll_once(&self, names: Vec<String>) {
        match self.db.reader().due_queues(names).await {
            Ok(due) => {
                let tables = self.tables.lock();
                for (_, sender) in tables.iter().filter(|(table, _)| due.contains(*table)) {
                    sender.send_replace(true);
                }
            }
            // DbActor logs the outage.
            Err(cause) => log::debug!("replays cannot be polled for: {cause}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::task::points;
    use crate::testing_support::TestDb;

    #[actix::test]
    async fn a_poll_that_panics_goes_on() {
        let db = TestDb::start();
        let replays = Arc::new(DueReplays::new(db.db.clone()));
        let mut due = replays.of("replays of a panic".to_owned()).subscribe();
        points::arm("replays", "replays of a panic");
        let polled = Arc::clone(&replays);
        actix_rt::spawn(async move { polled.run().await });
        db.sql(
            "INSERT INTO queue_message (queue, payload, due_ms, created_ms)
             VALUES ('replays of a panic', X'00', 0, 0)",
        );
        due.wait_for(|due| *due).await.unwrap();
        assert!(!points::is_armed("replays", "replays of a panic"));
    }
}
