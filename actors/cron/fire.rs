//! One fire: its row, its process, its end.
//!
//! The row of `cron_run` decides that this daemon fires, and no other. Then the run is announced in a file, so that a
//! later daemon can find out whatever happens from here on; then the process starts. From then on it does not need us:
//! it writes its own result, to its file and to the database. The daemon that watches it adds what it could not write
//! itself.

use std::sync::Arc;

use super::claim::{Claimed, Claiming, is_late, late_patience};
use super::command::command;
use super::outcome::Outcome;
use super::pinging::Ended;
use super::process::machine::Place;
use super::process::{Announcement, Child, Spawner, Turn, Uk, announce, remove};
use super::reattach::Watching;
use super::record_end::end_run;
use super::replace::{Replacing, Room};
use super::starting::Starting;
use super::{CronConfig, LiveEntry};
use crate::clock::{millis, now_ms};
use crate::config::Overlap;
use crate::store::daemon_orders::ordered_moment;
use crate::store::rows::{GivenUp, OpenRun};

/// Makes the fire, and watches its process to the end. What the database does not take now waits in the backlog.
pub(super) async fn run(
    config: Arc<CronConfig>,
    entry: Arc<LiveEntry>,
    scheduled_ms: i64,
    spawner: Arc<Spawner>,
    starting: Starting,
) {
    let firing = Firing::new(&config, &entry, scheduled_ms);
    match attempt_of(firing, Claiming::fresh(), starting).await {
        Attempt::Ours(ready) => ready.make(&spawner).await,
        Attempt::NotTaken => {
            let backlog = &config.backlog;
            backlog.add_untaken(&config, &entry, scheduled_ms, &spawner);
        }
        Attempt::Busy | Attempt::Others => {}
    }
}

/// Makes the run that an order asks for: the order ends with the run's row, whatever becomes of the run.
pub(super) async fn run_ordered(
    config: Arc<CronConfig>,
    entry: Arc<LiveEntry>,
    order: Ordered,
    spawner: Arc<Spawner>,
    starting: Starting,
) {
    let ordered_by = order.by.clone();
    let firing = Firing::ordered(&config, &entry, order);
    let uk = firing.uk.clone();
    let attempt = attempt_of(firing, Claiming::ordered(), starting).await;
    if let Attempt::Ours(ready) = attempt {
        log::info!(
            "cron `{}`: run {uk} is made now, by order of {ordered_by}",
            entry.config.name
        );
        ready.make(&spawner).await;
    }
}

/// What a fire does about other runs of its entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AtEntry {
    /// By `overlap`.
    AsConfigured,
    /// It is made when there are none.
    WhenFree,
}

/// What became of a claim.
pub(super) enum Attempt {
    /// This daemon makes the fire.
    Ours(Box<Ready>),
    /// Another run of the entry goes on.
    Busy,
    /// Another daemon makes it, or nobody.
    Others,
    /// The database has not answered in time. The claim may be committed all the same; it is found as this daemon's own
    /// when it is made again.
    NotTaken,
}

/// A fire that has its row, and not its process.
pub(super) struct Ready {
    firing: Firing,
    starting: Starting,
    watched: Watching,
}

/// A fire that has its process, or could not be started.
pub(super) struct Running {
    firing: Firing,
    child: Option<Child>,
    _watched: Watching,
}

impl Ready {
    /// From the row to the end of the process.
    pub(super) async fn make(self, spawner: &Spawner) {
        self.start(spawner).await.watch_to_end().await;
    }

    /// It is not made after all.
    pub(super) async fn give_up(self) {
        self.firing.end_unstarted(Outcome::database_away()).await;
    }

    pub(super) async fn start(self, spawner: &Spawner) -> Running {
        let child = self.firing.begin(spawner).await;
        drop(self.starting);
        Running {
            firing: self.firing,
            child,
            _watched: self.watched,
        }
    }
}

impl Running {
    pub(super) async fn watch_to_end(self) {
        if let Some(child) = self.child {
            self.firing.watch_to_end(child).await;
        }
    }
}

/// Claims a fire that is late.
pub(super) async fn attempt(
    config: &Arc<CronConfig>,
    entry: &Arc<LiveEntry>,
    scheduled_ms: i64,
    at_entry: AtEntry,
    given_up: GivenUp,
) -> Attempt {
    let starting = config.starting.begin();
    let patience = late_patience(scheduled_ms, config.misfire_grace);
    let firing = Firing::new(config, entry, scheduled_ms);
    let claiming = Claiming {
        at_entry,
        patience,
        given_up,
    };
    attempt_of(firing, claiming, starting).await
}

async fn attempt_of(firing: Firing, claiming: Claiming, starting: Starting) -> Attempt {
    // Watched from before its row exists: nobody here may take it for one that was left behind.
    let Some(watched) = firing.config.watched.begin(firing.uk.as_str()) else {
        return Attempt::Others;
    };
    match firing.claim(claiming).await {
        Claimed::Ours => Attempt::Ours(Box::new(Ready {
            firing,
            starting,
            watched,
        })),
        Claimed::Busy => Attempt::Busy,
        Claimed::Others => Attempt::Others,
        Claimed::NotTaken => Attempt::NotTaken,
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
        uk,
        ..Firing::new(&config, &entry, left.scheduled_ms)
    };
    if fire.take_from(left.owner).await {
        log::warn!(
            "cron `{}`: the fire of {} is made now, it had been claimed and not started",
            fire.name(),
            fire.entry.shown(fire.scheduled_ms)
        );
        let child = fire.begin(&spawner).await;
        drop(starting);
        if let Some(child) = child {
            fire.watch_to_end(child).await;
        }
    }
}

/// A fire on its way to its end.
#[derive(Clone)]
pub(super) struct Firing {
    pub(super) config: Arc<CronConfig>,
    pub(super) entry: Arc<LiveEntry>,
    pub(super) scheduled_ms: i64,
    pub(super) uk: Uk,
    /// This boot's at the claim.
    pub(super) generation: u64,
    /// The order that it carries out; none of a fire of the schedule.
    pub(super) order: Option<Ordered>,
}

/// An order of a run.
#[derive(Clone)]
pub(super) struct Ordered {
    pub(super) id: i64,
    pub(super) uk: Uk,
    pub(super) by: String,
}

/// Why there is no process.
enum NotStarted {
    /// Another daemon starts the same run, or has taken it over.
    Others,
    Failed(String),
}

impl Firing {
    /// Its key is made from the boot, the entry and the second: a repeated claim finds the row that an earlier claim
    /// left, and knows it for this boot's.
    pub(super) fn new(config: &Arc<CronConfig>, entry: &Arc<LiveEntry>, scheduled_ms: i64) -> Self {
        Self {
            generation: config.liveness.generation(),
            config: Arc::clone(config),
            entry: Arc::clone(entry),
            scheduled_ms,
            uk: Uk::of_fire(&config.owner, &entry.key, scheduled_ms),
            order: None,
        }
    }

    /// Its key is made with the order, and is the same whichever daemon claims it.
    fn ordered(config: &Arc<CronConfig>, entry: &Arc<LiveEntry>, order: Ordered) -> Self {
        Self {
            uk: order.uk.clone(),
            order: Some(order),
            ..Self::new(config, entry, ordered_moment(now_ms()))
        }
    }

    /// From the row to the process. None where there is none, and its end is written, if it has one.
    async fn begin(&self, spawner: &Spawner) -> Option<Child> {
        // The database decides on `forbid`.
        let replaces = self.entry.config.overlap == Overlap::Replace;
        if replaces && self.make_room().await == Room::Overtaken {
            log::info!("cron `{}`: skipped, a later fire is due", self.name());
            self.end_unstarted(Outcome::overtaken()).await;
            return None;
        }
        match self.start(spawner).await {
            Ok(child) => Some(child),
            Err(NotStarted::Others) => {
                // Its row and its file are the other's.
                log::warn!(
                    "cron `{}`: run {} is left to the daemon that took it over",
                    self.name(),
                    self.uk
                );
                None
            }
            Err(NotStarted::Failed(why)) => {
                log::error!("cron `{}`: {why}", self.name());
                self.end_unstarted(Outcome::not_started(why)).await;
                self.remove_file();
                None
            }
        }
    }

    async fn watch_to_end(&self, child: Child) {
        self.watch(child).await;
        self.remove_file();
    }

    fn remove_file(&self) {
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
        // Under the lock, which another daemon needs to take the fire over: from here on none can.
        if !self.is_still_ours().await {
            announced.give_up();
            return Err(NotStarted::Others);
        }
        let command = command(&self.config, &self.entry, &self.uk, &announced);
        let shown = command.shell_quoted();
        let child = match spawner.spawn(command, self.turn()).await {
            Ok(child) => child,
            Err(cause) => {
                announced.give_up();
                return Err(NotStarted::Failed(cause.to_string()));
            }
        };
        drop(announced);
        let state = &self.entry.state;
        state.started(self.uk.as_str(), self.scheduled_ms, child.pid);
        log::info!("cron `{}` fired, pid {}: {shown}", self.name(), child.pid);
        self.config.ping_start(&self.entry, &self.uk);
        if let Some(cause) = &child.output_error {
            log::error!("cron `{}`: its output goes nowhere: {cause}", self.name());
        }
        if let Some(cause) = &child.output_stuck {
            log::error!("cron `{}`: its output {cause}", self.name());
        }
        Ok(child)
    }

    fn turn(&self) -> Turn {
        match is_late(self.scheduled_ms) {
            true => Turn::Late,
            false => Turn::Fresh,
        }
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
        self.publish_end(&outcome);
        let owner = self.config.owner.clone();
        let uk = self.uk.as_str();
        if end_run(&self.config, uk, outcome.clone(), 0, Some(owner)).await {
            let end = Ended::without_process(&outcome);
            self.config.ping_end(&self.entry, &self.uk, end);
        }
    }
}
