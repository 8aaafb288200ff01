//! Messages of tables that a clock which was ahead has put off.
//!
//! Their times are set by the database's clock: when they are sent, and for a retry so much later. Where that clock was
//! ahead and has been set right, they would wait for the time that it showed, without a word. So whatever is due later
//! than the entry's longest back-off explains, and later than now where it has never failed, is due now.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;

use crate::clock::millis;
use crate::db::{Db, DbError, TRIM_ROWS};

/// How often. A look is a question of the index for each table.
const INTERVAL: Duration = Duration::from_secs(30);

/// The tables of a daemon.
pub(crate) struct PutOffMessages {
    db: Db,
    tables: Mutex<Vec<Table>>,
}

struct Table {
    name: String,
    /// The entry that consumes it.
    queue: String,
    /// Its longest back-off.
    longest: Duration,
}

impl PutOffMessages {
    pub(crate) fn new(db: Db) -> Self {
        Self {
            db,
            tables: Mutex::default(),
        }
    }

    /// This table is looked at from now on.
    pub(crate) fn note(&self, table: &str, queue: &str, longest: Duration) {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables.push(Table {
            name: table.to_owned(),
            queue: queue.to_owned(),
            longest,
        });
    }

    /// Looks for ever, where there is any table; to be spawned where no business code runs.
    pub(crate) async fn look(self) {
        let tables = self.tables.into_inner();
        let tables = tables.unwrap_or_else(PoisonError::into_inner);
        while !tables.is_empty() {
            // At once, so that they are one transaction.
            join_all(tables.iter().map(|table| table.hasten(&self.db))).await;
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

impl Table {
    async fn hasten(&self, db: &Db) {
        let mut hastened = 0;
        let ended = loop {
            match db
                .hasten_messages(self.name.clone(), millis(self.longest))
                .await
            {
                Ok(messages) if messages < TRIM_ROWS => break Ok(hastened + messages),
                Ok(messages) => hastened += messages,
                Err(cause) => break Err(cause),
            }
        };
        match ended {
            Ok(0) => {}
            Ok(messages) => log::warn!(
                "queue `{}`: {messages} messages were due later than a back-off of {:?} explains: the database's clock was \
                 ahead when they were sent or had failed; they are due now",
                self.queue,
                self.longest
            ),
            // DbActor tells of the outage.
            Err(DbError::Away(_)) => {}
            Err(cause) => log::warn!(
                "queue `{}`: messages that are due too late cannot be looked for: {cause}",
                self.queue
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing_support::{TestDb, soon};

    #[actix::test]
    async fn put_off_messages_are_due_now_and_retries_wait_their_time() {
        let db = TestDb::start();
        let row = |id, attempts, ahead_s: i64| {
            db.sql(&format!(
                "INSERT INTO queue_message (id, queue, payload, attempts, due_ms, created_ms)
                 VALUES ({id}, 'q', X'00', {attempts}, {}, 0)",
                crate::clock::now_ms() + ahead_s * 1000
            ));
        };
        for (id, attempts, ahead_s) in [(1, 0, 86_400), (2, 3, 86_400), (3, 3, 200), (4, 0, -5)] {
            row(id, attempts, ahead_s);
        }
        let put_off = PutOffMessages::new(db.db.clone());
        put_off.note("q", "entry", Duration::from_secs(300));
        let looking = actix_rt::spawn(put_off.look());
        let due = || {
            let now = crate::clock::now_ms();
            db.lines(&format!(
                "SELECT id || '' AS line FROM queue_message WHERE due_ms <= {now} ORDER BY id"
            ))
        };
        soon(async {
            while due().len() < 3 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        assert_eq!(due(), ["1", "2", "4"]);
        looking.abort();
    }
}
