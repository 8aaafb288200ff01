//! Reads the lags of all `table` queues of a daemon with one query.
//!
//! All pools check their lag at the same moments, and a query for each would need a connection for each. Here requests that
//! come together share one query, and requests that come while it is under way share the next one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::db::{Db, ReadOutage};
use crate::store::DbError;

/// The wait of the first request for others. The timers of the pools fire within this time.
const GATHERING: Duration = Duration::from_millis(10);

type Answer = Result<TableLag, DbError>;

/// The lag of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TableLag {
    /// Unfinished messages, counted up to a cap.
    pub(crate) unfinished: u64,
    /// When the message that has waited longest was due, unix milliseconds. None where no message waits.
    pub(crate) oldest_due_ms: Option<i64>,
}

/// See the module's header.
pub(crate) struct TableLags {
    db: Db,
    state: Mutex<State>,
}

struct State {
    asked: Vec<((String, u64), oneshot::Sender<Answer>)>,
    /// A task gathers requests: one that comes now joins them.
    gathering: bool,
    outage: ReadOutage,
}

impl TableLags {
    pub(crate) fn new(db: Db) -> Arc<Self> {
        let outage = ReadOutage::new(&db, "the reading of lags");
        Arc::new(Self {
            db,
            state: Mutex::new(State {
                asked: Vec::new(),
                gathering: false,
                outage,
            }),
        })
    }

    /// Unfinished messages of one table, counted up to `cap`.
    pub(super) async fn of(self: &Arc<Self>, table: &str, cap: u64) -> Answer {
        let (reply, answer) = oneshot::channel();
        let first = {
            let mut state = self.state.lock();
            state.asked.push(((table.to_owned(), cap), reply));
            !std::mem::replace(&mut state.gathering, true)
        };
        if first {
            // In a task of its own: if this future is dropped, the other callers still wait for the answer.
            tokio::spawn(Arc::clone(self).ask());
        }
        answer
            .await
            .map_err(|_| DbError::Away("it was not asked".to_owned()))?
    }

    async fn ask(self: Arc<Self>) {
        tokio::time::sleep(GATHERING).await;
        let asked = {
            let mut state = self.state.lock();
            state.gathering = false;
            std::mem::take(&mut state.asked)
        };
        let (queues, replies): (Vec<_>, Vec<_>) = asked.into_iter().unzip();
        let began = Instant::now();
        let answer = self.read(queues).await;
        let mut state = self.state.lock();
        match answer {
            Ok(lags) => {
                state.outage.passed();
                for (reply, lag) in replies.into_iter().zip(lags) {
                    // The caller may be gone.
                    let _ = reply.send(Ok(lag));
                }
            }
            Err(cause) => {
                state.outage.failed(began.elapsed(), &cause);
                for reply in replies {
                    let _ = reply.send(Err(cause.clone()));
                }
            }
        }
    }

    async fn read(&self, queues: Vec<(String, u64)>) -> Result<Vec<TableLag>, DbError> {
        let names = queues.iter().map(|(queue, _)| queue.clone()).collect();
        let reader = self.db.reader();
        let lags = reader.queue_lags(queues).await?;
        let oldest = reader.oldest_due(names).await?;
        let both = lags.into_iter().zip(oldest);
        Ok(both
            .map(|(unfinished, oldest_due_ms)| TableLag {
                unfinished,
                oldest_due_ms,
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use futures_util::future::join_all;

    use super::*;
    use crate::testing_support::TestDb;

    /// Alone it takes 0.1 s; the machine may build something else.
    const SHARED_MACHINE: Duration = Duration::from_secs(3);

    #[actix::test]
    async fn a_thousand_tables_are_asked_within_a_second_and_each_gets_its_own_answer() {
        let db = TestDb::start();
        db.sql(
            "WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 99999)
             INSERT INTO queue_message (queue, payload, due_ms, created_ms)
             SELECT 'q' || (n % 1000), X'00', 0, 0 FROM n WHERE n % 1000 < 990 OR n < 50000",
        );
        let lags = TableLags::new(db.db.clone());
        let begun = Instant::now();
        let tables: Vec<String> = (0..1001).map(|n| format!("q{n}")).collect();
        let answers = join_all(tables.iter().map(|table| lags.of(table, 75))).await;
        let took = begun.elapsed();
        let wanted = (0..1001).map(|n| match n {
            0..990 => 75,
            990..1000 => 50,
            _ => 0,
        });
        let answers: Vec<u64> = answers
            .into_iter()
            .map(|lag| lag.unwrap().unfinished)
            .collect();
        assert!(answers.into_iter().eq(wanted));
        println!("1001 tables, 100,000 rows: asked in {took:?}");
        assert!(took < SHARED_MACHINE, "{took:?}");
    }

    #[actix::test]
    async fn who_asks_and_goes_does_not_leave_the_others_without_an_answer() {
        let db = TestDb::start();
        let lags = TableLags::new(db.db.clone());
        let first = tokio::time::timeout(Duration::ZERO, lags.of("a", 9)).await;
        assert!(first.is_err());
        assert_eq!(lags.of("b", 9).await.unwrap().unfinished, 0);
        assert_eq!(
            lags.of("b", 9).await.unwrap().unfinished,
            0,
            "and once more"
        );
    }

    #[actix::test]
    async fn all_are_notified_of_an_outage_and_of_its_end() {
        let db = TestDb::start();
        let lags = TableLags::new(db.db.clone());
        db.sql("ALTER TABLE queue_message RENAME TO gone");
        let answers = join_all([lags.of("a", 9), lags.of("b", 9)]).await;
        assert!(answers.iter().all(Result::is_err));
        db.sql("ALTER TABLE gone RENAME TO queue_message");
        assert_eq!(lags.of("a", 9).await.unwrap().unfinished, 0);
    }
}
