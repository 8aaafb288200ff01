//! `queue check`: a LagCheck now, on every daemon that has the queue.

use std::process::ExitCode;

use super::run::without_daemon;
use super::{NamesArgs, known_queues, orderer, refuse_unknown};
use crate::bootstrap::failure::{Failure, chain};
use crate::bootstrap::mini_system;
use crate::cli::print::print;
use crate::config::Config;
use crate::store::DbError;
use crate::store::daemon_orders::{NewOrder, OrderKind};
use crate::store::write::GiveOrders;

pub(super) fn check(config: &Config, args: NamesArgs) -> Result<ExitCode, Failure> {
    refuse_unknown(config, "queue", &args.names, &known_queues(config))?;
    for name in &args.names {
        refuse_idle(config, name)?;
    }
    let orders: Vec<NewOrder> = args.names.iter().map(|name| order(config, name)).collect();
    let store = mini_system::migrated_store(config)?;
    let text = mini_system::in_system(async {
        let db = mini_system::start_db(&store);
        db.write(GiveOrders(orders)).await?;
        let mut text: String = args
            .names
            .iter()
            .map(|name| format!("the lag of queue `{name}` is ordered to be checked now\n"))
            .collect();
        text += &without_daemon(config.partition.as_ref(), db.reader()).await?;
        Ok::<_, DbError>(text)
    });
    print(&text.map_err(|cause| Failure::failed(chain(&cause)))?)?;
    Ok(ExitCode::SUCCESS)
}

/// An entry that is not live here has no consumers whose number a check could change.
fn refuse_idle(config: &Config, name: &str) -> Result<(), Failure> {
    let mut named = config.queues.iter().filter(|entry| entry.name == name);
    match named.any(|entry| entry.live) {
        true => Ok(()),
        false => Err(Failure::misused(format!(
            "queue `{name}` is not live in {}: it has no consumers here",
            config.environment
        ))),
    }
}

fn order(config: &Config, name: &str) -> NewOrder {
    NewOrder {
        environment: config.environment.name().to_owned(),
        partition: config.partition.to_string(),
        kind: OrderKind::Check,
        name: name.to_owned(),
        entry: String::new(),
        uk: String::new(),
        params: None,
        ordered_by: orderer(),
    }
}
