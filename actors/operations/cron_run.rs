//! The order of a cron entry's run, now: whichever daemon of the partition sees it first makes it.

use uuid::Uuid;

use super::Refusal;
use super::cron_runs::unknown_entry;
use crate::config::{Config, CronEntry, longest_params};
use crate::cron::LiveEntry;
use crate::store::daemon_orders::{NewOrder, OrderKind};

/// The live entries of that name.
pub(crate) fn meant<'a>(config: &'a Config, name: &str) -> Result<Vec<&'a CronEntry>, Refusal> {
    let named = config.crontab.iter().filter(|entry| entry.name == name);
    let named: Vec<&CronEntry> = named.collect();
    if named.is_empty() {
        return Err(Refusal::Unknown(unknown_entry(config, name)));
    }
    if named.iter().any(|entry| entry.drives_delay_queue) {
        return Err(Refusal::Misused(format!(
            "cron `{name}` does nothing here: the delay queue runs by itself"
        )));
    }
    let live: Vec<&CronEntry> = named.iter().copied().filter(|entry| entry.live).collect();
    if live.is_empty() {
        let why = named[0].why_not_live(config.environment);
        return Err(Refusal::Misused(format!(
            "no daemon would run it, as it is not live here: {why}; `exec {}` runs its handler in the foreground",
            named[0].exec_cmd
        )));
    }
    Ok(live)
}

/// What the file would refuse of the entry is refused here too.
pub(crate) fn check_params(entry: &CronEntry, params: Option<&str>) -> Result<(), Refusal> {
    let Some(params) = params else {
        return Ok(());
    };
    if params.contains('\0') {
        return Err(Refusal::Misused(
            "the params hold a NUL character".to_owned(),
        ));
    }
    let (most, found) = (longest_params(entry.is_log), params.chars().count());
    match found > most {
        true => Err(Refusal::Misused(format!(
            "the params have {found} characters; cron `{}` takes {most} at most",
            entry.name
        ))),
        false => Ok(()),
    }
}

/// `params`: none for those of the entry. The run's key is made here.
pub(crate) fn order(
    config: &Config,
    entry: &CronEntry,
    params: Option<String>,
    ordered_by: String,
) -> NewOrder {
    NewOrder {
        environment: config.environment.name().to_owned(),
        partition: config.partition.to_string(),
        kind: OrderKind::Run,
        name: entry.name.clone(),
        entry: LiveEntry::new(entry.clone()).key,
        uk: Uuid::new_v4().to_string(),
        params,
        ordered_by,
    }
}
