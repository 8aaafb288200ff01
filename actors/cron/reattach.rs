//! Runs that no living daemon watches: those of daemons that ended while the runs went on.
//!
//! Looked for at the start and every few seconds. A run that lives is watched to its end; one that has ended left its
//! result in its file, or is `lost`. Only runs of this machine, kernel boot and pid namespace are judged here; others only
//! when their timeout (none: a day) is over and their boot is dead.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use parking_lot::Mutex;

use super::fire::run_again;
use super::judge::{PATIENCE_MS, Verdict, judge};
use super::outcome::Outcome;
use super::pinging::Ended;
use super::process::{
    Liveness, Process, RunState, Signals, Spawner, Termination, Uk, Watched, inspect, list, remove,
    terminate,
};
use super::record_end::{end_run, log_end};
use super::replace::{Mark, end_here, is_here, mark_of, process_of};
use super::{CronConfig, LiveEntry, ordered, pinging};
use crate::clock::{millis, now_ms};
use crate::orders::ORDERS_KEPT_MS;
use crate::store::DbError;
use crate::store::daemon_orders::is_ordered;
use crate::store::rows::OpenRun;

/// A file whose run is not open in this database is deleted when it is this old (a day, and an hour to be later than
/// the above): until then it may be that of a daemon with another database and the same directory.
const STALE_FILE: Duration = Duration::from_secs(25 * 3600);
/// Between two tries to watch a process.
const WATCH_AGAIN: Duration = Duration::from_secs(60);
/// Runs that are handled at once: each may need a read of its file and a commit, which the database makes together.
const AT_ONCE: usize = 128;

/// The keys of the runs that are watched in this process.
#[derive(Clone, Default)]
pub(crate) struct WatchedRuns {
    by_uk: Arc<Mutex<HashMap<String, Option<Signals>>>>,
}

/// Watched until this is dropped.
pub(super) struct Watching {
    runs: WatchedRuns,
    uk: String,
}

impl WatchedRuns {
    /// None where it is watched already.
    pub(super) fn begin(&self, uk: &str) -> Option<Watching> {
        match self.by_uk.lock().entry(uk.to_owned()) {
            Entry::Occupied(_) => None,
            Entry::Vacant(place) => {
                place.insert(None);
                Some(Watching {
                    runs: self.clone(),
                    uk: uk.to_owned(),
                })
            }
        }
    }

    /// From now on the run has a process, which is a child of ours.
    pub(super) fn set_child(&self, uk: &str, signals: Signals) {
        if let Some(child) = self.by_uk.lock().get_mut(uk) {
            *child = Some(signals);
        }
    }

    /// The run's process, where it is a child of ours.
    pub(super) fn child(&self, uk: &str) -> Option<Signals> {
        self.by_uk.lock().get(uk).cloned().flatten()
    }

    pub(super) fn contains(&self, uk: &str) -> bool {
        self.by_uk.lock().contains_key(uk)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.runs.by_uk.lock().remove(&self.uk);
    }
}

/// Polls once, and leaves a watcher with each run that lives.
pub(super) async fn look(config: Arc<CronConfig>, spawner: Option<Arc<Spawner>>) {
    let watched = config.watched.clone();
    let open = match config.db.reader().open_runs(&config.partition).await {
        Ok(open) => open,
        Err(cause) => {
            // DbActor has logged an outage of the database.
            let level = match cause {
                DbError::Away(_) => log::Level::Debug,
                _ => log::Level::Warn,
            };
            log::log!(
                level,
                "cron cannot read the runs of earlier daemons: {cause}"
            );
            return;
        }
    };
    let stale = {
        let (runs, open) = (config.runs.clone(), open.clone());
        let watched = watched.clone();
        actix_rt::task::spawn_blocking(move || remove_stale(&runs, &open, &watched))
    };
    let each = stream::iter(open.clone()).for_each_concurrent(AT_ONCE, async |run| {
        // Of our own there are those whose claim was never answered (unless the backlog claims it again), and those whose
        // watcher died.
        let left = !run.owner_alive || run.owner == config.owner;
        match watched.contains(&run.uk) {
            true if run.replaced && is_here(&run) => end_replaced(&config, run),
            false if left && !config.backlog.holds(&run.entry, run.scheduled_ms) => {
                attend(&config, run, spawner.as_ref()).await
            }
            _ => {}
        }
    });
    each.await;
    if let Err(cause) = stale.await {
        log::warn!("stale files of cron runs stay: {cause}");
    }
    pinging::ping_unattended(&config, &open).await;
}

/// A daemon on another machine replaces it, and cannot end it from there.
fn end_replaced(config: &Arc<CronConfig>, run: OpenRun) {
    let Some(process) = process_of(config, &run) else {
        return;
    };
    let config = Arc::clone(config);
    actix_rt::spawn(async move {
        if let Err(cause) = end_here(&config, &run, process, Outcome::replaced()).await {
            log::error!(
                "cron `{}`: pid {} cannot be ended: {cause}",
                run.name,
                process.pid
            );
        }
    });
}

async fn attend(config: &Arc<CronConfig>, run: OpenRun, spawner: Option<&Arc<Spawner>>) {
    let watched = &config.watched;
    let Ok(uk) = run.uk.parse::<Uk>() else {
        log::error!("cron run `{}` has a key that is none of ours", run.uk);
        return;
    };
    let Some(state) = state_of(config, &uk).await else {
        return;
    };
    match judge(&run, state.as_ref()) {
        Verdict::Wait => {}
        Verdict::Ended(outcome) => {
            close(config, &run, &uk, outcome, None).await;
            forget(config, &uk);
        }
        Verdict::NeverStarted => match (entry_in_time(config, &run).await, spawner) {
            // Its order cannot be read now; the next poll may read it.
            (Err(cause), _) => log::debug!("cron run {uk} is not started yet: {cause}"),
            (Ok(Some(entry)), Some(spawner)) => {
                if let Some(watching) = watched.begin(uk.as_str()) {
                    let (config, spawner) = (Arc::clone(config), Arc::clone(spawner));
                    actix_rt::spawn(run_again(config, entry, run, uk, spawner, watching));
                }
            }
            // Nothing is started during a stop; the next daemon may still be in time.
            (Ok(Some(_)), None) => {}
            (Ok(None), _) => {
                let why = match run.owner == config.owner {
                    true if is_ordered(run.scheduled_ms) => "it could not be started in time",
                    true => "it could not be started within misfire_grace",
                    false => "the daemon ended before it could start it",
                };
                let outcome = Outcome::not_started(why);
                let owner = Some(run.owner.clone());
                close(config, &run, &uk, outcome, owner).await;
                forget(config, &uk);
            }
        },
        Verdict::Watch { process, since_ms } => {
            let Some(watching) = watched.begin(uk.as_str()) else {
                return;
            };
            log::info!(
                "cron `{}`: run {uk} (pid {}) of an earlier daemon goes on and is watched",
                run.name,
                process.pid
            );
            let config = Arc::clone(config);
            actix_rt::spawn(async move {
                watch(&config, &run, &uk, process, since_ms).await;
                drop(watching);
            });
        }
    }
}

/// The state in its file, where there is one; none where the file cannot be read.
pub(super) async fn state_of(config: &CronConfig, uk: &Uk) -> Option<Option<RunState>> {
    let path = config.runs.join(format!("{uk}.json"));
    match actix_rt::task::spawn_blocking(move || inspect(&path)).await {
        Ok(Ok(state)) => Some(Some(state)),
        Ok(Err(cause)) if is_absent(&cause) => Some(None),
        Ok(Err(cause)) => {
            log::warn!("the file of cron run {uk} cannot be read: {cause}");
            None
        }
        Err(_) => None,
    }
}

/// There is no file, or not even a directory for it.
fn is_absent(cause: &io::Error) -> bool {
    matches!(
        cause.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// It may have got its end, and a line for that, since its row was read.
pub(super) async fn close(
    config: &CronConfig,
    run: &OpenRun,
    uk: &Uk,
    outcome: Outcome,
    only_of: Option<String>,
) {
    if end_run(config, uk.as_str(), outcome.clone(), run.pid, only_of).await {
        if let Some(state) = config.published(&run.entry) {
            outcome.publish(state, uk.as_str());
        }
        log_end(&run.name, uk.as_str(), &outcome);
        config.ping_end_of(&run.entry, uk, Ended::seen_from_outside(&outcome));
    }
}

/// The entry of a fire that can still be made: late, but within the grace. An ordered run has the time that its order has,
/// and the params of that.
async fn entry_in_time(
    config: &CronConfig,
    run: &OpenRun,
) -> Result<Option<Arc<LiveEntry>>, DbError> {
    let late = now_ms() - run.scheduled_ms;
    let Some(entry) = config.entries.iter().find(|entry| entry.key == run.entry) else {
        return Ok(None);
    };
    match is_ordered(run.scheduled_ms) {
        true if late <= ORDERS_KEPT_MS => ordered::entry_of_run(config, entry, &run.uk).await,
        false if late <= millis(config.misfire_grace) => Ok(Some(Arc::clone(entry))),
        true | false => Ok(None),
    }
}

/// Waits for the end of a process that is not our child: only its file shows how it ended.
async fn watch(
    config: &CronConfig,
    run: &OpenRun,
    uk: &Uk,
    Process { pid, start_ticks }: Process,
    since_ms: i64,
) {
    let published = config.published(&run.entry);
    if let Some(state) = published {
        state.attached(uk.as_str(), since_ms, pid);
    }
    let ended = async {
        loop {
            match Watched::open(pid, start_ticks) {
                Ok(Some(process)) => return process.ended().await,
                Ok(None) => return,
                // A process that cannot be distinguished from another one is waited for as one on another machine.
                Err(_) if now_ms() - since_ms > PATIENCE_MS => return,
                Err(cause) => {
                    log::error!("cron run {uk} (pid {pid}) cannot be watched: {cause}");
                    tokio::time::sleep(WATCH_AGAIN).await;
                }
            }
        }
    };
    let left = since_ms + run.timeout_ms - now_ms();
    let over = async {
        match run.timeout_ms {
            0 => std::future::pending().await,
            _ => tokio::time::sleep(Duration::from_millis(left.max(0).unsigned_abs())).await,
        }
    };
    tokio::pin!(ended);
    let termination = tokio::select! {
        () = &mut ended => None,
        () = over => match terminate(pid, start_ticks).await {
            Ok(termination) => Some(termination),
            Err(cause) => {
                log::error!("cron `{}`: pid {pid} exceeds its timeout and cannot be ended: {cause}", run.name);
                ended.await;
                None
            }
        },
    };
    let outcome = match termination {
        Some(Termination::OnRequest | Termination::Forced) => {
            let limit = Duration::from_millis(run.timeout_ms.unsigned_abs());
            Outcome::timeout(limit.as_secs_f64())
        }
        Some(Termination::NotThere) | None => seen_from_outside(config, uk).await,
    };
    if let Some(state) = published {
        outcome.publish(state, uk.as_str());
    }
    let first = end_run(config, uk.as_str(), outcome.clone(), pid, None).await;
    // Without its file it wrote its end into the row alone; who replaced it logs that.
    if first || !(outcome == Outcome::lost() || outcome.is_ordinary()) {
        log_end(&run.name, uk.as_str(), &outcome);
        // Of two daemons that watch a run which has written its end itself, one removes its file and reports that end.
        if first || std::fs::remove_file(config.runs.join(format!("{uk}.json"))).is_ok() {
            config.ping_end_of(&run.entry, uk, Ended::seen_from_outside(&outcome));
        }
    }
    forget(config, uk);
}

/// How a process that was not our child has ended.
async fn seen_from_outside(config: &CronConfig, uk: &Uk) -> Outcome {
    match result_of(&config.runs.join(format!("{uk}.json"))) {
        Some(result) => Outcome::reported(&result),
        None => match mark_of(config, uk.as_str()).await {
            Mark::Replaced => Outcome::replaced(),
            Mark::Ordered(by) => Outcome::ended_by_order(&by),
            Mark::None | Mark::Ended => Outcome::lost(),
        },
    }
}

fn result_of(path: &Path) -> Option<super::RunResult> {
    inspect(path).ok()?.result
}

pub(super) fn forget(config: &CronConfig, uk: &Uk) {
    if let Err(cause) = remove(&config.runs, uk)
        && !is_absent(&cause)
    {
        log::warn!("the file of cron run {uk} stays: {cause}");
    }
}

/// Files of runs that have ended in the database, and of runs by hand: their processes are gone.
fn remove_stale(runs: &Path, open: &[OpenRun], watched: &WatchedRuns) {
    let files: Vec<PathBuf> = list(runs).unwrap_or_default();
    for path in files {
        let Some(uk) = path.file_stem().and_then(|stem| stem.to_str()) else {
            continue;
        };
        let known = open.iter().any(|run| run.uk == uk) || watched.contains(uk);
        if known || !is_old(&path) {
            continue;
        }
        let over = |state: RunState| {
            state.alive == Liveness::Unlocked && (state.head.is_some() || state.never_started())
        };
        if inspect(&path).is_ok_and(over)
            && let Ok(uk) = uk.parse::<Uk>()
        {
            // Another daemon may be quicker.
            let _ = remove(runs, &uk);
        }
    }
}

fn is_old(path: &Path) -> bool {
    path.metadata()
        .and_then(|metadata| metadata.modified())
        .is_ok_and(|at| at.elapsed().is_ok_and(|age| age > STALE_FILE))
}
