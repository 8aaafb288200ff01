//! `overlap: replace`: of one entry one run at a time, whichever daemons of the partition fire it.
//!
//! **Never two at once.** The claim of a fire marks the open runs of earlier seconds, in the claim's own transaction,
//! and starts only when it has seen, after that transaction, that none of them is open any more. Of two claimed fires
//! the earlier one gives way as soon as it sees the later one's row. So, in whatever order they are committed: the
//! later one sees the earlier one's row and waits for its end; or that row came after the check, and then its own check
//! finds the later one. A row is open until its process is gone, or has finished its handler.
//!
//! **Who ends a run:** the daemon that replaces it, where it is on the same machine; elsewhere the daemon there, which
//! finds the mark when it polls its runs. A clock that went back a little puts runs into later seconds than those that
//! come: such a run goes on, and the fires that see it give way. One that lies further ahead is of a clock that was
//! wrong, and is replaced like an earlier one: it would hold up its entry until that time comes.

use std::collections::HashSet;
use std::time::Duration;

use super::CronConfig;
use super::outcome::Outcome;
use super::process::machine::Place;
use super::process::{Process, RunResult, Uk, inspect, terminate, terminate_child};
use super::record_end::{end_run, log_end};
use crate::clock::{millis, now_ms};
use crate::db::ReadOutage;
use crate::store::daemon_orders::OrderKind;
use crate::store::is_ahead;
use crate::store::rows::OpenRun;

/// Between two polls of runs whose end is not ours to make.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Whether a fire may begin.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    Free,
    /// A later fire of the entry is there: this one would only be replaced at once.
    Overtaken,
}

/// A fire that replaces.
pub(super) struct Replacing<'a> {
    pub(super) config: &'a CronConfig,
    pub(super) entry: &'a str,
    pub(super) name: &'a str,
    pub(super) uk: &'a Uk,
    pub(super) scheduled_ms: i64,
}

/// What was done about a run.
enum Done {
    Ended,
    /// Nothing: its daemon must end it, or not begin it.
    Wait,
    /// Nothing can be done about it: it does not hold the fire up.
    GaveUp,
}

impl Replacing<'_> {
    /// Ends the earlier runs, those too that begin meanwhile.
    pub(super) async fn make_room(&self) -> Room {
        let mut given_up = HashSet::new();
        loop {
            let rivals = open_runs(self.config).await.into_iter();
            let mut rivals: Vec<OpenRun> = rivals
                .filter(|run| run.entry == self.entry && run.uk != self.uk.as_str())
                .collect();
            let now = now_ms();
            if rivals
                .iter()
                .any(|run| run.scheduled_ms > self.scheduled_ms && !is_ahead(run.scheduled_ms, now))
            {
                return Room::Overtaken;
            }
            rivals.retain(|run| !given_up.contains(&run.uk));
            let Some(run) = rivals.first() else {
                return Room::Free;
            };
            match self.end(run).await {
                Done::Ended => {}
                Done::Wait => tokio::time::sleep(LOOK_INTERVAL).await,
                Done::GaveUp => drop(given_up.insert(run.uk.clone())),
            }
        }
    }

    async fn end(&self, run: &OpenRun) -> Done {
        if !is_here(run) {
            if run.owner_alive {
                return Done::Wait;
            }
            log::error!(
                "cron `{}`: run {} is on another machine ({}) whose daemon is gone; it cannot be ended from here, and may go on",
                self.name,
                run.uk,
                run.machine
            );
            return Done::GaveUp;
        }
        let Some(process) = process_of(self.config, run) else {
            return Done::Wait;
        };
        log::info!(
            "cron `{}`: the earlier run (pid {}) is ended to make room",
            self.name,
            process.pid
        );
        match end_here(self.config, run, process, Outcome::replaced()).await {
            Ok(_) => Done::Ended,
            // It is the child of a daemon that finds the mark, and can end it.
            Err(cause) if run.owner_alive && run.owner != self.config.owner => {
                log::debug!(
                    "cron `{}`: pid {} is left to its daemon: {cause}",
                    self.name,
                    process.pid
                );
                Done::Wait
            }
            Err(cause) => {
                log::error!(
                    "cron `{}`: pid {} cannot be ended: {cause}",
                    self.name,
                    process.pid
                );
                Done::GaveUp
            }
        }
    }
}

/// Ends a run of this machine that is marked, and writes its end: its watcher may be a daemon that hangs. Answers that
/// end: its own result, or what the mark means.
pub(super) async fn end_here(
    config: &CronConfig,
    run: &OpenRun,
    process: Process,
    marked: Outcome,
) -> std::io::Result<Outcome> {
    match config.watched.child(&run.uk) {
        Some(child) => terminate_child(&child).await?,
        None => terminate(process.pid, process.start_ticks).await?,
    };
    let reported = result_of(config, &run.uk);
    let outcome = reported.map_or(marked, |reported| Outcome::reported(&reported));
    if end_run(config, &run.uk, outcome.clone(), process.pid, None).await {
        log_end(&run.name, &run.uk, &outcome);
    }
    Ok(outcome)
}

/// The mark in the database of a run that ended without a result.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mark {
    None,
    Replaced,
    /// Whoever ordered its end.
    Ordered(String),
    /// Somebody has written its end already.
    Ended,
}

pub(super) async fn mark_of(config: &CronConfig, uk: &str) -> Mark {
    let open = open_runs(config).await;
    match open.iter().find(|run| run.uk == uk) {
        Some(run) if run.replaced => Mark::Replaced,
        Some(run) if run.ending => Mark::Ordered(end_ordered_by(config, uk).await),
        Some(_) => Mark::None,
        None => Mark::Ended,
    }
}

/// However long the database is away.
async fn end_ordered_by(config: &CronConfig, uk: &str) -> String {
    let ask = || config.db.reader().run_orders(vec![uk.to_owned()]);
    let reading = "the reading of orders about cron runs";
    let orders = ReadOutage::until_answered(&config.db, reading, ask).await;
    let mut ends = orders
        .into_iter()
        .filter(|order| order.kind == OrderKind::End);
    // The order is older than its mark, and is kept for longer than runs are.
    ends.next()
        .map_or_else(|| "somebody".to_owned(), |order| order.ordered_by)
}

/// Whether a misfire of the entry runs that is made up for, by whichever daemon.
pub(super) async fn awaits_made_up(config: &CronConfig, entry: &str) -> bool {
    let grace = millis(config.misfire_grace);
    open_runs(config).await.iter().any(|run| {
        let is_made_up = run.started_ms - run.scheduled_ms > grace;
        // Of any other nobody would see the end.
        run.entry == entry && is_made_up && (run.owner_alive || is_here(run))
    })
}

/// However long the database is away.
async fn open_runs(config: &CronConfig) -> Vec<OpenRun> {
    let ask = || config.db.reader().open_runs(&config.partition);
    ReadOutage::until_answered(&config.db, "the reading of open cron runs", ask).await
}

/// Whether its pid means its process here.
pub(super) fn is_here(run: &OpenRun) -> bool {
    serde_json::from_str::<Place>(&run.machine).is_ok_and(|place| place.is_here())
}

/// From its row; or, where that does not know it yet, from its file.
pub(super) fn process_of(config: &CronConfig, run: &OpenRun) -> Option<Process> {
    if run.pid > 0 {
        return Some(Process {
            pid: run.pid,
            start_ticks: run.start_ticks.map(i64::cast_unsigned),
        });
    }
    let state = inspect(&config.runs.join(format!("{}.json", run.uk))).ok()?;
    state.head.map(|head| Process {
        pid: head.pid,
        start_ticks: head.start_ticks,
    })
}

fn result_of(config: &CronConfig, uk: &str) -> Option<RunResult> {
    inspect(&config.runs.join(format!("{uk}.json")))
        .ok()?
        .result
}

#[cfg(test)]
mod tests;
