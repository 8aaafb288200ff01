//! Starts everything in order, replaces what dies, and stops everything in reverse by one deadline.
//!
//! Owns: AlertActor, DbActor, HttpActor, DelayQueueActor, one PoolActor per live queue entry, CronActor, one OwnCodeActor per `App::spawn`.
//! Receives from: the signals (BeginStop, Reload), HttpActor (Reload), its children (ChildGone).
//! Sends to: its children (a StopSignal, AwaitEnd), PoolActor (Tune, Retire), CronActor (Renew).
//! Started by: `App`, on the System's thread.                    Ends: the System, after a stop, and if it dies itself.

mod checks;
mod children;
mod outside;
mod reloading;
mod rescue;
mod retention;
mod stopping;
#[cfg(test)]
mod tests;
mod unconsumed;
mod warnings;
mod watching;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::time::Instant;

use self::children::Children;
pub(crate) use self::children::{KnownQueue, LiveQueue, Plan};
use self::reloading::Reloads;
pub(crate) use self::reloading::{Files, Reading, Renewal};
pub(crate) use self::retention::Retention;
use self::stopping::{Stopped, stop_all};
pub(crate) use self::warnings::Warnings;
use self::watching::FileWatch;
use crate::backoff::{Backoff, Delays};
use crate::config::Fingerprint;
use crate::drop_notice::GoneNotice;
use crate::orders;
use crate::outage::Outage;
use crate::state::deaths;
use crate::stop::StopSignal;
use crate::store::DbError;
use crate::store::write::BeginBoot;
use crate::task::{caught, restart_on_panic};

/// The pauses before a dead child is replaced start anew after this time without a death.
const QUIET_TIME: Duration = Duration::from_secs(60);

/// The longest wait of the start for the recovery of this machine's dead boots.
const FIRST_RESCUE: Duration = Duration::from_secs(10);
/// The longest wait of the start for the row that announces this daemon's receiver of warnings.
const FIRST_ANNOUNCEMENT: Duration = Duration::from_secs(2);
/// How often slot files are scanned for daemons of this machine that died: a scan reads one directory.
const RESCUE_INTERVAL: Duration = Duration::from_secs(1);

/// Which child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Child {
    Alert,
    Db,
    Http,
    DelayQueue,
    /// By the id of its queue.
    Pool(u64),
    Cron,
    OwnCode(usize),
}

/// Those that are replaced during a stop too.
const NEEDED_TO_THE_END: [Child; 3] = [Child::Alert, Child::Db, Child::Http];

/// Ends the daemon: nobody takes new work, and by the deadline everything has ended or is released.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct BeginStop {
    pub(crate) reason: &'static str,
}

/// A child died.
#[derive(Message)]
#[rtype(result = "()")]
struct ChildGone {
    child: Child,
}

/// The exit status of a start that failed.
const FAILED_START: i32 = 1;

/// To itself: start this child again.
#[derive(Message)]
#[rtype(result = "()")]
struct Replace {
    child: Child,
}

/// See the module's header.
pub(crate) struct SupervisorActor {
    plan: Arc<Plan>,
    children: Children,
    stop: StopSignal,
    delays: Delays,
    last_death: Option<Instant>,
    /// `alert.ping` is not called; the reason is logged.
    ping_withheld: bool,
    /// The daemon was forced to stop: it ends with a failing exit status.
    failed: bool,
    /// The stop is over: children end with the System now.
    ended: bool,
    /// All that takes work has been started.
    is_started: bool,
    /// Where the entries come from; none in tests.
    files: Option<Rc<dyn Files>>,
    reloads: Reloads,
    watch: FileWatch,
    /// A change of the files is a reload.
    is_watching: bool,
    /// A fingerprint of the files is being taken.
    is_scanning: bool,
}

impl SupervisorActor {
    /// `stop` signals to the rest of the process, handlers too, that a stop has begun.
    pub(crate) fn new(plan: Plan, stop: StopSignal) -> Self {
        Self {
            plan: Arc::new(plan),
            children: Children::default(),
            stop,
            delays: Backoff::REPLACEMENT.delays(),
            last_death: None,
            ping_withheld: false,
            failed: false,
            ended: false,
            is_started: false,
            files: None,
            reloads: Reloads::default(),
            watch: FileWatch::default(),
            is_watching: false,
            is_scanning: false,
        }
    }

    /// The plan is of these files, as they were read with that fingerprint.
    pub(crate) fn of_files(
        mut self,
        files: Rc<dyn Files>,
        read: Fingerprint,
        on_change: bool,
    ) -> Self {
        self.files = Some(files);
        self.watch = FileWatch::new(read);
        self.is_watching = on_change;
        self
    }

    /// The boot is known, and what dead boots left is released, before any child takes work.
    fn begin(&mut self, ctx: &mut Context<Self>) {
        // Before all others, so that a failure of any of them is alerted.
        self.start_child(Child::Alert, ctx);
        self.start_child(Child::Db, ctx);
        // Early, so that `/readyz` answers while the start is still waiting.
        self.start_child(Child::Http, ctx);
        let interval = self.plan.liveness.interval().min(RESCUE_INTERVAL);
        ctx.run_interval(interval, Self::stop_if_ownership_ended);
        let plan = Arc::clone(&self.plan);
        let announce = async move {
            let mut outage = Outage::new("the start");
            while let Err(cause) = plan.db.write(BeginBoot(plan.boot.clone())).await {
                // Refused, and so it would be each time. Nothing is claimed yet, and nobody has begun to work.
                if let DbError::Refused(cause) = &cause {
                    log::error!("the database refuses this daemon's row in `boot`: {cause}");
                    System::current().stop_with_code(FAILED_START);
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(outage.failed(cause)).await;
            }
            // It may wait for a row that another transaction has locked; it is repeated.
            orders::learn_first(&plan.db, &plan.pauses, &plan.http.state).await;
            let _ = tokio::time::timeout(FIRST_RESCUE, rescue::scan(&plan)).await;
            // The write may wait for a table that another program has locked; then it is repeated before the first
            // poll.
            let _ = tokio::time::timeout(FIRST_ANNOUNCEMENT, plan.warnings.announce()).await;
            rescue::note_foreign(&plan).await;
            actix_rt::spawn(unconsumed::report(plan));
        };
        ctx.spawn(
            announce
                .into_actor(self)
                .map(|(), actor, ctx| actor.start_all(ctx)),
        );
    }

    fn start_all(&mut self, ctx: &mut Context<Self>) {
        if self.stop.begun() {
            return;
        }
        self.plan.warnings.start(&self.plan.db);
        let notice = |child| Self::notice(child, ctx);
        self.children.start(&self.plan, &self.stop, notice);
        let interval = self.plan.liveness.interval().min(RESCUE_INTERVAL);
        ctx.run_interval(interval, |actor, ctx| {
            let plan = Arc::clone(&actor.plan);
            let scanned = async move {
                // A panic of the scan must not end the supervisor; the next scan comes soon.
                if let Err(cause) = caught(rescue::scan(&plan)).await {
                    log::error!("the scan for dead daemons of this machine panicked: {cause}");
                }
            };
            ctx.spawn(scanned.into_actor(actor));
        });
        let plan = Arc::clone(&self.plan);
        let watching = async move {
            let (db, state) = (&plan.db, &plan.http.state);
            let watch = || orders::watch(db, &plan.pauses, &plan.cron.orders, state);
            restart_on_panic(orders::READING, watch).await;
        };
        ctx.spawn(watching.into_actor(self));
        let plan = Arc::clone(&self.plan);
        let checking = async move {
            restart_on_panic("the LagChecks that are ordered", || checks::watch(&plan)).await;
        };
        ctx.spawn(checking.into_actor(self));
        let trimming = self
            .plan
            .retention
            .keep(self.plan.db.clone(), self.stop.listen());
        ctx.spawn(trimming.into_actor(self));
        if self.plan.ping.is_some() {
            self.ping_outside(ctx);
            ctx.run_interval(outside::PING_INTERVAL, Self::ping_outside);
        }
        self.plan.http.set_started();
        self.plan.say_ready();
        ctx.run_interval(watching::SCAN_INTERVAL, Self::scan_files);
        self.is_started = true;
        self.next_reload(ctx);
    }

    /// A ping that does not come is the sign outside that this daemon does not work.
    fn ping_outside(&mut self, ctx: &mut Context<Self>) {
        if self.stop.begun() {
            return;
        }
        let ping = outside::ping(Arc::clone(&self.plan), self.children.clone());
        ctx.spawn(ping.into_actor(self).map(|pinged, actor, _| {
            let was_withheld = std::mem::replace(&mut actor.ping_withheld, pinged.is_err());
            match pinged {
                Err(why) if !was_withheld => log::warn!("`alert.ping` is not called: {why}"),
                Ok(()) if was_withheld => log::info!("`alert.ping` is called again"),
                Err(_) | Ok(()) => {}
            }
        }));
    }

    fn notice(child: Child, ctx: &Context<Self>) -> GoneNotice {
        let addr = ctx.address().downgrade();
        GoneNotice::new(move || {
            if let Some(addr) = addr.upgrade() {
                addr.do_send(ChildGone { child });
            }
        })
    }

    fn child_gone(&mut self, child: Child, ctx: &mut Context<Self>) {
        // These are needed to the end; the others end on purpose during a stop.
        let is_needed = NEEDED_TO_THE_END.contains(&child);
        if self.ended || (self.stop.begun() && !is_needed) || self.is_retired(child) {
            return;
        }
        if self
            .last_death
            .is_none_or(|last| last.elapsed() > QUIET_TIME)
        {
            self.delays.reset();
        }
        self.last_death = Some(Instant::now());
        deaths().note(&self.plan.describe(child));
        let pause = self.delays.advance();
        log::error!(
            "{} died and is replaced in {pause:?}",
            self.plan.describe(child)
        );
        ctx.notify_later(Replace { child }, pause);
    }

    fn replace(&mut self, child: Child, ctx: &mut Context<Self>) {
        if self.stop.begun() && !NEEDED_TO_THE_END.contains(&child) || self.is_retired(child) {
            return;
        }
        self.start_child(child, ctx);
    }

    fn start_child(&mut self, child: Child, ctx: &Context<Self>) {
        let notice = Self::notice(child, ctx);
        self.children
            .start_one(&self.plan, &self.stop, child, notice);
    }

    /// The pool of a queue that a reload has taken away.
    fn is_retired(&self, child: Child) -> bool {
        matches!(child, Child::Pool(id) if self.plan.queue(id).is_none())
    }

    /// With the database file replaced nothing that this boot does can be written down.
    fn stop_if_ownership_ended(&mut self, ctx: &mut Context<Self>) {
        let plan = Arc::clone(&self.plan);
        if let Some(reason) = plan.liveness.ended()
            && !self.stop.begun()
        {
            log::error!("{reason}");
            self.failed = true;
            self.begin_stop("this daemon ends", ctx);
        }
    }

    fn begin_stop(&mut self, reason: &str, ctx: &mut Context<Self>) {
        if self.stop.begun() {
            return;
        }
        let limit = self.plan.shutdown_deadline;
        log::info!(
            "{reason}: taking no new work, what runs has up to {:.0} s; a second signal ends at once",
            limit.as_secs_f64()
        );
        let deadline = Instant::now() + limit;
        self.stop.quiet();
        self.reloads.refuse_all();
        let (plan, children) = (Arc::clone(&self.plan), self.children.clone());
        let stop = stop_all(plan, children, self.stop.clone(), deadline);
        ctx.spawn(stop.into_actor(self).map(|stopped, actor, _| {
            actor.ended = true;
            let code = match stopped {
                Stopped::Clean if !actor.failed => 0,
                Stopped::Clean | Stopped::Unwritten => 1,
            };
            System::current().stop_with_code(code);
        }));
    }
}

/// It is the one actor without an owner. If it dies, nothing is replaced any more and no signal arrives, so the process
/// ends; its parent starts another one.
impl Drop for SupervisorActor {
    fn drop(&mut self) {
        if !self.ended
            && let Some(system) = System::try_current()
        {
            log::error!("SupervisorActor died, and this daemon ends with it");
            system.stop_with_code(1);
        }
    }
}

impl Actor for SupervisorActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.plan.http.reloads.set(ctx.address().recipient());
        self.begin(ctx);
    }
}

impl Handler<BeginStop> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, BeginStop { reason }: BeginStop, ctx: &mut Self::Context) {
        self.begin_stop(reason, ctx);
    }
}

impl Handler<ChildGone> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, ChildGone { child }: ChildGone, ctx: &mut Self::Context) {
        self.child_gone(child, ctx);
    }
}

impl Handler<Replace> for SupervisorActor {
    type Result = ();

    fn handle(&mut self, Replace { child }: Replace, ctx: &mut Self::Context) {
        self.replace(child, ctx);
    }
}
