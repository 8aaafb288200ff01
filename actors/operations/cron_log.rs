//! What a cron run printed: which run is meant, and in which file of this machine it lies.

use std::path::PathBuf;

use super::Refusal;
use super::cron_runs::{asked, unknown_entry};
use crate::config::Config;
use crate::cron::LiveEntry;
use crate::logs::{LogOptions, OutputLog, OutputLogs, OutputName};
use crate::store::Reader;
use crate::store::daemon_orders::{CronRun, OrderKind};

/// What there is to show.
#[derive(Debug)]
pub(crate) enum Printed {
    Run(CronRun),
    /// It is ordered, and no daemon has begun it.
    Waiting,
}

/// The newest run of the entry of this name, or the run of this key. A name goes before a key: nobody calls an entry after
/// a run.
pub(crate) async fn find(
    config: &Config,
    reader: &dyn Reader,
    of: &str,
) -> Result<Printed, Refusal> {
    if config.crontab.iter().any(|entry| entry.name == of) {
        let newest = reader.cron_runs(asked(config, Some(of), 1)?).await?.pop();
        return match newest {
            Some(run) => Ok(Printed::Run(run)),
            None => Err(Refusal::Impossible(format!("cron `{of}` has not run yet"))),
        };
    }
    find_run(config, reader, of).await
}

/// The run of this key.
pub(crate) async fn find_run(
    config: &Config,
    reader: &dyn Reader,
    of: &str,
) -> Result<Printed, Refusal> {
    if let Some(run) = reader.cron_run(of).await? {
        return Ok(Printed::Run(run));
    }
    let orders = reader.run_orders(vec![of.to_owned()]).await?;
    let order = orders.iter().find(|order| order.kind == OrderKind::Run);
    match order {
        Some(order) if order.is_waiting => Ok(Printed::Waiting),
        Some(order) => Err(Refusal::Impossible(format!(
            "run {of} was not made: {}",
            order.result
        ))),
        None => Err(Refusal::Unknown(format!(
            "{}; nor is there a run of that key",
            unknown_entry(config, of)
        ))),
    }
}

/// The files of the run's entry. Of an entry that is not configured any more, those of its name.
pub(crate) fn output_of(config: &Config, options: &LogOptions, run: &CronRun) -> OutputLog {
    let live = config.crontab.iter();
    let live = live.filter(|entry| entry.live && !entry.drives_delay_queue);
    let entries = LiveEntry::all(live.cloned());
    let entry = entries.iter().find(|entry| entry.key == run.entry);
    let name = entry.map_or_else(
        || OutputName::new(&run.name, None),
        |entry| entry.output.clone(),
    );
    let mut options = options.clone();
    options.partition.clone_from(&run.partition);
    OutputLogs::new(&options).of(&name)
}

/// The file that the run wrote to. None: it has none here.
pub(crate) fn file_of(log: &OutputLog, run: &CronRun) -> Result<Option<PathBuf>, Refusal> {
    log.of_run(run.started_ms)
        .map_err(|cause| cannot_read(&log.path(), &cause))
}

pub(crate) fn cannot_read(path: &std::path::Path, cause: &std::io::Error) -> Refusal {
    Refusal::Impossible(format!("`{}` cannot be read: {cause}", path.display()))
}

/// Why the run has no file.
pub(crate) fn nothing_there(log: &OutputLog, run: &CronRun) -> String {
    format!(
        "`{}` is not there: run {} has printed nothing yet, its file was deleted, or it was on another machine{}",
        log.path().display(),
        run.uk,
        host_of(run)
    )
}

/// The machine's name, as the row has it.
fn host_of(run: &CronRun) -> String {
    let place = serde_json::from_str::<serde_json::Value>(&run.machine).ok();
    let host = place.and_then(|place| Some(place.get("host")?.as_str()?.to_owned()));
    host.map_or_else(String::new, |host| format!(" (it was on {host})"))
}
