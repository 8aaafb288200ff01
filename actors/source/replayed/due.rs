//! Looks for letters that wait to run again: one question for all entries of a daemon, beside the hot path.
//!
//! An empty replay table is the usual case. Its pool polls it only once a letter is found, so it costs nothing.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::db::Db;
use crate::task::{panic_point, restart_on_panic};

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
        let look = || poll(&self.db, &tables, &names);
        restart_on_panic("the poll for replays", look).await;
    }
}

async fn poll(db: &Db, tables: &[(String, watch::Sender<bool>)], names: &[String]) {
    loop {
        panic_point("replays", &names[0]);
        match db.reader().due_queues(names.to_vec()).await {
            Ok(due) => {
                for (_, sender) in tables.iter().filter(|(table, _)| due.contains(table)) {
                    sender.send_replace(true);
                }
            }
            // DbActor logs the outage.
            Err(cause) => log::debug!("replays cannot be looked for: {cause}"),
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::points;
    use crate::testing_support::TestDb;

    #[actix::test]
    async fn a_poll_that_panics_goes_on() {
        let db = TestDb::start();
        let replays = DueReplays::new(db.db.clone());
        let mut due = replays.of("replays of a panic".to_owned()).subscribe();
        points::arm("replays", "replays of a panic");
        actix_rt::spawn(replays.look());
        db.sql(
            "INSERT INTO queue_message (queue, payload, due_ms, created_ms)
             VALUES ('replays of a panic', X'00', 0, 0)",
        );
        due.wait_for(|due| *due).await.unwrap();
        assert!(!points::is_armed("replays", "replays of a panic"));
    }
}
