//! LagChecks that people order: each daemon that has a live queue of that name does one.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Plan;
use crate::store::DbError;
use crate::store::daemon_orders::{OpenOrder, OrderEnd, OrderKind};
use crate::store::write::EndOrder;

/// For ever.
pub(super) async fn watch(plan: &Plan) {
    let mut orders = plan.cron.orders.listen();
    let mut seen = BTreeSet::new();
    while orders.changed().await.is_ok() {
        let open = Arc::clone(&orders.borrow_and_update());
        let checks = open.iter().filter(|order| order.kind == OrderKind::Check);
        let checks: Vec<&OpenOrder> = checks.collect();
        // One that is not read any more is never read again.
        seen.retain(|id| checks.iter().any(|order| order.id == *id));
        for order in checks {
            if !seen.contains(&order.id) && done(plan, order).await {
                seen.insert(order.id);
            }
        }
    }
}

/// Whether this daemon is done with the order. The first daemon that checked the lag ends the order; the others find
/// it ended.
async fn done(plan: &Plan, order: &OpenOrder) -> bool {
    // A pool that is being replaced checks its lag when it starts.
    if !plan.http.pools.check_lag(&order.name) {
        return true;
    }
    log::info!(
        "queue `{}`: its lag is checked now, by order of {}",
        order.name,
        order.ordered_by
    );
    match end(plan, order).await {
        Ok(()) => true,
        // The next poll ends it. A check too many changes nothing.
        Err(cause) => {
            log::debug!(
                "the order to check {} is not ended: {cause}",
                order.describe()
            );
            false
        }
    }
}

async fn end(plan: &Plan, order: &OpenOrder) -> Result<(), DbError> {
    let end = OrderEnd {
        id: order.id,
        of_owner: String::new(),
        result: format!(
            "done, first by a daemon of partition {}",
            plan.boot.partition
        ),
    };
    plan.db.write(EndOrder(end)).await.map(drop)
}
