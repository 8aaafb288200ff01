//! Reads the orders: before the daemon takes work, and once a second from then on.

use std::time::Duration;

use super::Pauses;
use crate::db::{Db, DbError};
use crate::outage::Outage;
use crate::state::State;

/// How often the orders are read; a bound on how late a daemon sees one.
const INTERVAL: Duration = Duration::from_secs(1);

/// Returns when the pauses are known: a daemon that starts while something is paused must not begin with it.
pub(crate) async fn learn_first(db: &Db, pauses: &Pauses, state: &State) {
    let mut outage = Outage::new("the orders");
    while let Err(cause) = learn(db, pauses, state).await {
        tokio::time::sleep(outage.failed(cause)).await;
    }
    outage.passed();
}

/// For ever. While the database does not answer, what was read last holds: without it nothing is claimed anyway, and what
/// lives elsewhere (Redis, Kafka) goes on as it was ordered to.
pub(crate) async fn watch(db: &Db, pauses: &Pauses, state: &State) {
    let mut outage = Outage::new("the orders");
    loop {
        let pause = match learn(db, pauses, state).await {
            Ok(()) => {
                outage.passed();
                INTERVAL
            }
            Err(cause) => outage.failed(cause).max(INTERVAL),
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
