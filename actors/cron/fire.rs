//! One fire: its row, its process, its end.
//!
//! The row of `cron_run` decides that this daemon fires, and no other. Then the run is announced in a file, so that
//! whatever happens from here on can be told by a daemon that comes later; then the process starts. From then on it does
//! not need us: it writes its own result, to its file and to the database. Who is left to watch adds what it could not
//! write itself.

use std::sync::Arc;

use uuid::Uuid;

use super::attend::Watching;
use super::command::command;
use super::ending::end_run;
use super::outcome::Outcome;
use super::process::machine::Place;
use super::process::{Announcement, Child, Spawner, Uk, announce, remove};
use super::replace::{Replacing, Room};
use super::starting::Starting;
use super::{CronConfig, LiveEntry};
use crate::clock::{millis, now_ms};
use crate::config::Overlap;
use crate::db::rows::OpenRun;

/// Makes the fire, and watches its process to the end.
pub(super) async fn run(
    config: Arc<CronConfig>,
    entry: Arc<LiveEntry>,
    scheduled_ms: i64,
    spawner: Arc<Spawner>,
    starting: Starting,
) {
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

/// A fire on its way to its end.
pub(super) struct Firing {
    pub(super) config: Arc<CronConfig>,
    pub(super) entry: Arc<LiveEntry>,
    pub(super) scheduled_ms: i64,
    pub(super) uk: Uk,
    /// This boot's at the claim.
    pub(super) generation: u64,
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

    pub(super) fn name(&self) -> &str {
        &self.entry.config.name
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
        if let Some(cause) = &child.output_stuck {
            log::error!("cron `{}`: its output {cause}", self.name());
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

    /// Only while it is ours to start: another daemon may have taken it over, and start it.
    pub(super) async fn end_unstarted(&self, outcome: Outcome) {
        let owner = self.config.owner.clone();
        end_run(&self.config, self.uk.as_str(), outcome, 0, Some(owner)).await;
    }
}
