//! Claims tasks that are due soon, and starts each at its time: what a daemon's DelayQueueActor does beside taking tasks.
//!
//! It polls often, a little ahead of the due times, and claims at most its free capacity. So a claim is never late, and
//! there is capacity for rows that are pushed for the next second. The claim alone decides which daemon runs a row.
//!
//! All of it runs in the actor's context, one step after another, and ends with the actor.

mod budget;
mod clock_ahead;
mod due_queue;
mod orphans;
mod polling;
mod pushing;
mod reporting;
mod runner;
mod running;
mod settling;
mod starting;
mod stats;
mod stopping;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{ActorFutureExt, AsyncContext, Context, SpawnHandle, WeakAddr};
use serde_json::Value;
use tokio::time::Instant;

pub(super) use self::budget::Flow;
use self::budget::{Budget, Holding};
use self::due_queue::DueQueue;
pub(super) use self::pushing::Pushing;
pub(crate) use self::running::RunningTasks;
use self::settling::settler;
pub(crate) use self::stats::Stats;
use super::DelayQueueActor;
use super::pusher::{Pushable, Pusher};
use crate::clock_watch::ClockWatch;
use crate::config::RetryRules;
use crate::db::Db;
use crate::job::{Handler, Task};
use crate::membership::Liveness;
use crate::orders::PauseFlag;
use crate::outage::Outage;
use crate::poison::Quarantines;
use crate::poison::SlotFile;
use crate::settler::Settler;
use crate::state::DelayState;
use crate::stop::StopListener;
use crate::store::rows::TaskEnd;
use crate::workers::Workers;

/// Time limit and retries of one kind of delayed task.
#[derive(Debug, Clone, Default)]
pub(crate) struct TaskRules {
    pub(crate) timeout: Option<Duration>,
    pub(crate) retry: RetryRules,
}

/// What a daemon's tasks are run with.
pub(crate) struct DelayConfig {
    pub(crate) owner: String,
    pub(crate) liveness: Arc<Liveness>,
    pub(crate) handlers: BTreeMap<String, Handler<Task, Value>>,
    pub(crate) rules: BTreeMap<String, TaskRules>,
    pub(crate) default_rules: TaskRules,
    pub(crate) slots: Option<Arc<SlotFile>>,
    pub(crate) quarantines: Quarantines,
    pub(crate) workers: Arc<Workers>,
    /// Tasks that run at once. Twice as many wait for their time.
    pub(crate) concurrency: u32,
    pub(crate) running: RunningTasks,
    pub(crate) stats: Stats,
    /// While it is paused nothing is claimed, and nothing that was claimed starts.
    pub(crate) paused: PauseFlag,
    /// What people see of the delay queue.
    pub(crate) state: Arc<DelayState>,
}

impl DelayConfig {
    pub(crate) fn rules_of(&self, exec_cmd: &str) -> &TaskRules {
        self.rules.get(exec_cmd).unwrap_or(&self.default_rules)
    }

    /// Tasks that have a handler here.
    fn pushable(&self) -> Pushable {
        Pushable::Registered(self.handlers.keys().cloned().collect())
    }
}

/// The context of the actor whose scheduler this is.
type Ctx = Context<DelayQueueActor>;

/// See the module's header.
pub(super) struct Scheduler {
    pusher: Pusher,
    db: Db,
    config: Arc<DelayConfig>,
    due_queue: DueQueue,
    settler: Settler<TaskEnd>,
    /// The daemon's: the scheduler stops with it, and never by itself.
    stop: StopListener,
    /// A poll is under way.
    polling: bool,
    /// The last poll found as many rows that are on time as it requested.
    more_on_time: bool,
    /// The last poll found as many overdue rows as it requested.
    more_overdue: bool,
    /// The last poll had no lower time bound, and found as many overdue rows as it requested.
    more_long_overdue: bool,
    flow: Flow,
    outage: Outage,
    last_unbounded: Option<Instant>,
    clock: ClockWatch,
    /// Wakes at this time, in unix milliseconds, to start what is due then.
    timer: Option<(i64, SpawnHandle)>,
    /// Orphaned claims have been released: rows may be claimed.
    ready: bool,
    /// Capacity of pushed tasks whose rows are being inserted already claimed.
    reserved: u32,
    /// Orphaned claims are to be released as soon as no push and no poll is under way.
    release_orphans_later: bool,
    /// The waiting tasks are being counted.
    counting: bool,
    /// Counts since the last report in the log.
    counts_since_report: u32,
}

impl Scheduler {
    pub(super) fn new(
        db: Db,
        config: Arc<DelayConfig>,
        stop: StopListener,
        actor: WeakAddr<DelayQueueActor>,
    ) -> Self {
        Self {
            pusher: Pusher::new(config.pushable(), db.clone()),
            due_queue: DueQueue::default(),
            settler: settler(&db, &config, actor),
            stop,
            polling: false,
            more_on_time: false,
            more_overdue: false,
            more_long_overdue: false,
            flow: Flow::Stands,
            outage: Outage::new("the poll for delayed tasks"),
            last_unbounded: None,
            clock: ClockWatch::default(),
            timer: None,
            ready: false,
            reserved: 0,
            release_orphans_later: false,
            counting: false,
            counts_since_report: 0,
            db,
            config,
        }
    }

    /// Releases the claims of an earlier DelayQueueActor of this boot. After that it polls.
    pub(super) fn begin(&mut self, ctx: &mut Ctx) {
        self.release_orphans(ctx);
        Self::begin_polling(ctx);
        Self::watch_pauses(self.config.paused.listen(), ctx);
        self.watch_stop(ctx);
        Self::begin_counting(ctx);
    }

    /// Whether nothing more is to be claimed or started for the time being.
    fn rests(&self) -> bool {
        self.stop.begun() || self.config.paused.is_on()
    }

    /// How many rows there is capacity for.
    fn budget(&self) -> Budget {
        let (running, overdue_running) = self.config.running.counts();
        let (ahead, overdue) = self.due_queue.counts();
        let held = Holding {
            running,
            overdue_running,
            ahead,
            reserved: self.reserved,
            overdue,
        };
        budget::budget(self.config.concurrency, held, self.flow)
    }

    /// Does `work` beside the actor, and `then` with its scheduler. Neither outlives the actor.
    fn spawn<T: 'static>(
        ctx: &mut Ctx,
        work: impl Future<Output = T> + 'static,
        then: impl FnOnce(&mut Self, T, &mut Ctx) + 'static,
    ) -> SpawnHandle {
        let work = wrap_future::<_, DelayQueueActor>(work);
        ctx.spawn(work.map(|done, actor, ctx| {
            if let Some(scheduler) = actor.scheduler() {
                then(scheduler, done, ctx);
            }
        }))
    }

    /// Does `then` with the actor's scheduler after this time.
    fn later(ctx: &mut Ctx, after: Duration, then: impl FnOnce(&mut Self, &mut Ctx) + 'static) {
        let time = tokio::time::sleep(after);
        Self::spawn(ctx, time, |scheduler, (), ctx| then(scheduler, ctx));
    }
}
