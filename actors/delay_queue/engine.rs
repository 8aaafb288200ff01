//! What a daemon's DelayQueueActor works with: its configuration, the tasks it holds, and the settling of their ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{SpawnHandle, WeakAddr};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::budget::{self, Budget, Flow, Holding};
use super::due_queue::{Claim, DueQueue};
use super::runner::run_claim;
use super::running::RunningTasks;
use super::stats::Stats;
use super::{DelayQueueActor, TasksSettled};
use crate::clock_watch::ClockWatch;
use crate::config::RetryRules;
use crate::db::Db;
use crate::job::{Disposition, Handler, Task, settlements};
use crate::membership::Liveness;
use crate::orders::PauseFlag;
use crate::outage::Outage;
use crate::poison::Quarantines;
use crate::poison::SlotFile;
use crate::settler::{GATHERING, Refusal, Settler};
use crate::state::DelayState;
use crate::stop::StopSignal;
use crate::store::DbError;
use crate::store::rows::TaskEnd;
use crate::store::write::EndTasks;
use crate::workers::Workers;

/// This part of a room is worth a poll: with the default, a poll of 62 overdue rows or 125 that are on time.
const AT_ONCE_SHARE: u32 = 16;

/// Time limit and retries of one kind of delayed task.
#[derive(Debug, Clone, Default)]
pub(crate) struct TaskRules {
    pub(crate) timeout: Option<Duration>,
    pub(crate) retry: RetryRules,
}

/// What runs tasks; processes that only push have none.
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
}

/// What only a daemon's actor has.
pub(super) struct Engine {
    pub(super) config: Arc<DelayConfig>,
    pub(super) due_queue: DueQueue,
    pub(super) settler: Option<Settler<TaskEnd>>,
    pub(super) stop: StopSignal,
    pub(super) polling: bool,
    /// The last poll found as many rows that are on time as it asked for.
    pub(super) more_on_time: bool,
    /// The last poll found as many overdue rows as it asked for.
    pub(super) more_overdue: bool,
    /// And it was one without a bound.
    pub(super) more_long_overdue: bool,
    pub(super) flow: Flow,
    pub(super) outage: Outage,
    pub(super) last_unbounded: Option<Instant>,
    pub(super) clock: ClockWatch,
    pub(super) timer: Option<(i64, SpawnHandle)>,
    pub(super) ready: bool,
    /// Room kept for pushed tasks whose rows are being inserted already claimed.
    pub(super) reserved: u32,
    /// Orphaned claims are to be released as soon as no push and no poll is under way.
    pub(super) orphans: bool,
    /// What waits is being counted.
    pub(super) counting: bool,
    /// Counts since the last report in the log.
    pub(super) counts_since_report: u32,
}

impl Engine {
    pub(super) fn new(config: Arc<DelayConfig>) -> Self {
        Self {
            config,
            due_queue: DueQueue::default(),
            settler: None,
            stop: StopSignal::new(),
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
            orphans: false,
            counting: false,
            counts_since_report: 0,
        }
    }

    /// Whether nothing more is to be claimed or started for the time being.
    pub(super) fn rests(&self) -> bool {
        self.stop.begun() || self.config.paused.is_on()
    }

    /// How many rows there is room for.
    pub(super) fn budget(&self) -> Budget {
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

    /// Whether to poll at once: the last poll found all that it asked for, and much of that room is free again. What a
    /// downtime left is worked off as fast as it goes, and a second with more rows than there is room for ahead of it is
    /// claimed while it begins.
    pub(super) fn more_waits(&self) -> bool {
        let budget = self.budget();
        let ahead = budget::ahead(self.config.concurrency);
        self.more_on_time && budget.on_time > ahead / AT_ONCE_SHARE
            || self.more_overdue && budget.overdue > self.config.concurrency / AT_ONCE_SHARE
    }

    /// Starts these, on each worker in their order.
    pub(super) fn start(&self, claims: Vec<Claim>) {
        let Some(settler) = &self.settler else {
            return;
        };
        self.config.running.begin(&claims);
        for (worker, share) in self.config.workers.deal(claims) {
            let (config, stop, ends) = (
                Arc::clone(&self.config),
                self.stop.listen(),
                settler.sender(),
            );
            worker.spawn_fn(move || {
                for claim in share {
                    let (config, stop, ends) = (Arc::clone(&config), stop.clone(), ends.clone());
                    actix_rt::spawn(run_claim(config, claim, stop, ends));
                }
            });
        }
    }
}

/// Makes ends durable, and notifies the actor of the room they leave.
pub(super) fn settler(
    db: &Db,
    config: &Arc<DelayConfig>,
    actor: WeakAddr<DelayQueueActor>,
) -> Settler<TaskEnd> {
    let (db, config) = (db.clone(), Arc::clone(config));
    let home = Handle::current();
    Settler::start(
        &home,
        "settling of delayed tasks".to_owned(),
        GATHERING,
        move |ends| {
            let (db, config, actor) = (db.clone(), Arc::clone(&config), actor.clone());
            async move {
                let write = EndTasks {
                    owner: config.owner.clone(),
                    ends: ends.clone(),
                };
                let written = db.write(write).await;
                if let (Err(cause), [end]) = (&written, ends.as_slice())
                    && cause.is_refusal()
                {
                    cannot_end(&config, &actor, [end].into_iter());
                }
                let settled = written?;
                if !settled.stale.is_empty() {
                    log::warn!(
                        "{} results of delayed tasks came too late, others had taken over: {:?}",
                        settled.stale.len(),
                        settled.stale
                    );
                }
                let is_held = |end: &TaskEnd| settled.held.contains(&end.id);
                let (later, ended): (Vec<TaskEnd>, Vec<TaskEnd>) =
                    ends.into_iter().partition(is_held);
                if !later.is_empty() {
                    cannot_end(&config, &actor, later.iter());
                }
                let counted = ended.iter().filter(|end| !settled.stale.contains(&end.id));
                let settled = settlements(counted.map(|end| &end.disposition));
                config.state.settled(settled);
                config
                    .running
                    .end(ended.iter().map(|end| (end.id, end.fence)));
                if let Some(actor) = actor.upgrade() {
                    let flow = flow(&ended);
                    actor.do_send(TasksSettled { flow });
                }
                Ok::<Vec<TaskEnd>, DbError>(later)
            }
        },
    )
}

/// Their tasks make room for others all the same: nobody knows how long this lasts.
fn cannot_end<'a>(
    config: &DelayConfig,
    actor: &WeakAddr<DelayQueueActor>,
    ends: impl Iterator<Item = &'a TaskEnd>,
) {
    config
        .running
        .cannot_end(ends.map(|end| (end.id, end.fence)));
    if let Some(actor) = actor.upgrade() {
        let flow = Flow::Moves;
        actor.do_send(TasksSettled { flow });
    }
}

/// What was only released has never had room among the running tasks.
fn flow(ended: &[TaskEnd]) -> Flow {
    let ran = |end: &TaskEnd| end.disposition != Disposition::Release;
    match ended.iter().any(ran) {
        true => Flow::Moves,
        false => Flow::Stands,
    }
}
