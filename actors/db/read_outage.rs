//! The outage of what is read from the database again and again.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::handle::Db;
use crate::outage::Outage;
use crate::store::DbError;

/// A database that is away is logged once for all that need it. What else keeps this reading from its answer (a refusal, a
/// table that is not there) is logged as the failure of this reading.
#[derive(Debug)]
pub(crate) struct ReadOutage {
    database: Outage,
    reading: Outage,
}

impl ReadOutage {
    /// `reading` begins the log lines of its own failures: "the reading of lags".
    pub(crate) fn new(db: &Db, reading: impl Into<String>) -> Self {
        Self {
            database: db.outage(),
            reading: Outage::new(reading),
        }
    }

    /// Asks until the database answers, however long that takes.
    pub(crate) async fn until_answered<T, F>(
        db: &Db,
        reading: impl Into<String>,
        mut ask: impl FnMut() -> F,
    ) -> T
    where
        F: Future<Output = Result<T, DbError>>,
    {
        let mut outage = Self::new(db, reading);
        loop {
            let began = Instant::now();
            match ask().await {
                Ok(answer) => {
                    outage.passed();
                    return answer;
                }
                Err(cause) => sleep(outage.failed(began.elapsed(), &cause)).await,
            }
        }
    }

    /// A try failed after it had waited for this long. Answers how long to wait before the next.
    pub(crate) fn failed(&mut self, waited: Duration, cause: &DbError) -> Duration {
        match cause {
            DbError::Away(_) | DbError::Denied(_) => self
                .database
                .failed_after(waited, cause.clone().into_reason()),
            cause => {
                // It has answered.
                self.database.passed();
                self.reading.failed_after(waited, cause)
            }
        }
    }

    /// A try went well.
    pub(crate) fn passed(&mut self) {
        self.database.passed();
        self.reading.passed();
    }
}
