//! What people ask and order of runs, delayed tasks and dead letters, for the command line and the port alike.
//!
//! Each function finds, counts or orders, and returns data; the caller decides how it is shown. An order
//! passes through DbActor with its row of `audit`.

mod ago;
pub(crate) mod cron_end;
pub(crate) mod cron_log;
pub(crate) mod cron_run;
pub(crate) mod cron_runs;
pub(crate) mod task_orders;

pub(crate) use self::ago::moment_or_ago;
use crate::store::DbError;

/// Why there is no answer, or why nothing was ordered.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Nothing has that name, key or id; with what may be meant.
    Unknown(String),
    /// What was asked for is wrong, whatever the tables hold.
    Misused(String),
    /// It cannot be done to the thing as it is now.
    Impossible(String),
    Database(DbError),
}

impl From<DbError> for Refusal {
    fn from(cause: DbError) -> Self {
        Self::Database(cause)
    }
}
