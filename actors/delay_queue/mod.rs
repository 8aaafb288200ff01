//! Takes new tasks, and runs delayed tasks at their time.
//!
//! Owns: the tasks it claimed, until they are settled.   Receives from: every actor (Push), SupervisorActor (AwaitEnd).
//! Sends to: DbActor.                                    Started by: SupervisorActor; without a scheduler by cron
//! Ends: with the daemon; never by itself.               processes and the Harness, only to take new tasks.

mod handle;
mod outbox;
mod push;
mod pusher;
mod scheduler;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use actix::prelude::*;

pub(crate) use self::handle::DelayQueueHandle;
pub(crate) use self::outbox::rows_to_push;
pub use self::outbox::{PushRow, delay_queue_log};
pub(crate) use self::push::{LAST_SECOND, params_refusal, refusal};
pub use self::push::{Push, PushError, PushItem};
pub(crate) use self::pusher::{Pushable, Pusher, TaskTable};
pub(crate) use self::scheduler::{DelayConfig, RunningTasks, Stats, TaskRules};
use self::scheduler::{Flow, Pushing, Scheduler};
use crate::db::Db;
use crate::drop_notice::GoneNotice;
use crate::presence::AreYouThere;
use crate::stop::StopListener;

/// Asks how many tasks still run at the deadline of the stop. Answered once the stop has a deadline, and then as soon as no
/// task runs.
#[derive(Message)]
#[rtype(result = "usize")]
pub(crate) struct AwaitEnd;

/// To itself: some tasks have ended, and that is durable.
#[derive(Message)]
#[rtype(result = "()")]
struct TasksSettled {
    flow: Flow,
}

/// See the module's header.
pub struct DelayQueueActor {
    role: Role,
    _gone: GoneNotice,
}

/// What this process does with delayed tasks.
enum Role {
    /// Inserts pushed tasks only.
    Push(Pusher),
    /// Inserts pushed tasks, and runs tasks that are due: a daemon.
    Schedule(Box<Scheduler>),
}

impl DelayQueueActor {
    /// Starts the actor of a daemon.
    pub(crate) fn start_scheduler(
        db: Db,
        config: Arc<DelayConfig>,
        stop: StopListener,
        gone: GoneNotice,
    ) -> Addr<Self> {
        Self::create(|ctx| {
            let scheduler = Scheduler::new(db, config, stop, ctx.address().downgrade());
            Self {
                role: Role::Schedule(Box::new(scheduler)),
                _gone: gone,
            }
        })
    }

    /// Starts the actor of a process that runs no tasks.
    pub(crate) fn start_pusher(pusher: Pusher) -> Addr<Self> {
        let role = Role::Push(pusher);
        let _gone = GoneNotice::none();
        Self { role, _gone }.start()
    }

    /// The scheduler; `None` outside a daemon, where neither AwaitEnd nor TasksSettled is sent.
    fn scheduler(&mut self) -> Option<&mut Scheduler> {
        match &mut self.role {
            Role::Push(_) => None,
            Role::Schedule(scheduler) => Some(scheduler),
        }
    }
}

impl Actor for DelayQueueActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(scheduler) = self.scheduler() {
            scheduler.begin(ctx);
        }
    }
}

impl Handler<Push> for DelayQueueActor {
    type Result = Pushing;

    fn handle(&mut self, Push(items): Push, _: &mut Self::Context) -> Self::Result {
        match &mut self.role {
            Role::Push(pusher) => Box::pin(pusher.push(items).into_actor(self)),
            Role::Schedule(scheduler) => scheduler.push(items),
        }
    }
}

impl Handler<TasksSettled> for DelayQueueActor {
    type Result = ();

    fn handle(&mut self, TasksSettled { flow }: TasksSettled, ctx: &mut Self::Context) {
        if let Some(scheduler) = self.scheduler() {
            scheduler.settled(flow, ctx);
        }
    }
}

impl Handler<AreYouThere> for DelayQueueActor {
    type Result = ();

    fn handle(&mut self, _: AreYouThere, _: &mut Self::Context) {}
}

impl Handler<AwaitEnd> for DelayQueueActor {
    type Result = ResponseFuture<usize>;

    fn handle(&mut self, _: AwaitEnd, ctx: &mut Self::Context) -> Self::Result {
        match self.scheduler() {
            Some(scheduler) => scheduler.await_end(ctx),
            None => Box::pin(std::future::ready(0)),
        }
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
