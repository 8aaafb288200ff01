//! Polls all tables that have been empty for a while, with one query that claims nothing.
//!
//! Otherwise a thousand idle queues would make thousands of empty claims a second.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::db::Db;
use crate::task::{panic_point, restart_on_panic};

/// Between two polls. A message that another process inserted is found within this time.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// See the module's header.
pub(crate) struct IdleTables {
    db: Db,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: Vec<(String, oneshot::Sender<()>)>,
    /// The polling task runs.
    polling: bool,
}

impl IdleTables {
    pub(crate) fn new(db: Db) -> Arc<Self> {
        Arc::new(Self {
            db,
            state: Mutex::default(),
        })
    }

    /// Returns when the table has a message that may be claimed.
    pub(super) async fn until_due(self: &Arc<Self>, table: &str) {
        let (notify, notified) = oneshot::channel();
        let first = {
            let mut state = self.state.lock();
            state.waiting.push((table.to_owned(), notify));
            !std::mem::replace(&mut state.polling, true)
        };
        if first {
            // In a task of its own: if this future is dropped, the other consumers still wait.
            let this = Arc::clone(self);
            tokio::spawn(async move {
                let poll = || Arc::clone(&this).poll();
                restart_on_panic("the poll of idle tables", poll).await;
            });
        }
        // An error means that the runtime ends. Then the caller polls once more.
        let _ = notified.await;
    }

    async fn poll(self: Arc<Self>) {
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            let names: Vec<String> = {
                let mut state = self.state.lock();
                state.waiting.retain(|(_, notify)| !notify.is_closed());
                if state.waiting.is_empty() {
                    state.polling = false;
                    return;
                }
                state
                    .waiting
                    .iter()
                    .map(|(table, _)| table.clone())
                    .collect()
            };
            panic_point("idle tables", &names[0]);
            match self.db.reader().due_queues(names).await {
                Ok(due) => {
                    let mut state = self.state.lock();
                    let due = state
                        .waiting
                        .extract_if(.., |(table, _)| due.contains(table));
                    for (_, notify) in due {
                        // The waiting consumer may be gone.
                        let _ = notify.send(());
                    }
                }
                // DbActor logs the outage.
                Err(cause) => log::debug!("idle tables cannot be polled: {cause}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::store::rows::NewMessage;
    use crate::task::points;
    use crate::testing_support::TestDb;

    fn message() -> NewMessage {
        NewMessage {
            payload: "x".into(),
            key: None,
            headers: Vec::new(),
        }
    }

    #[actix::test]
    async fn a_wait_for_a_table_ends_with_its_messages_and_with_no_others() {
        let db = TestDb::start();
        let idle = IdleTables::new(db.db.clone());
        let mut a = Box::pin(idle.until_due("a"));
        let mut b = Box::pin(idle.until_due("b"));
        assert!((&mut a).now_or_never().is_none() && (&mut b).now_or_never().is_none());
        db.sql(
            "INSERT INTO queue_message (queue, payload, due_ms, created_ms)
             VALUES ('a', X'00', 0, 0), ('b', X'00', 4102444800000, 0), ('c', X'00', 0, 0)",
        );
        a.await;
        assert!((&mut b).now_or_never().is_none());
        // After a wait that was given up the other tables are polled still.
        assert!(idle.until_due("c").boxed_local().now_or_never().is_none());
        db.sql("UPDATE queue_message SET due_ms = 0");
        b.await;
    }

    #[actix::test]
    async fn a_poll_that_panics_goes_on() {
        let db = TestDb::start();
        let idle = IdleTables::new(db.db.clone());
        let mut waits = Box::pin(idle.until_due("of a panic"));
        assert!((&mut waits).now_or_never().is_none());
        points::arm("idle tables", "of a panic");
        tokio::time::sleep(POLL_INTERVAL * 2).await;
        assert!(!points::is_armed("idle tables", "of a panic"));
        db.sql(
            "INSERT INTO queue_message (queue, payload, due_ms, created_ms)
             VALUES ('of a panic', X'00', 0, 0)",
        );
        waits.await;
    }

    #[actix::test]
    async fn what_this_process_inserts_is_notified_at_once() {
        let db = TestDb::start();
        let arrivals = db.db.arrivals("a");
        let insert = |queue: &str| db.db.insert_messages(queue.to_owned(), vec![message()]);
        insert("b").await.unwrap();
        assert!(arrivals.notified().now_or_never().is_none());
        insert("a").await.unwrap();
        assert!(arrivals.notified().now_or_never().is_some());
    }
}
