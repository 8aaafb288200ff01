//! Finds messages of tables that are due too late because a clock was ahead.
//!
//! Their due times are set by the database's clock, at the send and at each retry. Where that clock was ahead and has been
//! corrected, they would wait for the wrong time, without a log line. So a message that has never failed and is due in the
//! future becomes due now. A retry may be late because its handler requested that (`JobError::retry_in`). A retry that is
//! later than the entry's longest back-off becomes due now only after the database's clock (by a heartbeat) or this
//! machine's clock was found to be set back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;

use crate::clock::{Moment, millis};
use crate::clock_watch::ClockWatch;
use crate::db::Db;
use crate::job::LONGEST_RETRY as LONGEST;
use crate::membership::Liveness;
use crate::store::write::HastenMessages;
use crate::store::{DbError, TRIM_ROWS};

/// Between two polls. A poll is one query of the index for each table.
const INTERVAL: Duration = Duration::from_secs(30);

/// The tables of a daemon.
pub(crate) struct PutOffMessages {
    db: Db,
    liveness: Arc<Liveness>,
    /// By their names.
    tables: Mutex<BTreeMap<String, Table>>,
}

#[derive(Clone)]
struct Table {
    name: String,
    /// The entry that consumes the table.
    queue: String,
    /// The longest back-off of the entry.
    longest: Duration,
}

impl PutOffMessages {
    pub(crate) fn new(db: Db, liveness: Arc<Liveness>) -> Self {
        Self {
            db,
            liveness,
            tables: Mutex::default(),
        }
    }

    /// Polls this table from now on.
    pub(crate) fn note(&self, table: &str, queue: &str, longest: Duration) {
        let noted = Table {
            name: table.to_owned(),
            queue: queue.to_owned(),
            longest,
        };
        self.tables.lock().insert(table.to_owned(), noted);
    }

    /// Keeps only these tables. After a reload the others have no entry.
    pub(crate) fn keep(&self, tables: &BTreeSet<String>) {
        self.tables.lock().retain(|table, _| tables.contains(table));
    }

    /// Polls for ever; to be spawned where no business code runs.
    pub(crate) async fn run(&self) {
        let mut clock = ClockWatch::default();
        let mut seen = self.liveness.set_backs();
        loop {
            // A reload may have changed them.
            let tables: Vec<Table> = self.tables.lock().values().cloned().collect();
            let before = std::mem::replace(&mut seen, self.liveness.set_backs());
            let retries = match clock.was_set_back(Moment::now()) || seen != before {
                true => Retries::BeyondTheBackoff,
                false => Retries::BeyondAnyRequest,
            };
            // All at once, so that they are gathered into one transaction.
            join_all(tables.iter().map(|table| table.hasten(&self.db, retries))).await;
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

/// The retries that count as due too late.
#[derive(Debug, Clone, Copy)]
enum Retries {
    /// Retries that are later than the entry's longest back-off.
    BeyondTheBackoff,
    /// Retries that are later than the latest time that a handler may request.
    BeyondAnyRequest,
}

impl Table {
    async fn hasten(&self, db: &Db, retries: Retries) {
        let longest = match retries {
            Retries::BeyondTheBackoff => self.longest,
            Retries::BeyondAnyRequest => LONGEST.max(self.longest),
        };
        let mut hastened = 0;
        let ended = loop {
            let hasten = HastenMessages {
                queue: self.name.clone(),
                longest_ms: millis(longest),
            };
            match db.write(hasten).await {
                Ok(messages) if messages < TRIM_ROWS => break Ok(hastened + messages),
                Ok(messages) => hastened += messages,
                Err(cause) => break Err(cause),
            }
        };
        match ended {
            Ok(0) => {}
            Ok(messages) => log::warn!(
                "queue `{}`: {messages} messages were due later than their entry explains: the database's clock was ahead \
                 when they were sent or had failed; they are due now",
                self.queue
            ),
            // DbActor logs the outage.
            Err(DbError::Away(_)) => {}
            Err(cause) => log::warn!(
                "queue `{}`: messages that are due too late cannot be searched for: {cause}",
                self.queue
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now_ms;
    use crate::testing_support::TestDb;

    #[actix::test]
    async fn put_off_messages_are_due_now_and_retries_wait_their_time() {
        let db = TestDb::start();
        let now = now_ms();
        for (id, attempts, ahead_s) in [(1, 0, 86_400), (2, 3, 86_400), (3, 3, 200), (4, 0, -5)] {
            db.sql(&format!(
                "INSERT INTO queue_message (id, queue, payload, attempts, due_ms, created_ms)
                 VALUES ({id}, 'q', X'00', {attempts}, {}, 0)",
                now + ahead_s * 1000
            ));
        }
        let table = Table {
            name: "q".to_owned(),
            queue: "entry".to_owned(),
            longest: Duration::from_secs(300),
        };
        let due = || {
            let now = now_ms();
            db.lines(&format!(
                "SELECT id || '' AS line FROM queue_message WHERE due_ms <= {now} ORDER BY id"
            ))
        };
        table.hasten(&db.db, Retries::BeyondAnyRequest).await;
        assert_eq!(due(), ["1", "4"], "a handler may have asked for a day");
        table.hasten(&db.db, Retries::BeyondTheBackoff).await;
        assert_eq!(due(), ["1", "2", "4"]);
    }
}
