//! Reads the orders: before the daemon takes work, and once a second from then on.

use std::time::Duration;

use tokio::time::Instant;

use super::by_command::CommandOrders;
use super::{ORDERS_KEPT_MS, Orders, Pauses};
use crate::db::{Db, ReadOutage};
use crate::state::State;
use crate::store::DbError;
use crate::store::daemon_orders::{OpenOrder, OrderEnd};
use crate::store::write::EndOrder;

/// How often the orders are read; a bound on how late a daemon sees one.
const INTERVAL: Duration = Duration::from_secs(1);
/// What fails, in log lines.
pub(crate) const READING: &str = "the reading of orders";

/// Returns when the pauses are known: a daemon that starts while something is paused must not begin with it.
pub(crate) async fn learn_first(db: &Db, pauses: &Pauses, state: &State) {
    ReadOutage::until_answered(db, READING, || learn(db, pauses, state)).await;
}

/// For ever. While the database does not answer, what was read last holds: without it nothing is claimed anyway, and what
/// lives elsewhere (Redis, Kafka) goes on as it was ordered to.
pub(crate) async fn watch(db: &Db, pauses: &Pauses, orders: &Orders, state: &State) {
    let mut outage = ReadOutage::new(db, READING);
    let mut by_command = CommandOrders::default();
    loop {
        let began = Instant::now();
        let learnt = match learn(db, pauses, state).await {
            Ok(()) => learn_orders(db, orders, &state.identity.environment).await,
            Err(cause) => Err(cause),
        };
        let learnt = match learnt {
            Ok(()) => by_command.log(db, &state.identity.environment).await,
            Err(cause) => Err(cause),
        };
        let pause = match learnt {
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

/// Hands on the orders that are to be carried out; those that nobody has begun in their time end here, by whichever daemon.
async fn learn_orders(db: &Db, orders: &Orders, environment: &str) -> Result<(), DbError> {
    let open = db.reader().open_orders(environment).await?;
    let (late, open): (Vec<OpenOrder>, Vec<OpenOrder>) = open
        .into_iter()
        .partition(|order| order.age_ms > ORDERS_KEPT_MS && order.is_free());
    orders.learn(open);
    for order in late {
        expire(db, order).await?;
    }
    Ok(())
}

async fn expire(db: &Db, order: OpenOrder) -> Result<(), DbError> {
    let kept = Duration::from_millis(ORDERS_KEPT_MS.unsigned_abs()).as_secs() / 60;
    let end = OrderEnd {
        id: order.id,
        of_owner: order.owner.clone(),
        result: format!("expired: no daemon carried it out within {kept} minutes"),
    };
    if db.write(EndOrder(end)).await? {
        log::warn!(
            "the order of {} to {} {} expired: no daemon carried it out within {kept} minutes",
            order.ordered_by,
            order.kind.column(),
            order.describe()
        );
    }
    Ok(())
}
