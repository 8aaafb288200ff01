//! Runs that people order, and ends of runs.
//!
//! **Done once or not done.** The order of a run ends in the transaction that makes the run's row, and both have the key
//! that was made with the order: of two daemons one claims it, and a daemon that is killed leaves either an order that
//! waits, or a run like any other: made by the next daemon where it had not started, watched where it had.
//!
//! The end of a run is taken by one daemon, which marks the run in the same transaction: from then on every daemon that
//! sees the run end knows why. Where that daemon dies half way, another one on the same machine takes the order over,
//! and goes on. SIGTERM a second time changes nothing.

use std::sync::Arc;

use actix::prelude::*;
use futures_util::stream::unfold;

use super::fire::{Ordered, run_ordered};
use super::outcome::Outcome;
use super::replace::{end_here, is_here, process_of};
use super::{CronActor, CronConfig, LiveEntry, TRIM_PAUSE};
use crate::store::daemon_orders::{OpenOrder, OrderEnd, OrderKind};
use crate::store::rows::OpenRun;
use crate::store::write::{EndOrder, TakeOrder, TrimOrders};
use crate::store::{DbError, TRIM_ROWS};

/// The daemon whose child a run is ends it. Where that has not happened by then, another daemon of the machine does, in
/// milliseconds: it may hang.
const LEFT_TO_ITS_DAEMON_MS: i64 = 5_000;
/// Orders are kept for longer than the runs that they are about, in milliseconds: a day.
const KEPT_BEYOND_RUNS_MS: i64 = 24 * 3600 * 1000;

impl CronActor {
    /// Carries out the orders that each poll finds.
    pub(super) fn watch_orders(&mut self, ctx: &mut Context<Self>) {
        let polls = unfold(self.config.orders.listen(), |mut orders| async move {
            orders.changed().await.ok()?;
            let open = Arc::clone(&orders.borrow_and_update());
            Some((open, orders))
        });
        let seen = polls.into_actor(self);
        ctx.spawn(seen.map(|open, actor, _| actor.carry_out(&open)).finish());
    }

    fn carry_out(&mut self, orders: &[OpenOrder]) {
        let config = Arc::clone(&self.config);
        let of_partition = orders
            .iter()
            .filter(|order| order.partition == config.partition);
        for order in of_partition {
            if self.stop.begun() {
                return;
            }
            match order.kind {
                OrderKind::Run => self.run_ordered(order),
                OrderKind::End => {
                    let (config, order) = (Arc::clone(&config), order.clone());
                    // Not in this actor's context: its end must not leave a run that was sent SIGTERM and no more.
                    actix_rt::spawn(async move { end_ordered(&config, &order).await });
                }
                OrderKind::Check => {}
            }
        }
    }

    /// Where no live entry is meant, it is left to a daemon that has one.
    fn run_ordered(&mut self, order: &OpenOrder) {
        let Some(entry) = meant(&self.config, order) else {
            return;
        };
        let Ok(uk) = order.uk.parse() else {
            log::error!(
                "the order to run {} has the key `{}`, which is none of ours",
                order.describe(),
                order.uk
            );
            return;
        };
        let entry = match &order.params {
            Some(params) => Arc::new(entry.with_params(params.clone())),
            None => entry,
        };
        let Some(spawner) = self.spawner() else {
            return;
        };
        let starting = self.config.starting.begin();
        let ordered = Ordered {
            id: order.id,
            uk,
            by: order.ordered_by.clone(),
        };
        let config = Arc::clone(&self.config);
        // Not in this actor's context: an end of the actor must not leave a claimed run without its process.
        actix_rt::spawn(run_ordered(config, entry, ordered, spawner, starting));
    }
}

/// The live entry that has the key of the order, or the only one of its name: a daemon that has not read the newest files
/// knows it by another key.
fn meant(config: &CronConfig, order: &OpenOrder) -> Option<Arc<LiveEntry>> {
    let entries = &config.entries;
    let mut named = entries
        .iter()
        .filter(|entry| entry.config.name == order.name);
    let by_key = entries.iter().find(|entry| entry.key == order.entry);
    let found = by_key.or_else(|| match (named.next(), named.next()) {
        (Some(entry), None) => Some(entry),
        _ => None,
    });
    found.cloned()
}

/// The entry of an ordered run that was claimed and not started, with the params of its order.
pub(super) async fn entry_of_run(
    config: &CronConfig,
    entry: &Arc<LiveEntry>,
    uk: &str,
) -> Result<Option<Arc<LiveEntry>>, DbError> {
    let orders = config
        .db
        .reader()
        .run_orders(vec![uk.to_owned()])
        .await?
        .into_iter();
    let mut orders = orders.filter(|order| order.kind == OrderKind::Run);
    Ok(orders.next().map(|order| match order.params {
        Some(params) => Arc::new(entry.with_params(params)),
        None => Arc::clone(entry),
    }))
}

async fn end_ordered(config: &Arc<CronConfig>, order: &OpenOrder) {
    let Some(_under_way) = config.orders.begin(order.id) else {
        return;
    };
    if !order.is_free() {
        return;
    }
    // An order that cannot be read or written now is tried again in a second; DbActor logs an outage.
    if let Err(cause) = try_to_end(config, order).await {
        log::debug!("{} is not ended yet: {cause}", order.describe());
    }
}

async fn try_to_end(config: &Arc<CronConfig>, order: &OpenOrder) -> Result<(), DbError> {
    let reader = config.db.reader();
    let open = reader.open_runs(&config.partition).await?;
    let Some(run) = open.iter().find(|run| run.uk == order.uk) else {
        let result = match reader.cron_run(&order.uk).await? {
            Some(run) if run.ended_ms.is_some() => format!("it has ended: {}", run.status),
            Some(_) => return Ok(()),
            None => "there is no such run any more".to_owned(),
        };
        return end(config, order, &order.owner, result).await;
    };
    if !is_ours_to_end(config, run, order) {
        return Ok(());
    }
    // Where it has none yet, it is about to be started, here.
    let Some(process) = process_of(config, run) else {
        return Ok(());
    };
    let take = TakeOrder {
        id: order.id,
        from: order.owner.clone(),
        owner: config.owner.clone(),
    };
    if !config.db.write(take).await? {
        return Ok(());
    }
    let name = &run.name;
    log::info!(
        "cron `{name}`: run {} (pid {}) is ended, by order of {}",
        run.uk,
        process.pid,
        order.ordered_by
    );
    let outcome = Outcome::ended_by_order(&order.ordered_by);
    let result = match end_here(config, run, process, outcome).await {
        Ok(outcome) => format!("it has ended: {}", outcome.status),
        Err(cause) => {
            log::error!(
                "cron `{name}`: pid {} cannot be ended: {cause}",
                process.pid
            );
            format!("pid {} cannot be ended: {cause}", process.pid)
        }
    };
    end(config, order, &config.owner, result).await
}

/// Only where its pid means its process, and by its own daemon first.
fn is_ours_to_end(config: &CronConfig, run: &OpenRun, order: &OpenOrder) -> bool {
    let has_daemon = run.owner_alive && run.owner != config.owner;
    is_here(run) && (!has_daemon || order.age_ms > LEFT_TO_ITS_DAEMON_MS)
}

async fn end(
    config: &CronConfig,
    order: &OpenOrder,
    of_owner: &str,
    result: String,
) -> Result<(), DbError> {
    let line = format!(
        "the order of {} to end {}: {result}",
        order.ordered_by,
        order.describe()
    );
    let end = OrderEnd {
        id: order.id,
        of_owner: of_owner.to_owned(),
        result,
    };
    if config.db.write(EndOrder(end)).await? {
        log::info!("{line}");
    }
    Ok(())
}

/// Deletes orders that ended long before the oldest runs that are kept, a portion at a time.
pub(super) async fn trim(config: &CronConfig, runs_before_ms: i64) {
    let before_ms = runs_before_ms - KEPT_BEYOND_RUNS_MS;
    loop {
        match config.db.write(TrimOrders { before_ms }).await {
            Ok(deleted) if deleted < TRIM_ROWS => return,
            Ok(_) => tokio::time::sleep(TRIM_PAUSE).await,
            Err(cause) => {
                log::warn!("old rows of `daemon_order` could not be deleted: {cause}");
                return;
            }
        }
    }
}
