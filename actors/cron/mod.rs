//! Cron: expressions, and the actor that fires entries at their second, as processes that outlive the daemon.
//!
//! Owns: the live entries and when each is due.
//! Receives from: SupervisorActor (Renew, AwaitEnd), itself (FireDue, Reattach), orders.
//! Sends to: DbActor, the thread that spawns.
//! Started by: SupervisorActor, after the delay queue and the pools.
//! Ends: with the daemon; runs in progress live on and are found by the next one.

mod backlog;
mod claim;
mod command;
mod due_jobs;
mod due_queue;
mod entry;
mod fire;
mod judge;
mod misfire;
mod ordered;
mod orphans;
mod outcome;
mod pinging;
mod plan;
mod process;
mod reattach;
mod record_end;
mod renewing;
mod replace;
mod running;
mod starting;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod timer;
mod waiting;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::time::timeout_at;

pub(crate) use self::backlog::Backlog;
pub(crate) use self::entry::{LiveEntry, Renewed};
pub(crate) use self::outcome::{Outcome, RESULT_FAILED, RESULT_OK};
use self::plan::Wake;
use self::process::Spawner;
pub(crate) use self::process::{RunFile, RunHead, RunResult, Uk, Word, quote};
pub(crate) use self::reattach::WatchedRuns;
pub(crate) use self::renewing::Renew;
pub(crate) use self::starting::StartingFires;
use self::timer::Timer;
use crate::alert::Pinger;
use crate::clock::{millis, now_ms};
use crate::db::Db;
use crate::drop_notice::GoneNotice;
use crate::logs::OutputLogs;
use crate::membership::Liveness;
use crate::orders::{Orders, Pauses};
use crate::outage::Outage;
use crate::presence::AreYouThere;
#[cfg(fuzzing)]
pub(crate) use crate::schedule::fuzzing;
pub use crate::schedule::{Schedule, ScheduleError};
use crate::settler::Refusal;
use crate::state::CronState;
use crate::stop::StopListener;
use crate::store::TRIM_ROWS;
use crate::store::rows::KnownEntry;
use crate::store::write::{SyncEntries, TrimRuns};

/// How often to look after runs that no living daemon watches.
const ATTEND_INTERVAL: Duration = Duration::from_secs(5);
/// How often runs of partitions that are gone are looked for, and old rows of `cron_run` are deleted; how old they are then.
const TRIM_INTERVAL: Duration = Duration::from_secs(60);
/// Between two portions of them.
const TRIM_PAUSE: Duration = Duration::from_millis(100);
const RUNS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// What CronActor is started with.
#[derive(Clone)]
pub(crate) struct CronConfig {
    pub(crate) db: Db,
    pub(crate) liveness: Arc<Liveness>,
    pub(crate) partition: String,
    pub(crate) owner: String,
    pub(crate) entries: Vec<Arc<LiveEntry>>,
    pub(crate) misfire_grace: Duration,
    /// The program of the runs.
    pub(crate) program: PathBuf,
    /// Whether it is this one, which knows what it is handed; not `cron_command`.
    pub(crate) program_is_ours: bool,
    /// What the runs find in their environment: which configuration is theirs.
    pub(crate) environment: Vec<(String, String)>,
    /// Where the files of runs are.
    pub(crate) runs: PathBuf,
    /// Where their output goes.
    pub(crate) output: OutputLogs,
    /// The fires that are being started, those that missed their time, and the runs that are watched: they outlive an
    /// actor that dies.
    pub(crate) starting: StartingFires,
    pub(crate) backlog: Backlog,
    pub(crate) watched: WatchedRuns,
    /// Says outside which runs begin and end.
    pub(crate) pinger: Pinger,
    /// Fires of moments at which their entry was paused are not made.
    pub(crate) pauses: Pauses,
    /// Runs, and ends of runs, that people ordered.
    pub(crate) orders: Orders,
}

impl CronConfig {
    /// Where an entry publishes what it does; none for one that is not live here.
    fn published(&self, key: &str) -> Option<&CronState> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(&entry.state)
    }
}

/// Asks whether the processes of all fires that have begun are started at the deadline of the stop. Answered once the stop has
/// a deadline, and then as soon as they are.
#[derive(Message)]
#[rtype(result = "bool")]
pub(crate) struct AwaitEnd;

/// To itself: fire the entries that are due.
#[derive(Message)]
#[rtype(result = "()")]
struct FireDue;

/// To itself: reattach to runs that no living daemon watches.
#[derive(Message)]
#[rtype(result = "()")]
struct Reattach;

/// See the module's header.
pub(crate) struct CronActor {
    config: Arc<CronConfig>,
    /// The live entries by their keys.
    by_key: HashMap<String, Arc<LiveEntry>>,
    /// The keys of the entries that are planned, or being planned.
    planned: HashSet<String>,
    /// The write that says which entries are live is under way.
    learning: bool,
    /// The first such write has committed: entries fire.
    has_learnt: bool,
    /// When each of them is due.
    timer: Timer,
    spawner: Option<Arc<Spawner>>,
    attending: bool,
    trimming: bool,
    last_ring_ms: i64,
    /// How often the clock has jumped back.
    jumps_back: u64,
    wake: Option<Wake>,
    /// The daemon's: from its first step on nothing fires.
    stop: StopListener,
    _gone: GoneNotice,
}

impl CronActor {
    pub(crate) fn new(config: CronConfig, stop: StopListener, gone: GoneNotice) -> Self {
        Self {
            by_key: renewing::by_key(&config.entries),
            config: Arc::new(config),
            planned: HashSet::new(),
            learning: false,
            has_learnt: false,
            timer: Timer::new(),
            spawner: None,
            attending: false,
            trimming: false,
            last_ring_ms: now_ms(),
            jumps_back: 0,
            wake: None,
            stop,
            _gone: gone,
        }
    }

    /// Writes which entries are live, and reads from when on each is to fire. No entry fires before its moment is known.
    fn learn(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.learning, true) {
            return;
        }
        let config = Arc::clone(&self.config);
        let written = Arc::clone(&self.config);
        let spawner = self.spawner_if_needed();
        let is_first = !self.has_learnt;
        let learn = async move {
            let known: Vec<KnownEntry> = config.entries.iter().map(|e| e.known()).collect();
            let mut outage = Outage::new("cron");
            let since = loop {
                let sync = SyncEntries {
                    partition: config.partition.clone(),
                    entries: known.clone(),
                };
                match config.db.write(sync).await {
                    Ok(since) => break since,
                    // Waiting would mend nothing, and keep all entries from firing.
                    Err(cause) if cause.is_refusal() => {
                        log::error!(
                            "cron: the database does not take which entries are live, so no missed fire is made up for, \
                             and entries fire from now on: {cause}"
                        );
                        break vec![now_ms(); known.len()];
                    }
                    Err(cause) => tokio::time::sleep(outage.failed(cause)).await,
                }
            };
            // `overlap` must know of the runs of earlier daemons before anything fires.
            if is_first {
                reattach::look(config, spawner).await;
            }
            since
        };
        ctx.spawn(learn.into_actor(self).map(move |since, actor, ctx| {
            actor.learning = false;
            match Arc::ptr_eq(&written, &actor.config) {
                true => actor.learnt(&since, ctx),
                // A reload came meanwhile: the entries are others.
                false => actor.learn(ctx),
            }
        }));
    }

    /// Begins to fire what does not fire yet.
    fn learnt(&mut self, since: &[i64], ctx: &mut Context<Self>) {
        self.plan_since(since, ctx);
        if std::mem::replace(&mut self.has_learnt, true) {
            return;
        }
        self.watch_orders(ctx);
        ctx.run_interval(ATTEND_INTERVAL, |_, ctx| ctx.notify(Reattach));
        ctx.run_interval(TRIM_INTERVAL, |actor, ctx| actor.trim(ctx));
    }

    /// Without entries there is nothing to spawn, and no thread for it.
    fn spawner_if_needed(&mut self) -> Option<Arc<Spawner>> {
        match self.config.entries.is_empty() || self.stop.begun() {
            true => None,
            false => self.spawner(),
        }
    }

    /// The thread that spawns; a failure to start it is tried again at the next fire.
    fn spawner(&mut self) -> Option<Arc<Spawner>> {
        if self.spawner.is_none() {
            match Spawner::start() {
                Ok(spawner) => self.spawner = Some(Arc::new(spawner)),
                Err(cause) => {
                    log::error!("cron cannot fire: the thread that spawns does not start: {cause}");
                }
            }
        }
        self.spawner.clone()
    }

    fn attend(&mut self, ctx: &mut Context<Self>) {
        if self.attending {
            return;
        }
        self.attending = true;
        let look = reattach::look(Arc::clone(&self.config), self.spawner_if_needed());
        ctx.spawn(
            look.into_actor(self)
                .map(|(), actor, _| actor.attending = false),
        );
    }

    /// Closes the backlog when a stop begins. The backlog has no listener of its own: closing it is a step, which logs the fires
    /// that are given up.
    fn watch_stop(&self, ctx: &mut Context<Self>) {
        let mut stop = self.stop.clone();
        let begun = async move { stop.quiet().await };
        let begun = begun.into_actor(self);
        ctx.spawn(begun.map(|(), actor, _| actor.config.backlog.close()));
    }

    fn await_end(&self) -> ResponseFuture<bool> {
        // The watch may come later.
        self.config.backlog.close();
        let (mut stop, starting) = (self.stop.clone(), self.config.starting.clone());
        Box::pin(async move {
            let deadline = stop.deadline_set().await;
            timeout_at(deadline, starting.all_started()).await.is_ok()
        })
    }

    /// Ends runs that nobody else will, and deletes all old rows, a portion at a time: others write in between.
    fn trim(&mut self, ctx: &mut Context<Self>) {
        if self.trimming {
            return;
        }
        self.trimming = true;
        let config = Arc::clone(&self.config);
        let before_ms = now_ms() - millis(RUNS_KEPT);
        let trim = async move {
            orphans::look(&config).await;
            ordered::trim(&config, before_ms).await;
            loop {
                match config.db.write(TrimRuns { before_ms }).await {
                    Ok(deleted) if deleted < TRIM_ROWS => return,
                    Ok(_) => tokio::time::sleep(TRIM_PAUSE).await,
                    Err(cause) => {
                        log::warn!("old rows of `cron_run` could not be deleted: {cause}");
                        return;
                    }
                }
            }
        };
        ctx.spawn(
            trim.into_actor(self)
                .map(|(), actor, _| actor.trimming = false),
        );
    }
}

impl Actor for CronActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.watch_stop(ctx);
        self.learn(ctx);
    }
}

impl Handler<FireDue> for CronActor {
    type Result = ();

    fn handle(&mut self, _: FireDue, ctx: &mut Self::Context) {
        self.ring(ctx);
    }
}

impl Handler<Reattach> for CronActor {
    type Result = ();

    fn handle(&mut self, _: Reattach, ctx: &mut Self::Context) {
        self.attend(ctx);
    }
}

impl Handler<AreYouThere> for CronActor {
    type Result = ();

    fn handle(&mut self, _: AreYouThere, _: &mut Self::Context) {}
}

impl Handler<AwaitEnd> for CronActor {
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, _: AwaitEnd, _: &mut Self::Context) -> Self::Result {
        self.await_end()
    }
}

/// Ends the actor as a panic would, for tests of its owner.
#[cfg(test)]
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Crash;

#[cfg(test)]
impl Handler<Crash> for CronActor {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Self::Context) {
        panic!("crashed by a test");
    }
}
