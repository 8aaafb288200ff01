//! The order of a cron run's end, or the order of a run that is taken back before it begins.

use std::collections::BTreeSet;

use super::Refusal;
use crate::config::{Config, did_you_mean};
use crate::db::Db;
use crate::store::DbError;
use crate::store::browse::{self, PartitionRuns, Reach};
use crate::store::daemon_orders::{CronRun, NewOrder, OrderEnd, OrderKind, RunOrder};
use crate::store::write::{EndOrder, GiveOrders};

/// The newest runs, this many, may be the one that was meant.
const READ_RUNS: u32 = 200;

/// What became of the order.
#[derive(Debug)]
pub(crate) enum EndOrdered {
    /// A daemon ends the run.
    Ordered(CronRun),
    /// No daemon had begun it, and none will.
    TakenBack(RunOrder),
}

/// What there is to be done.
enum Found {
    /// The run goes on.
    Open(CronRun),
    /// It waits for a daemon.
    Ordered(RunOrder),
    /// It has ended, as these words say.
    Ended(String),
    /// There is none; with what may be meant.
    Unknown(String),
}

pub(crate) async fn end(
    config: &Config,
    db: &Db,
    uk: &str,
    ordered_by: String,
) -> Result<EndOrdered, Refusal> {
    match find(config, db, uk).await? {
        Found::Open(run) => order(config, db, run, ordered_by).await,
        Found::Ordered(order) => take_back(config, db, order, ordered_by).await,
        Found::Ended(how) => Err(ended_already(uk, &how)),
        Found::Unknown(hint) => Err(Refusal::Unknown(format!("no cron run `{uk}`{hint}"))),
    }
}

async fn find(config: &Config, db: &Db, uk: &str) -> Result<Found, DbError> {
    let reader = db.reader();
    if let Some(run) = reader.cron_run(uk).await? {
        return Ok(match run.ended_ms {
            None => Found::Open(run),
            Some(_) => Found::Ended(run.status),
        });
    }
    let orders = reader.run_orders(vec![uk.to_owned()]).await?.into_iter();
    let mut orders = orders.filter(|order| order.kind == OrderKind::Run);
    if let Some(order) = orders.next() {
        return Ok(match order.is_waiting {
            true => Found::Ordered(order),
            false => Found::Ended(order.result),
        });
    }
    let asked = PartitionRuns {
        partition: config.partition.to_string(),
        before: i64::MAX,
    };
    let runs = browse::runs(reader, asked, Reach::page(READ_RUNS)).await?;
    let runs = runs.rows.into_iter();
    let open = runs.filter(|run| run.ended_ms.is_none());
    let known: BTreeSet<String> = open.map(|run| run.uk).collect();
    let hint = match known.is_empty() {
        true => format!(
            "; none goes on in partition {}, `cron runs` shows them",
            config.partition
        ),
        false => did_you_mean(uk, &known).replace("registered are", "those that go on are"),
    };
    Ok(Found::Unknown(hint))
}

async fn order(
    config: &Config,
    db: &Db,
    run: CronRun,
    ordered_by: String,
) -> Result<EndOrdered, Refusal> {
    let order = NewOrder {
        environment: config.environment.name().to_owned(),
        partition: run.partition.clone(),
        kind: OrderKind::End,
        name: run.name.clone(),
        entry: String::new(),
        uk: run.uk.clone(),
        params: None,
        ordered_by,
    };
    db.write(GiveOrders(vec![order])).await?;
    Ok(EndOrdered::Ordered(run))
}

/// Only while no daemon has claimed it: then it is a run like any other.
async fn take_back(
    config: &Config,
    db: &Db,
    order: RunOrder,
    ordered_by: String,
) -> Result<EndOrdered, Refusal> {
    let end = OrderEnd {
        id: order.id,
        of_owner: String::new(),
        result: format!("taken back by order of {ordered_by}"),
    };
    if db.write(EndOrder(end)).await? {
        return Ok(EndOrdered::TakenBack(order));
    }
    match find(config, db, &order.uk).await? {
        Found::Open(run) => self::order(config, db, run, ordered_by).await,
        Found::Ended(how) => Err(ended_already(&order.uk, &how)),
        Found::Ordered(_) | Found::Unknown(_) => Err(Refusal::Impossible(format!(
            "run {} is being claimed; try again",
            order.uk
        ))),
    }
}

fn ended_already(uk: &str, how: &str) -> Refusal {
    Refusal::Impossible(format!("run {uk} has ended already: {how}"))
}
