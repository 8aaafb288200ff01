//! One fire: its row, its process, its end.
//!
//! The row of `cron_run` decides that this daemon fires, and no other. Then the run is announced in a file, so that
//! whatever happens from here on can be told by a daemon that comes later; then the process starts. From then on it does
//! not need us: it writes its own result, to its file and to the database. Who is left to watch adds what it could not
//! write itself.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::attend::Watching;
use super::command::command;
use super::ending::{end_run, log_end};
use super::outcome::Outcome;
use super::process::machine::Place;
use super::process::{Announcement, Child, Spawner, Uk, announce, inspect, remove, terminate};
use super::replace::{Mark, Replacing, Room, mark_of};
use super::starting::Starting;
use super::{CronConfig, LiveEntry};
use crate::clock::{millis, now_ms};
use crate::config::Overlap;
use crate::db::rows::{AtOverlap, Claim, Fire, OpenRun};
use crate::db::{DbError, Standing};

/// A fire that is late by almost the grace still has time for its row: a commit takes milliseconds, a slow disk's more.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);
/// Before a claim whose answer was lost is repeated.
const CLAIM_AGAIN: Duration = Duration::from_millis(100);

/// Makes the fire, and watches its process to the end.
pub(super) async fn run(
    config: Arc<CronConfig>,
    entry: Arc<LiveEntry>,
    scheduled_ms: i64,
    spawner: Arc<Spawner>,
) {
    let starting = config.starting.begin();
    let Ok(uk) = Uuid::new_v4().to_string().parse::<Uk>() else {
        return;
    };
    // Watched from before its row exists: nobody here may take it for one that was left behind.
    let Some(_watched) = config.watched.begin(uk.as_str()) else {
        return;
    };
    let fire = Firing {
        generation: config.liveness.generation(),
        config,
        entry,
        scheduled_ms,
        uk,
    };
    if fire.claim().await {
        fire.make(&spawner, starting).await;
    }
}

/// Makes a fire that was claimed and not started: the daemon that claimed it died, or its answer was lost.
pub(super) async fn run_again(
    config: Arc<CronConfig>,
    entry: Arc<LiveEntry>,
    left: OpenRun,
    uk: Uk,
    spawner: Arc<Spawner>,
    _watched: Watching,
) {
    let starting = config.starting.begin();
    let fire = Firing {
        generation: config.liveness.generation(),
        config,
        entry,
        scheduled_ms: left.scheduled_ms,
        uk,
    };
    if fire.take_from(left.owner).await {
        log::warn!(
            "cron `{}`: the fire of {} is made now, it had been claimed and not started",
            fire.name(),
            fire.entry.shown(fire.scheduled_ms)
        );
        fire.make(&spawner, starting).await;
    }
}

struct Firing {
    config: Arc<CronConfig>,
    entry: Arc<LiveEntry>,
    scheduled_ms: i64,
    uk: Uk,
    /// This boot's at the claim.
    generation: u64,
}

/// Why there is no process.
enum NotStarted {
    /// Another daemon starts the same run, or has taken it over.
    Others,
    Failed(String),
}

impl Firing {
    /// From the row to the end of the process.
    async fn make(&self, spawner: &Spawner, starting: Starting) {
        // The database decides on `forbid`.
        let replaces = self.entry.config.overlap == Overlap::Replace;
        if replaces && self.make_room().await == Room::Overtaken {
            log::warn!("cron `{}`: skipped, a later fire is due", self.name());
            return self.end_unstarted(Outcome::overtaken()).await;
        }
        let started = self.start(spawner).await;
        drop(starting);
        match started {
            Ok(child) => self.watch(child).await,
            Err(NotStarted::Others) => {
                // Its row and its file are the other's.
                log::warn!(
                    "cron `{}`: run {} is left to the daemon that took it over",
                    self.name(),
                    self.uk
                );
                return;
            }
            Err(NotStarted::Failed(why)) => {
                log::error!("cron `{}`: {why}", self.name());
                self.end_unstarted(Outcome::not_started(why)).await;
            }
        }
        if let Err(cause) = remove(&self.config.runs, &self.uk) {
            log::warn!(
                "cron `{}`: the file of run {} stays: {cause}",
                self.name(),
                self.uk
            );
        }
    }

    /// A daemon that was silent for long may have been taken for dead, and its fire taken over: the database knows.
    async fn is_still_ours(&self) -> bool {
        match self.config.liveness.standing(self.generation) {
            Standing::Ours => true,
            Standing::Unsure | Standing::Lost | Standing::Halted => {
                self.take_from(self.config.owner.clone()).await
            }
        }
    }

    async fn take_from(&self, from: String) -> bool {
        let owner = self.config.owner.clone();
        let taken = self
            .config
            .db
            .take_fire(self.uk.to_string(), from, owner, self.at_overlap())
            .await;
        match taken {
            Ok(Claim::Ours) => true,
            Ok(Claim::Others) => false,
            Ok(Claim::Skipped) => {
                self.say_skipped();
                false
            }
            Err(cause) => {
                log::warn!(
                    "cron `{}`: run {} is left to others: {cause}",
                    self.name(),
                    self.uk
                );
                false
            }
        }
    }

    fn say_skipped(&self) {
        log::warn!("cron `{}`: skipped, an earlier run still runs", self.name());
    }

    fn at_overlap(&self) -> AtOverlap {
        match self.entry.config.overlap {
            Overlap::Allow => AtOverlap::Allow,
            Overlap::Forbid => AtOverlap::Skip {
                result: Outcome::skipped().result,
            },
            Overlap::Replace => AtOverlap::Replace,
        }
    }

    fn name(&self) -> &str {
        &self.entry.config.name
    }

    /// Whether this daemon fires. With the database away it waits up to the grace: late, but not missed.
    async fn claim(&self) -> bool {
        let claim = self.answered_claim();
        tokio::pin!(claim);
        let late = now_ms() - self.scheduled_ms;
        let patience = patience(late, millis(self.config.misfire_grace));
        match tokio::time::timeout(patience, &mut claim).await {
            Ok(Ok(Claim::Ours)) => true,
            Ok(Ok(Claim::Others)) => false,
            Ok(Ok(Claim::Skipped)) => {
                self.say_skipped();
                false
            }
            Ok(Err(cause)) => {
                log::error!("cron `{}`: a fire was missed: {cause}", self.name());
                false
            }
            Err(_) => {
                log::error!(
                    "cron `{}`: the fire of {} was missed: the database did not take its row within {:?}",
                    self.name(),
                    self.entry.shown(self.scheduled_ms),
                    self.config.misfire_grace
                );
                // The row may come to be yet; it must not stay as if something ran.
                if let Ok(Claim::Ours) = claim.await {
                    let why = "the database was away for longer than misfire_grace";
                    self.end_unstarted(Outcome::not_started(why)).await;
                }
                false
            }
        }
    }

    /// An answer that was lost is asked for again: the row says whose it is.
    async fn answered_claim(&self) -> Result<Claim, DbError> {
        loop {
            match self.config.db.claim_fire(self.row()).await {
                Err(DbError::Restarted) => tokio::time::sleep(CLAIM_AGAIN).await,
                answer => return answer,
            }
        }
    }

    fn row(&self) -> Fire {
        let entry = &self.entry.config;
        Fire {
            partition: self.config.partition.clone(),
            entry: self.entry.key.clone(),
            scheduled_ms: self.scheduled_ms,
            uk: self.uk.to_string(),
            name: entry.name.clone(),
            exec_cmd: entry.exec_cmd.clone(),
            params: entry.params.clone(),
            owner: self.config.owner.clone(),
            machine: serde_json::to_string(Place::here()).unwrap_or_default(),
            timeout_ms: entry.timeout.map_or(0, millis),
            is_log: entry.is_log,
            at_overlap: self.at_overlap(),
        }
    }

    async fn make_room(&self) -> Room {
        let replacing = Replacing {
            config: &self.config,
            entry: &self.entry.key,
            name: self.name(),
            uk: &self.uk,
            scheduled_ms: self.scheduled_ms,
        };
        replacing.make_room().await
    }

    async fn start(&self, spawner: &Spawner) -> Result<Child, NotStarted> {
        let runs = self.config.runs.clone();
        let announcement = self.announcement();
        let announced =
            actix_rt::task::spawn_blocking(move || announce(&runs, &announcement)).await;
        let announced = match announced {
            Ok(Ok(Some(announced))) => announced,
            Ok(Ok(None)) => return Err(NotStarted::Others),
            Ok(Err(cause)) => {
                let why = format!("its file below `data/` cannot be written: {cause}");
                return Err(NotStarted::Failed(why));
            }
            Err(cause) => return Err(NotStarted::Failed(cause.to_string())),
        };
        // Under the lock, which whoever takes the fire over must have: from here on nobody does.
        if !self.is_still_ours().await {
            announced.give_up();
            return Err(NotStarted::Others);
        }
        let command = command(&self.config, &self.entry, &self.uk, &announced);
        let shown = command.shell_quoted();
        let child = match spawner.spawn(command).await {
            Ok(child) => child,
            Err(cause) => {
                announced.give_up();
                return Err(NotStarted::Failed(cause.to_string()));
            }
        };
        drop(announced);
        log::info!("cron `{}` fired, pid {}: {shown}", self.name(), child.pid);
        if let Some(cause) = &child.output_error {
            log::error!("cron `{}`: its output goes nowhere: {cause}", self.name());
        }
        Ok(child)
    }

    fn announcement(&self) -> Announcement {
        Announcement {
            uk: self.uk.clone(),
            entry: self.entry.key.clone(),
            name: self.entry.config.name.clone(),
            boot: self.config.owner.clone(),
            place: Place::here().clone(),
            scheduled_ms: self.scheduled_ms,
            fired_ms: now_ms(),
            timeout_ms: self.entry.config.timeout.map(|t| millis(t).unsigned_abs()),
            handed: self.config.program_is_ours,
        }
    }

    async fn watch(&self, child: Child) {
        let (pid, start_ticks) = (child.pid, child.start_ticks);
        let ticks = start_ticks.map(u64::cast_signed);
        let noted = self
            .config
            .db
            .run_started(self.uk.to_string(), pid, ticks)
            .await;
        if let Err(cause) = noted {
            log::warn!(
                "cron `{}`: the pid of run {} is not in its row: {cause}",
                self.name(),
                self.uk
            );
        }
        let output = child.output.clone();
        let exited = child.exited();
        tokio::pin!(exited);
        let limit = self.entry.config.timeout;
        let over = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        let outcome = tokio::select! {
            biased;
            exit = &mut exited => {
                let said = self.said();
                let mark = match said {
                    Some(_) => Mark::None,
                    None => mark_of(&self.config, self.uk.as_str()).await,
                };
                match mark {
                    Mark::None => Outcome::seen(said.as_ref(), exit, &output),
                    Mark::Replaced => Outcome::replaced(),
                    // By who replaced it, with its line in the log.
                    Mark::Ended => return,
                }
            }
            () = over => {
                log::error!("cron `{}`: run {} (pid {pid}) exceeds its timeout and is ended", self.name(), self.uk);
                if let Err(cause) = terminate(pid, start_ticks).await {
                    log::error!("cron `{}`: pid {pid} cannot be ended: {cause}", self.name());
                }
                Outcome::timeout(limit.unwrap_or_default().as_secs_f64())
            }
        };
        log_end(self.name(), self.uk.as_str(), &outcome);
        end_run(&self.config, self.uk.as_str(), outcome, pid, None).await;
    }

    fn said(&self) -> Option<super::RunResult> {
        let path = self.config.runs.join(format!("{}.json", self.uk));
        inspect(&path).ok()?.result
    }

    /// Only while it is ours to start: another daemon may have taken it over, and start it.
    async fn end_unstarted(&self, outcome: Outcome) {
        let owner = self.config.owner.clone();
        end_run(&self.config, self.uk.as_str(), outcome, 0, Some(owner)).await;
    }
}

/// How long a fire that is so late waits for its row. One that is later than the grace is made up for: its time is now.
fn patience(late_ms: i64, grace_ms: i64) -> Duration {
    let left = match grace_ms - late_ms {
        left @ 0.. => left.min(grace_ms),
        _ => grace_ms,
    };
    Duration::from_millis(left.unsigned_abs()).max(LEAST_PATIENCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fire_waits_for_its_row_up_to_the_grace() {
        let cases = [(0, 10_000), (4_000, 6_000), (-5, 10_000), (10_000, 1_000)];
        for (late, expected) in cases {
            assert_eq!(patience(late, 10_000).as_millis(), expected, "{late}");
        }
        let a_year = 366 * 24 * 3600 * 1000;
        assert_eq!(
            patience(a_year, 10_000).as_millis(),
            10_000,
            "made up for now"
        );
    }
}
