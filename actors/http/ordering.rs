//! Gives one order, waits for its commit, and says what became of it: for the JSON routes and for the page alike.
//!
//! **Without a database nothing is ordered.** The database is asked first, so an order that is given during an outage is
//! refused at once and does not surprise anybody when the database is back.
//!
//! **An order that was handed over is carried out.** It runs in a task of its own: a caller that goes away, or that waits
//! no longer, does not take it back half-way. If the database goes away in the middle, the order is pending: it waits in
//! this process for the database, and its caller learns that after [`PATIENCE`].

use std::time::Duration;

use tokio::time::timeout;

use super::HttpConfig;
use super::database::NoAnswer;

/// A caller learns within this time what became of an order, or that it is pending.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Why an order is not done.
#[derive(Debug)]
pub(super) enum NotDone<E> {
    /// The order was tried, and this came of it.
    Failed(E),
    /// The database has not answered.
    Unanswered(Unanswered),
}

/// What is known of an order without an answer to it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    /// The database was asked first, and did not answer.
    #[error("nothing is ordered: {0}")]
    NothingOrdered(NoAnswer),
    /// Handed over, and not committed in time.
    #[error(
        "the database has not answered within {} seconds: the order is pending, and this daemon carries it out when the \
         database answers; `/api/v1/audit` shows it then",
        PATIENCE.as_secs()
    )]
    Pending,
    /// The task of the order has ended without an answer.
    #[error("the order ended without an answer; `/api/v1/audit` shows whether it was carried out")]
    Broken,
}

impl<E> From<Unanswered> for NotDone<E> {
    fn from(unanswered: Unanswered) -> Self {
        Self::Unanswered(unanswered)
    }
}

/// Without a database nothing is ordered.
pub(super) async fn ask_first(config: &HttpConfig) -> Result<(), Unanswered> {
    let answered = config.database.boots().await;
    answered.map(drop).map_err(Unanswered::NothingOrdered)
}

/// See the module's header. `order` begins after the database has answered.
pub(super) async fn give<T: 'static, E: 'static>(
    config: &HttpConfig,
    order: impl Future<Output = Result<T, E>> + 'static,
) -> Result<T, NotDone<E>> {
    ask_first(config).await?;
    match timeout(PATIENCE, actix_rt::spawn(order)).await {
        Ok(Ok(done)) => done.map_err(NotDone::Failed),
        Ok(Err(_)) => Err(Unanswered::Broken.into()),
        Err(_) => Err(Unanswered::Pending.into()),
    }
}
