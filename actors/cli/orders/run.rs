//! `cron run`: an entry's run now, by whichever daemon of the partition sees the order first.

use std::process::ExitCode;

use clap::Args;

use super::{held, orderer, pause_of, since};
use crate::bootstrap::failure::{Failure, chain};
use crate::bootstrap::mini_system;
use crate::cli::print::print;
use crate::config::Config;
use crate::db::Db;
use crate::membership::partition_of;
use crate::operations::cron_run;
use crate::orders::{ORDERS_KEPT_MS, PauseKind};
use crate::store::daemon_orders::NewOrder;
use crate::store::rows::PauseRow;
use crate::store::write::GiveOrders;
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
    let entries = cron_run::meant(config, &args.name).map_err(Failure::refused)?;
    let params = (!args.params.is_empty()).then(|| args.params.join(" "));
    for entry in &entries {
        cron_run::check_params(entry, params.as_deref()).map_err(Failure::refused)?;
    }
    let orders: Vec<NewOrder> = entries
        .into_iter()
        .map(|entry| cron_run::order(config, entry, params.clone(), orderer()))
        .collect();
    let store = mini_system::migrated_store(config)?;
    let text = mini_system::in_system(async {
        let db = mini_system::start_db(&store);
        give(config, &db, &args.name, orders).await
    });
    print(&text.map_err(|cause| Failure::failed(chain(&cause)))?)?;
    Ok(ExitCode::SUCCESS)
}

async fn give(
    config: &Config,
    db: &Db,
    name: &str,
    orders: Vec<NewOrder>,
) -> Result<String, DbError> {
    let mut text: String = orders
        .iter()
        .map(|order| format!("cron `{name}` is ordered to run now: run {}\n", order.uk))
        .collect();
    db.write(GiveOrders(orders)).await?;
    let held = held(db.reader(), config.environment.name()).await?;
    text += &while_paused(name, &held);
    text += &without_daemon(config.partition.as_ref(), db.reader()).await?;
    Ok(text)
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
