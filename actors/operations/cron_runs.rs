//! The runs of a partition's entries, and the orders of runs that no daemon has begun.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Refusal;
use crate::config::{Config, did_you_mean};
use crate::cron::LiveEntry;
use crate::store::daemon_orders::{CronRun, OrderKind, RunOrder, RunsAsked};
use crate::store::{DbError, Reader};

/// A run, or the order of one, as it is listed.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ListedRun {
    pub(crate) run: String,
    pub(crate) name: String,
    /// How it ended; or `ordered`, `starting`, `running`, `not run`.
    pub(crate) status: String,
    /// Of an order without a run: when it was ordered.
    pub(crate) scheduled_ms: i64,
    pub(crate) started_ms: Option<i64>,
    pub(crate) ended_ms: Option<i64>,
    pub(crate) duration_ms: Option<i64>,
    pub(crate) pid: Option<i32>,
    /// Whoever ordered the run; none of a fire of its expression.
    pub(crate) ordered_by: Option<String>,
    pub(crate) params: Option<String>,
    /// Whoever ordered its end.
    pub(crate) end_ordered_by: Option<String>,
    /// Why an order has no run.
    pub(crate) why: Option<String>,
}

/// Which runs are meant; a name that no entry has is refused.
pub(crate) fn asked(config: &Config, name: Option<&str>, limit: i64) -> Result<RunsAsked, Refusal> {
    let of = match name {
        None => None,
        Some(name) => {
            let named = config.crontab.iter().filter(|entry| entry.name == name);
            let keys: Vec<String> = named
                .map(|entry| LiveEntry::new(entry.clone()).key)
                .collect();
            if keys.is_empty() {
                return Err(Refusal::Unknown(unknown_entry(config, name)));
            }
            Some((name.to_owned(), keys))
        }
    };
    Ok(RunsAsked {
        partition: config.partition.to_string(),
        of,
        limit,
    })
}

/// No cron entry has that name.
pub(crate) fn unknown_entry(config: &Config, name: &str) -> String {
    let known: BTreeSet<String> = config
        .crontab
        .iter()
        .map(|entry| entry.name.clone())
        .collect();
    format!(
        "no cron entry `{name}` is configured in partition {}{}",
        config.partition,
        did_you_mean(name, &known)
    )
}

/// The newest first.
pub(crate) async fn list(
    reader: &dyn Reader,
    environment: &str,
    asked: RunsAsked,
    now: i64,
) -> Result<Vec<ListedRun>, DbError> {
    let limit = usize::try_from(asked.limit).unwrap_or(usize::MAX);
    let unmade = reader.unmade_runs(environment, asked.clone()).await?;
    let runs = reader.cron_runs(asked).await?;
    let uks = runs.iter().map(|run| run.uk.clone()).collect();
    let mut orders: BTreeMap<String, Vec<RunOrder>> = BTreeMap::new();
    for order in reader.run_orders(uks).await? {
        orders.entry(order.uk.clone()).or_default().push(order);
    }
    let none = Vec::new();
    let runs = runs.into_iter().map(|run| {
        let orders = orders.get(&run.uk).unwrap_or(&none);
        ListedRun::of_run(run, orders, now)
    });
    let unmade = unmade.into_iter().map(ListedRun::of_order);
    let mut all: Vec<ListedRun> = unmade.chain(runs).collect();
    all.sort_by_key(|run| std::cmp::Reverse(run.scheduled_ms));
    all.truncate(limit);
    Ok(all)
}

impl ListedRun {
    pub(crate) fn of_run(run: CronRun, orders: &[RunOrder], now: i64) -> Self {
        let of_kind = |kind| orders.iter().find(|order| order.kind == kind);
        let made_by = of_kind(OrderKind::Run).filter(|_| run.is_ordered());
        Self {
            duration_ms: Some((run.ended_ms.unwrap_or(now) - run.started_ms).max(0)),
            ordered_by: made_by.map(|order| order.ordered_by.clone()),
            params: made_by.and_then(|order| order.params.clone()),
            end_ordered_by: of_kind(OrderKind::End).map(|order| order.ordered_by.clone()),
            why: None,
            pid: (run.pid > 0).then_some(run.pid),
            started_ms: Some(run.started_ms),
            ended_ms: run.ended_ms,
            scheduled_ms: run.scheduled_ms,
            status: run.status,
            name: run.name,
            run: run.uk,
        }
    }

    pub(crate) fn of_order(order: RunOrder) -> Self {
        let (status, why) = match order.is_waiting {
            true => ("ordered", None),
            false => ("not run", Some(order.result)),
        };
        Self {
            run: order.uk,
            name: order.name,
            status: status.to_owned(),
            scheduled_ms: order.ordered_ms,
            started_ms: None,
            ended_ms: None,
            duration_ms: None,
            pid: None,
            ordered_by: Some(order.ordered_by),
            params: order.params,
            end_ordered_by: None,
            why,
        }
    }
}
