//! Runs delayed tasks at their time, and takes new ones.
//!
//! Owns: the tasks it claimed, until they are settled.   Receives from: every actor (Push), SupervisorActor (Quiet, Stop).
//! Sends to: DbActor.                                    Started by: SupervisorActor; by `push` and cron processes
//! Ends: on Stop, after its tasks; never by itself.      without claims, only to take new tasks.
//!
//! It polls often, a little ahead of the due times, and claims at most its free capacity. So a claim is never late, and
//! there is capacity for rows that are pushed for the next second. The claim alone decides which daemon runs a row.

mod budget;
mod clock_ahead;
mod due_queue;
mod engine;
mod handle;
mod outbox;
mod polling;
mod push;
mod pushing;
mod reporting;
mod runner;
mod running;
mod stats;
mod stopping;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use actix::prelude::*;
use parking_lot::Mutex;

use self::budget::Flow;
use self::engine::Engine;
pub(crate) use self::engine::{DelayConfig, TaskRules};
pub(crate) use self::handle::DelayQueueHandle;
pub use self::outbox::{PushRow, delay_queue_log};
pub(crate) use self::push::{LAST_SECOND, params_refusal, refusal};
pub use self::push::{Push, PushError, PushItem};
use self::pushing::Pushing;
pub(crate) use self::running::RunningTasks;
pub(crate) use self::stats::Stats;
use crate::clock::now_ms;
use crate::db::Db;
use crate::drop_notice::GoneNotice;
use crate::presence::AreYouThere;

/// Nobody claims any more; what has not started is given back.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Quiet;

/// Ends what runs by the deadline. Answers how many tasks still ran then.
#[derive(Message)]
#[rtype(result = "usize")]
pub(crate) struct Stop {
    pub(crate) deadline: tokio::time::Instant,
}

/// To itself: claim what is due soon.
#[derive(Message)]
#[rtype(result = "()")]
struct PollAhead;

/// To itself: some tasks have ended, and that is durable.
#[derive(Message)]
#[rtype(result = "()")]
struct TasksSettled {
    flow: Flow,
}

/// See the module's header.
pub struct DelayQueueActor {
    storage: Storage,
    known: BTreeSet<String>,
    engine: Option<Engine>,
    _gone: GoneNotice,
}

/// The rows of tasks for an insert in a transaction of the user's own. `known`: the commands that may be pushed; none: any.
pub(crate) fn rows_to_push(
    items: &[PushItem],
    known: Option<&BTreeSet<String>>,
) -> Result<Vec<PushRow>, PushError> {
    let rows = match known {
        Some(known) => push::rows(items, known, now_ms()),
        None => {
            let named = items.iter().map(|item| item.exec_cmd.clone()).collect();
            push::rows(items, &named, now_ms())
        }
    };
    let rows = rows?;
    // The row of a key belongs to its task's transaction, which is the caller's own here.
    if let Some(index) = items.iter().position(|item| item.idempotency_key.is_some()) {
        return Err(PushError::Item {
            index,
            name: items[index].name.clone(),
            reason: "a row for a transaction of your own has no idempotency key; `push` takes one, and in your transaction a unique \
                     key of your own does"
                .to_owned(),
        });
    }
    Ok(rows.into_iter().map(PushRow::new).collect())
}

/// Where pushed tasks go.
enum Storage {
    Database(Db),
    /// A test reads them.
    Test(Arc<Mutex<Vec<PushItem>>>),
}

impl DelayQueueActor {
    /// With a config it runs tasks; without, it only takes new ones. `known` are the commands that may be pushed.
    pub(crate) fn new(
        db: Db,
        known: BTreeSet<String>,
        config: Option<Arc<DelayConfig>>,
        gone: GoneNotice,
    ) -> Self {
        Self {
            storage: Storage::Database(db),
            known,
            engine: config.map(Engine::new),
            _gone: gone,
        }
    }

    /// Keeps the pushed tasks for a test to read.
    pub(crate) fn for_tests(pushed: Arc<Mutex<Vec<PushItem>>>) -> Self {
        Self {
            storage: Storage::Test(pushed),
            known: BTreeSet::new(),
            engine: None,
            _gone: GoneNotice::none(),
        }
    }
}

impl Actor for DelayQueueActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.begin(ctx);
        self.begin_watching(ctx);
    }
}

impl Handler<Push> for DelayQueueActor {
    type Result = Pushing;

    fn handle(&mut self, Push(items): Push, _: &mut Self::Context) -> Self::Result {
        self.take(items)
    }
}

impl Handler<PollAhead> for DelayQueueActor {
    type Result = ();

    fn handle(&mut self, _: PollAhead, ctx: &mut Self::Context) {
        self.check_clock(ctx);
        // Tasks of an earlier actor end without a word to this one.
        self.start_due(ctx);
        self.release_long_waiting(ctx);
        self.poll_ahead(ctx);
    }
}

impl Handler<TasksSettled> for DelayQueueActor {
    type Result = ();

    fn handle(&mut self, TasksSettled { flow }: TasksSettled, ctx: &mut Self::Context) {
        self.settled(flow, ctx);
    }
}

impl Handler<AreYouThere> for DelayQueueActor {
    type Result = ();

    fn handle(&mut self, _: AreYouThere, _: &mut Self::Context) {}
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
