//! `cron run`: an entry's run now, by whichever daemon of the partition sees the order first.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;
use uuid::Uuid;

use super::{held, orderer, pause_of, since};
use crate::bootstrap::failure::{Failure, chain};
use crate::bootstrap::mini_system;
use crate::cli::print::print;
use crate::config::{Config, CronEntry, did_you_mean, longest_params};
use crate::cron::LiveEntry;
use crate::db::Db;
use crate::membership::partition_of;
use crate::orders::{ORDERS_KEPT_MS, PauseKind};
use crate::store::daemon_orders::{NewOrder, OrderKind};
use crate::store::rows::PauseRow;
use crate::store::{DbError, Reader};

#[derive(Debug, Args)]
pub(in crate::cli) struct RunArgs {
    /// The `name` of the entry; where several have it, each runs
    name: String,
    /// Other params than those of the entry, for this run; words are joined by a space
    #[arg(value_name = "PARAMS", allow_hyphen_values = true)]
    params: Vec<String>,
}

pub(super) fn run(config: &Config, args: &RunArgs) -> Result<ExitCode, Failure> {
    let entries = meant(config, &args.name)?;
    let params = (!args.params.is_empty()).then(|| args.params.join(" "));
    for entry in &entries {
        check_params(entry, params.as_deref())?;
    }
    let orders: Vec<NewOrder> = entries
        .into_iter()
        .map(|entry| order(config, entry, params.clone()))
        .collect();
    let store = mini_system::migrated_store(config)?;
    let said = mini_system::in_system(async {
        let db = mini_system::start_db(&store);
        give(config, &db, &args.name, orders).await
    });
    print(&said.map_err(|cause| Failure::failed(chain(&cause)))?)?;
    Ok(ExitCode::SUCCESS)
}

async fn give(
    config: &Config,
    db: &Db,
    name: &str,
    orders: Vec<NewOrder>,
) -> Result<String, DbError> {
    let mut said: String = orders
        .iter()
        .map(|order| format!("cron `{name}` is ordered to run now: run {}\n", order.uk))
        .collect();
    db.give_orders(orders).await?;
    let held = held(db.reader(), config.environment.name()).await?;
    said += &while_paused(name, &held);
    said += &without_daemon(config.partition.as_ref(), db.reader()).await?;
    Ok(said)
}

/// Whoever asks for a run by its name means it, paused or not.
fn while_paused(name: &str, held: &[PauseRow]) -> String {
    match pause_of(PauseKind::Cron, name, held) {
        Some(row) => format!(
            "it is paused {}; this run is made all the same\n",
            since(row)
        ),
        None => String::new(),
    }
}

/// What becomes of an order when no daemon of the partition is there to see it.
pub(super) async fn without_daemon(
    partition: &str,
    reader: &dyn Reader,
) -> Result<String, DbError> {
    let alive = reader.alive_boots().await?;
    let minutes = ORDERS_KEPT_MS / 60_000;
    Ok(
        match alive
            .iter()
            .any(|boot| partition_of(&boot.owner) == partition)
        {
            true => String::new(),
            false => format!(
                "no daemon of partition {partition} is alive: the next one carries it out, if it starts within {minutes} minutes\n"
            ),
        },
    )
}

/// The live entries of that name.
fn meant<'a>(config: &'a Config, name: &str) -> Result<Vec<&'a CronEntry>, Failure> {
    let named = config.crontab.iter().filter(|entry| entry.name == name);
    let named: Vec<&CronEntry> = named.collect();
    if named.is_empty() {
        return Err(Failure::misused(unknown(config, name)));
    }
    if named.iter().any(|entry| entry.drives_delay_queue) {
        return Err(Failure::misused(format!(
            "cron `{name}` does nothing here: the delay queue runs by itself"
        )));
    }
    let live: Vec<&CronEntry> = named.iter().copied().filter(|entry| entry.live).collect();
    if live.is_empty() {
        let why = named[0].why_not_live(config.environment);
        return Err(Failure::misused(format!(
            "no daemon would run it, as it is not live here: {why}; `exec {}` runs its handler in the foreground",
            named[0].exec_cmd
        )));
    }
    Ok(live)
}

/// No cron entry has that name.
pub(super) fn unknown(config: &Config, name: &str) -> String {
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

/// What the file would refuse of the entry is refused here too.
fn check_params(entry: &CronEntry, params: Option<&str>) -> Result<(), Failure> {
    let Some(params) = params else {
        return Ok(());
    };
    if params.contains('\0') {
        return Err(Failure::misused("the params hold a NUL character"));
    }
    let (most, found) = (longest_params(entry.is_log), params.chars().count());
    match found > most {
        true => Err(Failure::misused(format!(
            "the params have {found} characters; cron `{}` takes {most} at most",
            entry.name
        ))),
        false => Ok(()),
    }
}

fn order(config: &Config, entry: &CronEntry, params: Option<String>) -> NewOrder {
    NewOrder {
        environment: config.environment.name().to_owned(),
        partition: config.partition.to_string(),
        kind: OrderKind::Run,
        name: entry.name.clone(),
        entry: LiveEntry::new(entry.clone()).key,
        uk: Uuid::new_v4().to_string(),
        params,
        ordered_by: orderer(),
    }
}
