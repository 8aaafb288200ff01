//! `cron end`: ends a run that goes on, or takes back the order of one that has not begun.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;

use super::orderer;
use super::run::without_daemon;
use crate::bootstrap::failure::{Failure, chain};
use crate::bootstrap::mini_system;
use crate::cli::print::print;
use crate::config::{Config, did_you_mean};
use crate::db::Db;
use crate::store::DbError;
use crate::store::daemon_orders::{CronRun, NewOrder, OrderEnd, OrderKind, RunOrder, RunsAsked};

/// So many of the newest runs are looked at for one that may be meant.
const LOOKED_AT: i64 = 200;

#[derive(Debug, Args)]
pub(in crate::cli) struct EndArgs {
    /// The run, as `cron runs` shows it
    run: String,
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

pub(super) fn end(config: &Config, args: &EndArgs) -> Result<ExitCode, Failure> {
    let store = mini_system::migrated_store(config)?;
    let said = mini_system::in_system(async {
        let db = mini_system::start_db(&store);
        let failed = |cause: DbError| Failure::failed(chain(&cause));
        match find(config, &db, &args.run).await.map_err(failed)? {
            Found::Open(run) => order(config, &db, run).await.map_err(failed),
            Found::Ordered(order) => take_back(config, &db, order).await,
            Found::Ended(how) => Err(Failure::failed(format!(
                "run {} has ended already: {how}",
                args.run
            ))),
            Found::Unknown(hint) => Err(Failure::misused(format!(
                "no cron run `{}`{hint}",
                args.run
            ))),
        }
    })?;
    print(&said)?;
    Ok(ExitCode::SUCCESS)
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
    let asked = RunsAsked {
        partition: config.partition.to_string(),
        of: None,
        limit: LOOKED_AT,
    };
    let runs = reader.cron_runs(asked).await?.into_iter();
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

async fn order(config: &Config, db: &Db, run: CronRun) -> Result<String, DbError> {
    let order = NewOrder {
        environment: config.environment.name().to_owned(),
        partition: run.partition.clone(),
        kind: OrderKind::End,
        name: run.name.clone(),
        entry: String::new(),
        uk: run.uk.clone(),
        params: None,
        ordered_by: orderer(),
    };
    db.give_orders(vec![order]).await?;
    let mut said = format!("run {} of cron `{}` is ordered to end\n", run.uk, run.name);
    said += &without_daemon(&run.partition, db.reader()).await?;
    Ok(said)
}

/// Only while no daemon has claimed it: then it is a run like any other.
async fn take_back(config: &Config, db: &Db, order: RunOrder) -> Result<String, Failure> {
    let failed = |cause: DbError| Failure::failed(chain(&cause));
    let end = OrderEnd {
        id: order.id,
        of_owner: String::new(),
        result: format!("taken back by order of {}", orderer()),
    };
    if db.end_order(end).await.map_err(failed)? {
        return Ok(format!(
            "run {} of cron `{}` is taken back, it has not begun\n",
            order.uk, order.name
        ));
    }
    match find(config, db, &order.uk).await.map_err(failed)? {
        Found::Open(run) => self::order(config, db, run).await.map_err(failed),
        Found::Ended(how) => Err(Failure::failed(format!(
            "run {} has ended already: {how}",
            order.uk
        ))),
        Found::Ordered(_) | Found::Unknown(_) => Err(Failure::failed(format!(
            "run {} is being claimed; try again",
            order.uk
        ))),
    }
}
