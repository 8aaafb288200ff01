//! Reads the orders: before the daemon takes work, and once a second from then on.

use std::time::Duration;

use tokio::time::Instant;

use super::Pauses;
use crate::db::{Db, DbError, ReadOutage};
use crate::state::State;

/// How often the orders are read; a bound on how late a daemon sees one.
const INTERVAL: Duration = Duration::from_secs(1);
/// What fails, in log lines.
pub(crate) const READING: &str = "the reading of orders";

/// Returns when the pauses are known: a daemon that starts while something is paused must not begin with it.
pub(crate) async fn learn_first(db: &Db, pauses: &Pauses, state: &State) {
    let mut outage = ReadOutage::new(db, READING);
    loop {
        let began = Instant::now();
        match learn(db, pauses, state).await {
            Ok(()) => return outage.passed(),
            Err(cause) => tokio::time::sleep(outage.failed(began.elapsed(), &cause)).await,
        }
    }
}

/// For ever. While the database does not answer, what was read last holds: without it nothing is claimed anyway, and what
/// lives elsewhere (Redis, Kafka) goes on as it was ordered to.
pub(crate) async fn watch(db: &Db, pauses: &Pauses, state: &State) {
    let mut outage = ReadOutage::new(db, READING);
    loop {
        let began = Instant::now();
        let pause = match learn(db, pauses, state).await {
            Ok(()) => {
                outage.passed();
                INTERVAL
            }
            Err(cause) => outage.failed(began.elapsed(), &cause).max(INTERVAL),
        };
        tokio::time::sleep(pause).await;
    }
}

async fn learn(db: &Db, pauses: &Pauses, state: &State) -> Result<(), DbError> {
    let rows = db.reader().pauses(&state.identity.environment).await?;
    for line in pauses.learn(rows) {
        log::info!("{line}");
    }
    pauses.publish(state);
    Ok(())
}
