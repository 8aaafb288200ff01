//! The only writer: gathers the writes of many callers into transactions and answers each after its commit.
//!
//! Owns: three connections that write, one for heartbeats. Receives from: every actor, through `Db` (Submit).
//! Sends to: no actor; it answers its callers.             Started by: SupervisorActor, on an Arbiter of its own.
//! Ends: with the process; its callers have their answers by then.
//!
//! While one transaction is being committed the writes that arrive wait in a queue; the next transaction takes all of
//! them, and those of callers who push again at once (`commit_delay.rs`). So a lone write waits for nobody, and a thousand at
//! once share one commit.
//!
//! A write that another transaction's lock blocks, as an operator or a frozen daemon may for minutes, is set aside and
//! tried again on a connection of its own; the others go on. No caller has its answer yet, so no other write can depend
//! on it, except those that release rows (`Operation::IS_BARRIER`). Ends mostly do not even wait: see `by_ids::lock`.
//!
//! Claims of fires, which are due to the millisecond, have a connection of their own, kept open between them: no claim
//! waits for a large transaction of others. Where only one connection can write, claims of fires go before the waiting
//! writes (`Operation::IS_URGENT`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::TryFutureExt;
use tokio::sync::oneshot::{self, error::RecvError};
use tokio::time::Instant;

use super::commit_delay;
use super::heartbeat::{self, Heartbeats};
pub(crate) use super::write_queue::Submit;
use super::write_queue::{Committed, HELD_PAUSE, Together, WriteQueue, commit};
use crate::drop_notice::GoneNotice;
use crate::outage::Outage;
use crate::sleep::sleep;
use crate::store::DbError;
use crate::store::traits::{Store, Writers};
use crate::store::write::{InsertedInto, Operation, ReapSilent, Write, reply_of};

/// See the module's header.
pub(crate) struct DbActor {
    store: Arc<dyn Store>,
    heartbeats: Option<Heartbeats>,
    line: WriteQueue,
    fires: WriteQueue,
    aside: Aside,
    /// The last order to judge is under way.
    judging: bool,
    outage: Outage,
    _gone: GoneNotice,
}

/// Writes that other programs' locks block.
struct Aside {
    write_queue: WriteQueue,
    /// The tables into which the blocked writes insert: further inserts would be blocked as well, and go straight here.
    tables: BTreeSet<InsertedInto>,
    /// Whether there are ends among its writes: a release of their rows would make them stale.
    has_ends: bool,
    since: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Line,
    Fires,
    Aside,
}

/// The server, or something on the way to it, may close a connection that is silent for longer.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Watches over the database, at the start of a daemon as later.
pub(crate) fn outage_of(store: &dyn Store) -> Outage {
    let name = format!("the database {}", store.address());
    Outage::of_server(name.as_str(), name.as_str())
}

impl DbActor {
    /// Does nothing before its first write.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        outage: Outage,
        heartbeats: Option<Heartbeats>,
        gone: GoneNotice,
    ) -> Self {
        Self {
            store,
            heartbeats,
            line: WriteQueue::new(outage.beside()),
            fires: WriteQueue::new(outage.beside()),
            aside: Aside {
                write_queue: WriteQueue::new(outage.beside()),
                tables: BTreeSet::new(),
                has_ends: false,
                since: None,
            },
            judging: false,
            outage,
            _gone: gone,
        }
    }

    /// Begins the next transactions, where none is under way and there is something to write.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        let aside = self.aside.write_queue.begin(Together::OfOneTable);
        self.aside.end_if_empty();
        let together = match self.aside.has_ends {
            false => Together::All,
            true => Together::AllWhoMayPass,
        };
        let fires = self.fires.begin(Together::All);
        let line = self.line.begin(together);
        let batches = [
            (Which::Fires, fires),
            (Which::Line, line),
            (Which::Aside, aside),
        ];
        for (which, batch) in batches {
            let Some(batch) = batch else {
                continue;
            };
            // Not in this actor's context: if it dies, what is being committed is answered all the same.
            let commit = actix_rt::spawn(commit(Arc::clone(&self.store), batch));
            ctx.spawn(commit.into_actor(self).map(move |committed, actor, ctx| {
                // An error means that the runtime ends.
                if let Ok(committed) = committed {
                    actor.committed(which, committed, ctx);
                }
            }));
        }
    }

    fn committed(&mut self, which: Which, committed: Committed, ctx: &mut Context<Self>) {
        let after = self.write_queue(which).committed(committed);
        let mut pause = after.pause;
        if which == Which::Aside {
            let was_held = !after.held.is_empty();
            pause = pause.or(was_held.then_some(HELD_PAUSE));
        }
        if let Some(cause) = after.held_by {
            self.aside.add(after.held, cause);
        }
        if let Some(number) = after.awaits {
            let over = sleep(commit_delay::DELAY).into_actor(self);
            ctx.spawn(over.map(move |(), actor, ctx| {
                actor.write_queue(which).waits_no_longer(number);
                actor.pump(ctx);
            }));
        }
        match pause {
            None => self.go_on(which, ctx),
            Some(pause) => drop(ctx.run_later(pause, move |actor, ctx| actor.go_on(which, ctx))),
        }
    }

    fn go_on(&mut self, which: Which, ctx: &mut Context<Self>) {
        self.write_queue(which).go_on();
        self.pump(ctx);
    }

    fn write_queue(&mut self, which: Which) -> &mut WriteQueue {
        match which {
            Which::Line => &mut self.line,
            Which::Fires => &mut self.fires,
            Which::Aside => &mut self.aside.write_queue,
        }
    }

    /// The reply after the commit; an error of the outer kind means that this actor ends before that.
    fn submit<O: Operation>(
        &mut self,
        operation: O,
        ctx: &mut Context<Self>,
    ) -> impl Future<Output = Result<Result<O::Reply, DbError>, RecvError>> + use<O> {
        let (answer, answered) = oneshot::channel();
        let write = operation.into();
        self.accept(Submit { write, answer }, ctx);
        answered.map_ok(reply_of::<O>)
    }

    fn accept(&mut self, submit: Submit, ctx: &mut Context<Self>) {
        let beside = self.store.writers() == Writers::Many;
        let write_queue = match &submit.write {
            write if self.aside.waits_too(write) => &mut self.aside.write_queue,
            write if write.is_urgent() && beside => &mut self.fires,
            // Whatever they wait for, ends and claims do not.
            write if write.is_of_warnings() && beside => &mut self.aside.write_queue,
            _ => &mut self.line,
        };
        write_queue.push(submit);
        self.pump(ctx);
    }

    /// The next claim of a fire does not have to open a connection.
    fn keep_alive(&mut self, ctx: &mut Context<Self>) {
        let Some(mut writer) = self.fires.lend_writer() else {
            return;
        };
        let kept = async move {
            writer.keep_alive().await;
            writer
        };
        ctx.spawn(kept.into_actor(self).map(|writer, actor, ctx| {
            actor.fires.return_writer(writer);
            actor.go_on(Which::Fires, ctx);
        }));
    }

    fn beat(&self, heartbeats: Heartbeats, ctx: &mut Context<Self>) {
        let addr = ctx.address().downgrade();
        let judge = move |as_of_ms| {
            if let Some(addr) = addr.upgrade() {
                addr.do_send(Judge { as_of_ms });
            }
        };
        let store = Arc::clone(&self.store);
        let beats = heartbeat::beat(store, heartbeats, self.outage.beside(), judge);
        ctx.spawn(beats.into_actor(self));
    }
}

impl Aside {
    fn add(&mut self, held: Vec<Submit>, cause: DbError) {
        if self.since.is_none() && !held.is_empty() {
            self.since = Some(Instant::now());
            log::warn!(
                "{} writes wait for what another transaction has locked, and are tried again; the others go on: {}",
                held.len(),
                cause.into_reason()
            );
        }
        for submit in held {
            self.tables.extend(submit.write.inserts_into());
            self.has_ends |= submit.write.is_end();
            self.write_queue.push(submit);
        }
    }

    fn waits_too(&self, write: &Write) -> bool {
        write
            .inserts_into()
            .is_some_and(|table| self.tables.contains(&table))
    }

    fn end_if_empty(&mut self) {
        if !self.write_queue.is_empty() {
            return;
        }
        self.tables.clear();
        self.has_ends = false;
        if let Some(since) = self.since.take() {
            log::info!(
                "the writes that waited for locks are done after {:.1} s",
                since.elapsed().as_secs_f64()
            );
        }
    }
}

impl Actor for DbActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(heartbeats) = self.heartbeats.clone() {
            self.beat(heartbeats, ctx);
        }
        if self.store.writers() == Writers::Many {
            ctx.run_interval(KEEP_ALIVE, Self::keep_alive);
        }
    }
}

impl Handler<Submit> for DbActor {
    type Result = ();

    fn handle(&mut self, submit: Submit, ctx: &mut Self::Context) {
        self.accept(submit, ctx);
    }
}

/// To itself, after a heartbeat: take over from boots whose heartbeats stopped.
#[derive(Message)]
#[rtype(result = "()")]
struct Judge {
    as_of_ms: i64,
}

impl Handler<Judge> for DbActor {
    type Result = ();

    fn handle(&mut self, Judge { as_of_ms }: Judge, ctx: &mut Self::Context) {
        let Some(heartbeats) = &self.heartbeats else {
            return;
        };
        // One that waits is about an older heartbeat; the next one comes with its own.
        if std::mem::replace(&mut self.judging, true) {
            return;
        }
        let me = heartbeats.boot.owner.clone();
        let reaped = self.submit(ReapSilent { me, as_of_ms }, ctx);
        ctx.spawn(reaped.into_actor(self).map(|reaped, actor, _| {
            actor.judging = false;
            match reaped {
                Ok(Ok(reaped)) if !reaped.boots.is_empty() => log::warn!(
                    "took over from {}, silent for three heartbeats: {} messages and {} delayed tasks released",
                    reaped.boots.join(", "),
                    reaped.messages,
                    reaped.tasks
                ),
                Ok(Err(cause @ DbError::Refused(_))) => log::error!(
                    "whether other daemons are dead cannot be judged, what they had stays theirs: {cause}"
                ),
                _ => {}
            }
        }));
    }
}

/// Ends the actor as a panic would, for tests of its owner.
#[cfg(test)]
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Crash;

#[cfg(test)]
impl Handler<Crash> for DbActor {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Self::Context) {
        panic!("crashed by a test");
    }
}
