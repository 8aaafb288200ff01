//! Polls for replayed dead letters, with one query for all entries of a daemon, off the hot path.
//!
//! A replay table is mostly empty. Its pool polls it only after a dead letter was found here, so an empty one costs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::db::Db;
use crate::task::{panic_point, restart_on_panic};

/// Between two polls. A replay starts within this time.
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
        // A source that a reload makes anew shares the channel of the one before it, which may still be ending.
        let due = tables.entry(table);
        due.or_insert_with(|| watch::Sender::new(false)).clone()
    }

    /// Keeps only these tables. After a reload the others have no entry.
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
            // A reload may have changed them.
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
