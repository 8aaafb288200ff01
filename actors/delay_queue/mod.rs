//! Runs delayed tasks at their time, and takes new ones.
//!
//! Owns: the tasks it claimed, until they are settled.   Told by: everybody (Push), SupervisorActor (Quiet, Stop).
//! Tells: DbActor.                                       Started by: SupervisorActor; by `push` and cron processes
//! Ends: on Stop, after its tasks; never by itself.      without claims, only to take new tasks.
//!
//! It looks a little ahead, often, and takes at most what it has room for: a claim is never late then, and rows that
//! are pushed for the next second find room as well. Which daemon runs a row is decided by the claim alone.

mod agenda;
mod handle;
mod push;
mod room;
mod runner;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::prelude::*;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

pub(crate) use self::agenda::RunningTasks;
use self::agenda::{Agenda, Claim};
pub(crate) use self::handle::DelayQueueHandle;
pub use self::push::{Push, PushError, PushItem};
use self::runner::run_claim;
use crate::clock::{millis, now_ms};
use crate::config::RetryRules;
use crate::db::rows::{ClaimedTask, FIRST_FENCE, NewTask, TaskEnd, TaskOutcome};
use crate::db::{Db, DbError, Liveness};
use crate::gone::GoneNotice;
use crate::job::slots::SlotFile;
use crate::job::{Gate, Handler as JobHandler, Task};
use crate::settler::Settler;
use crate::stop::StopSignal;
use crate::workers::Workers;

/// How often to look for rows, and how far ahead. Rows of other programs are seen within one interval; the distance
/// leaves a slow claim eight intervals before its rows are due.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
const LOOK_AHEAD: Duration = Duration::from_secs(2);
/// Usual looks go so far back and no further: the bound keeps them off the index entries of rows long finished, which
/// an old snapshot may hold in the database. Once a second one look goes back without a bound.
const LOOK_BACK_S: i64 = 60;
const UNBOUNDED_INTERVAL: Duration = Duration::from_secs(1);
/// After the deadline tasks have so long to be given back.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// A longer sleep would miss a jump of the clock.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

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
    pub(crate) handlers: BTreeMap<String, JobHandler<Task, Value>>,
    pub(crate) rules: BTreeMap<String, TaskRules>,
    pub(crate) default_rules: TaskRules,
    pub(crate) slots: Option<Arc<SlotFile>>,
    pub(crate) gate: Gate,
    pub(crate) workers: Arc<Workers>,
    /// Tasks held at once, those that wait for their time included.
    pub(crate) concurrency: u32,
    pub(crate) running: RunningTasks,
}

impl DelayConfig {
    pub(crate) fn rules_of(&self, exec_cmd: &str) -> &TaskRules {
        self.rules.get(exec_cmd).unwrap_or(&self.default_rules)
    }
}

/// Nobody claims any more; what has not started is given back.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Quiet;

/// Ends what runs by the deadline. Answers how many tasks still ran then.
#[derive(Message)]
#[rtype(result = "usize")]
pub(crate) struct Stop {
    pub(crate) deadline: Instant,
}

/// To itself: claim what is due soon.
#[derive(Message)]
#[rtype(result = "()")]
struct LookAhead;

/// To itself: some tasks have ended, and that is durable.
#[derive(Message)]
#[rtype(result = "()")]
struct TasksSettled;

/// See the module's header.
pub struct DelayQueueActor {
    storage: Storage,
    known: BTreeSet<String>,
    engine: Option<Engine>,
    _gone: GoneNotice,
}

/// Where pushed tasks go.
enum Storage {
    Database(Db),
    /// A test looks at them.
    Test(Arc<Mutex<Vec<PushItem>>>),
}

/// What only a daemon has.
struct Engine {
    config: Arc<DelayConfig>,
    agenda: Agenda,
    settler: Option<Settler<TaskEnd>>,
    stop: StopSignal,
    looking: bool,
    /// The last look found as much as it asked for.
    more_waits: bool,
    last_unbounded: Option<Instant>,
    timer: Option<(i64, SpawnHandle)>,
    ready: bool,
    /// Room kept for pushed tasks whose rows are being inserted already claimed.
    reserved: u32,
}

impl DelayQueueActor {
    /// With a config it runs tasks; without, it only takes new ones. `known` are the commands that may be pushed.
    pub(crate) fn new(
        db: Db,
        known: BTreeSet<String>,
        config: Option<Arc<DelayConfig>>,
        gone: GoneNotice,
    ) -> Self {
        let engine = config.map(|config| Engine {
            config,
            agenda: Agenda::default(),
            settler: None,
            stop: StopSignal::new(),
            looking: false,
            more_waits: false,
            last_unbounded: None,
            timer: None,
            ready: false,
            reserved: 0,
        });
        Self {
            storage: Storage::Database(db),
            known,
            engine,
            _gone: gone,
        }
    }

    /// One that keeps what is pushed for a test to look at.
    pub(crate) fn for_tests(pushed: Arc<Mutex<Vec<PushItem>>>) -> Self {
        Self {
            storage: Storage::Test(pushed),
            known: BTreeSet::new(),
            engine: None,
            _gone: GoneNotice::none(),
        }
    }

    /// Rows that this boot still owns from an earlier DelayQueueActor, and that nobody runs, are given back first.
    fn begin(&mut self, ctx: &mut Context<Self>) {
        let (Some(engine), Storage::Database(db)) = (&mut self.engine, &self.storage) else {
            return;
        };
        let db = db.clone();
        engine.settler = Some(settler(&db, &engine.config, ctx.address().downgrade()));
        let (owner, keep) = (engine.config.owner.clone(), engine.config.running.ids());
        let give_back = async move {
            let mut outage = crate::outage::Outage::new("the delay queue");
            while let Err(cause) = db.give_back_tasks(owner.clone(), keep.clone()).await {
                tokio::time::sleep(outage.failed(cause)).await;
            }
        };
        ctx.spawn(give_back.into_actor(self).map(|(), actor, ctx| {
            if let Some(engine) = &mut actor.engine {
                engine.ready = true;
            }
            ctx.notify(LookAhead);
            ctx.run_interval(LOOK_INTERVAL, |_, ctx| ctx.notify(LookAhead));
        }));
    }

    fn look_ahead(&mut self, ctx: &mut Context<Self>) {
        let (Some(engine), Storage::Database(db)) = (&mut self.engine, &self.storage) else {
            return;
        };
        if engine.looking || !engine.ready || engine.stop.begun() {
            return;
        }
        let look = engine.look();
        if look.on_time == 0 {
            return;
        }
        engine.looking = true;
        let now = Instant::now();
        let unbounded = engine
            .last_unbounded
            .is_none_or(|last| now - last >= UNBOUNDED_INTERVAL);
        if unbounded {
            engine.last_unbounded = Some(now);
        }
        // Read before the claim: if this boot is judged dead in between, the claim is not trusted.
        let generation = engine.config.liveness.generation();
        let owner = engine.config.owner.clone();
        let claims = claim(db.clone(), owner, look, unbounded);
        ctx.spawn(claims.into_actor(self).map(move |claimed, actor, ctx| {
            actor.claimed(claimed, generation, ctx);
        }));
    }

    fn claimed(
        &mut self,
        claimed: Result<Claimed, DbError>,
        generation: u64,
        ctx: &mut Context<Self>,
    ) {
        let Some(engine) = &mut self.engine else {
            return;
        };
        engine.looking = false;
        match claimed {
            Err(cause) => log::warn!("the delay queue could not look for tasks: {cause}"),
            Ok(claimed) => {
                engine.more_waits = claimed.more_waits;
                for (task, overdue) in claimed.tasks {
                    engine.agenda.add(Claim {
                        task,
                        generation,
                        overdue,
                    });
                }
            }
        }
        if engine.stop.begun() {
            self.give_back_waiting(ctx);
        } else {
            self.start_due(ctx);
        }
    }

    /// Starts every task whose time has come, and sleeps until the next one's.
    fn start_due(&mut self, ctx: &mut Context<Self>) {
        let Some(engine) = &mut self.engine else {
            return;
        };
        let now = now_ms();
        // Looks and pushes at the same time may together claim more than there is room for: the rest waits here.
        while engine.config.running.len() < engine.config.concurrency
            && let Some(claim) = engine.agenda.take_due(now)
        {
            engine.start(claim);
        }
        let Some(due) = engine.agenda.next_due_ms() else {
            return;
        };
        if due <= now {
            // The end of a task makes room.
            return;
        }
        if let Some((at, timer)) = engine.timer.take() {
            if at == due {
                engine.timer = Some((at, timer));
                return;
            }
            ctx.cancel_future(timer);
        }
        let wait = Duration::from_millis(u64::try_from(due - now).unwrap_or(0));
        let timer = ctx.run_later(wait.min(LONGEST_SLEEP), |actor, ctx| {
            if let Some(engine) = &mut actor.engine {
                engine.timer = None;
            }
            actor.start_due(ctx);
        });
        engine.timer = Some((due, timer));
    }

    fn push(&mut self, items: &[PushItem]) -> Result<(Vec<NewTask>, u64), PushError> {
        let now = now_ms();
        let mut rows = push::rows(items, &self.known, now)?;
        let Some(engine) = &mut self.engine else {
            return Ok((rows, 0));
        };
        // What is due before the next looks can see it is inserted already claimed, as far as there is room.
        if engine.ready && !engine.stop.begun() {
            let room = engine.look().on_time;
            let soon = now + millis(LOOK_AHEAD);
            rows.iter_mut()
                .filter(|row| row.due_ms <= soon)
                .take(usize::try_from(room).unwrap_or(usize::MAX))
                .for_each(|row| row.claimed = true);
            engine.reserved += claimed_in(&rows);
        }
        Ok((rows, engine.config.liveness.generation()))
    }

    fn pushed(
        &mut self,
        rows: Vec<NewTask>,
        ids: &[i64],
        generation: u64,
        ctx: &mut Context<Self>,
    ) {
        let Some(engine) = &mut self.engine else {
            return;
        };
        for (row, id) in rows.into_iter().zip(ids).filter(|(row, _)| row.claimed) {
            let task = ClaimedTask {
                id: *id,
                name: row.name,
                exec_cmd: row.exec_cmd,
                params: row.params,
                due_ms: row.due_ms,
                attempts: 0,
                fence: FIRST_FENCE,
                suspect: false,
            };
            engine.agenda.add(Claim {
                task,
                generation,
                overdue: false,
            });
        }
        if engine.stop.begun() {
            self.give_back_waiting(ctx);
        } else {
            self.start_due(ctx);
        }
    }

    fn quiet(&mut self, ctx: &mut Context<Self>) {
        if let Some(engine) = &mut self.engine {
            engine.stop.quiet();
            self.give_back_waiting(ctx);
        }
    }

    fn give_back_waiting(&mut self, ctx: &mut Context<Self>) {
        let Some(engine) = &mut self.engine else {
            return;
        };
        let Some(settler) = &engine.settler else {
            return;
        };
        let waiting = engine.agenda.drain();
        let ends = settler.sender();
        for claim in &waiting {
            engine.config.running.begin(claim.task.id, claim.overdue);
        }
        let give_back = async move {
            for Claim { task, .. } in waiting {
                let end = TaskEnd {
                    id: task.id,
                    fence: task.fence,
                    outcome: TaskOutcome::GiveBack,
                };
                // The receiver outlives every sender.
                let _ = ends.send(end).await;
            }
        };
        ctx.spawn(give_back.into_actor(self));
    }

    fn stop(&mut self, deadline: Instant, ctx: &mut Context<Self>) -> ResponseFuture<usize> {
        self.quiet(ctx);
        let Some(engine) = &mut self.engine else {
            return Box::pin(std::future::ready(0));
        };
        engine.stop.stop(deadline);
        let mut busy = engine.config.running.count();
        Box::pin(async move {
            let all_ended = busy.wait_for(|busy| *busy == 0);
            let in_time = timeout_at(deadline + LAST_WORDS, all_ended).await.is_ok();
            if in_time { 0 } else { *busy.borrow() }
        })
    }
}

fn claimed_in(rows: &[NewTask]) -> u32 {
    let claimed = rows.iter().filter(|row| row.claimed).count();
    u32::try_from(claimed).unwrap_or(u32::MAX)
}

impl Engine {
    /// How many rows there is room for.
    fn look(&self) -> room::Look {
        let (running, overdue_running) = self.config.running.counts();
        room::look(
            self.config.concurrency,
            self.agenda.len() + running + self.reserved,
            self.agenda.overdue() + overdue_running,
        )
    }

    fn start(&self, claim: Claim) {
        let Some(settler) = &self.settler else {
            return;
        };
        self.config.running.begin(claim.task.id, claim.overdue);
        let (config, stop, ends) = (
            Arc::clone(&self.config),
            self.stop.listen(),
            settler.sender(),
        );
        self.config.workers.next().spawn_fn(move || {
            actix_rt::spawn(run_claim(config, claim, stop, ends));
        });
    }
}

/// Tasks and whether each was overdue.
struct Claimed {
    tasks: Vec<(ClaimedTask, bool)>,
    more_waits: bool,
}

/// Those that are due from this second on first: they must not wait for what is late anyway.
async fn claim(
    db: Db,
    owner: String,
    look: room::Look,
    unbounded: bool,
) -> Result<Claimed, DbError> {
    let now_s = now_ms().div_euclid(1000);
    let until_s = now_s + i64::try_from(LOOK_AHEAD.as_secs()).unwrap_or(0);
    let on_time = db
        .claim_tasks(owner.clone(), Some(now_s), until_s, look.on_time)
        .await?;
    let taken = u32::try_from(on_time.len()).unwrap_or(u32::MAX);
    let mut tasks: Vec<_> = on_time.into_iter().map(|task| (task, false)).collect();
    let overdue_room = look.overdue.min(look.on_time - taken.min(look.on_time));
    let mut more_waits = taken == look.on_time;
    if overdue_room > 0 {
        let from_s = (!unbounded).then_some(now_s - LOOK_BACK_S);
        // Were this to fail the rows above would be nobody's, so its failure is not theirs.
        match db.claim_tasks(owner, from_s, now_s - 1, overdue_room).await {
            Ok(overdue) => {
                more_waits |= overdue.len() == usize::try_from(overdue_room).unwrap_or(usize::MAX);
                tasks.extend(overdue.into_iter().map(|task| (task, true)));
            }
            Err(cause) => log::warn!("the delay queue could not look for overdue tasks: {cause}"),
        }
    }
    Ok(Claimed { tasks, more_waits })
}

fn settler(
    db: &Db,
    config: &Arc<DelayConfig>,
    actor: actix::WeakAddr<DelayQueueActor>,
) -> Settler<TaskEnd> {
    let (db, config) = (db.clone(), Arc::clone(config));
    Settler::start("settling of delayed tasks".to_owned(), move |ends| {
        let (db, config, actor) = (db.clone(), Arc::clone(&config), actor.clone());
        async move {
            let ids: Vec<i64> = ends.iter().map(|end: &TaskEnd| end.id).collect();
            let refused = db.end_tasks(config.owner.clone(), ends).await?;
            if !refused.is_empty() {
                log::warn!(
                    "{} results of delayed tasks came too late, others had taken over: {refused:?}",
                    refused.len()
                );
            }
            config.running.end(ids.into_iter());
            if let Some(actor) = actor.upgrade() {
                actor.do_send(TasksSettled);
            }
            Ok::<(), DbError>(())
        }
    })
}

impl Actor for DelayQueueActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.begin(ctx);
    }
}

impl Handler<Push> for DelayQueueActor {
    type Result = ResponseActFuture<Self, Result<Vec<i64>, PushError>>;

    fn handle(&mut self, Push(items): Push, _: &mut Self::Context) -> Self::Result {
        let db = match &self.storage {
            Storage::Database(db) => db.clone(),
            Storage::Test(pushed) => {
                return Box::pin(actix::fut::ready(push_for_test(pushed, items)));
            }
        };
        let (rows, generation) = match self.push(&items) {
            Ok(rows) => rows,
            Err(refused) => return Box::pin(actix::fut::ready(Err(refused))),
        };
        if rows.is_empty() {
            return Box::pin(actix::fut::ready(Ok(Vec::new())));
        }
        let owner = self
            .engine
            .as_ref()
            .map_or_else(String::new, |e| e.config.owner.clone());
        let reserved = claimed_in(&rows);
        let insert = async move {
            let ids = db.insert_tasks(rows.clone(), owner).await?;
            Ok((rows, ids))
        };
        Box::pin(
            insert
                .into_actor(self)
                .map(move |inserted: Result<_, DbError>, actor, ctx| {
                    if let Some(engine) = &mut actor.engine {
                        engine.reserved -= reserved;
                    }
                    let (rows, ids) = inserted?;
                    actor.pushed(rows, &ids, generation, ctx);
                    Ok(ids)
                }),
        )
    }
}

/// Checked as in the daemon, but for the names of handlers, which a test does not register.
fn push_for_test(
    pushed: &Mutex<Vec<PushItem>>,
    items: Vec<PushItem>,
) -> Result<Vec<i64>, PushError> {
    let named = items.iter().map(|item| item.exec_cmd.clone()).collect();
    push::rows(&items, &named, now_ms())?;
    let mut pushed = pushed.lock().unwrap_or_else(PoisonError::into_inner);
    let first = pushed.len();
    pushed.extend(items);
    let ids = (first..pushed.len()).map(|index| i64::try_from(index + 1).unwrap_or(i64::MAX));
    Ok(ids.collect())
}

impl Handler<LookAhead> for DelayQueueActor {
    type Result = ();

    fn handle(&mut self, _: LookAhead, ctx: &mut Self::Context) {
        // Tasks of an earlier actor end without a word to this one.
        self.start_due(ctx);
        self.look_ahead(ctx);
    }
}

impl Handler<TasksSettled> for DelayQueueActor {
    type Result = ();

    fn handle(&mut self, _: TasksSettled, ctx: &mut Self::Context) {
        self.start_due(ctx);
        let Some(engine) = &self.engine else {
            return;
        };
        // A downtime's rows are worked off as fast as they go, not once an interval.
        let held = engine.agenda.len() + engine.config.running.len();
        if engine.more_waits && held < engine.config.concurrency / 2 {
            self.look_ahead(ctx);
        }
    }
}

impl Handler<Quiet> for DelayQueueActor {
    type Result = ();

    fn handle(&mut self, _: Quiet, ctx: &mut Self::Context) {
        self.quiet(ctx);
    }
}

impl Handler<Stop> for DelayQueueActor {
    type Result = ResponseFuture<usize>;

    fn handle(&mut self, Stop { deadline }: Stop, ctx: &mut Self::Context) -> Self::Result {
        self.stop(deadline, ctx)
    }
}

/// Ends the actor as a panic would, for tests of its owner.
#[cfg(test)]
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Crash;

#[cfg(test)]
impl Handler<Crash> for DelayQueueActor {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Self::Context) {
        panic!("crashed by a test");
    }
}
