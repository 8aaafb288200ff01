//! The only writer: gathers the writes of many callers into transactions and answers each after its commit.
//!
//! Owns: one connection that writes, one for heartbeats.   Told by: everybody, through `Db` (Submit).
//! Tells: nobody; answers.                                 Started by: SupervisorActor, on an Arbiter of its own.
//! Ends: with the process; its callers have their answers by then.
//!
//! While one transaction is being committed the writes that arrive wait in a queue; the next transaction takes all of
//! them. So a lone write waits for nobody, and a thousand at once share one commit.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use tokio::sync::oneshot;

use super::error::DbError;
use super::liveness::Liveness;
use super::rows::{Beat, BootRow};
use super::store::{Applied, Store, Writer};
use super::write::{Write, Written};
use crate::gone::GoneNotice;
use crate::outage::Outage;

/// Writes in one transaction at most: bounds how long its first caller waits for the last one's write.
const MAX_BATCH: usize = 256;
/// `ctx.notify` and the like never fill it; senders are bounded by the permits of `Db`.
const MAILBOX: usize = 1024;

/// One write, answered after its commit.
#[derive(Message)]
#[rtype(result = "Result<Written, DbError>")]
pub(crate) struct Submit(pub(crate) Write);

/// This boot's heartbeats; processes without claims have none.
#[derive(Clone)]
pub(crate) struct Heartbeats {
    pub(crate) boot: BootRow,
    pub(crate) liveness: Arc<Liveness>,
}

struct Pending {
    write: Write,
    answer: oneshot::Sender<Result<Written, DbError>>,
}

/// See the module's header.
pub(crate) struct DbActor {
    store: Arc<dyn Store>,
    heartbeats: Option<Heartbeats>,
    pending: VecDeque<Pending>,
    /// None before the first write, after an outage, and while a batch is under way.
    writer: Option<Box<dyn Writer>>,
    busy: bool,
    outage: Outage,
    _gone: GoneNotice,
}

impl DbActor {
    /// Does nothing before its first write.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        heartbeats: Option<Heartbeats>,
        gone: GoneNotice,
    ) -> Self {
        Self {
            outage: Outage::new(format!("the database {}", store.address())),
            store,
            heartbeats,
            pending: VecDeque::new(),
            writer: None,
            busy: false,
            _gone: gone,
        }
    }

    /// Begins the next transaction, if none is under way and there is something to write.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        if self.busy || self.pending.is_empty() {
            return;
        }
        self.busy = true;
        let batch: Vec<Pending> = self
            .pending
            .drain(..self.pending.len().min(MAX_BATCH))
            .collect();
        let writes: Arc<[Write]> = batch.iter().map(|pending| pending.write.clone()).collect();
        let writer = self.writer.take();
        let store = Arc::clone(&self.store);
        let commit = async move {
            let opened = match writer {
                Some(writer) => Ok(writer),
                None => store.writer().await,
            };
            match opened {
                Ok(mut writer) => {
                    let applied = writer.apply(writes).await;
                    (Some(writer), applied)
                }
                Err(cause) => (
                    None,
                    Applied {
                        answers: Vec::new(),
                        away: Some(cause),
                    },
                ),
            }
        };
        ctx.spawn(
            commit
                .into_actor(self)
                .map(|(writer, applied), actor, ctx| {
                    actor.committed(batch, writer, applied, ctx);
                }),
        );
    }

    /// Answers what was committed or refused; what was not tried goes back to the front of the queue, in its order.
    fn committed(
        &mut self,
        batch: Vec<Pending>,
        writer: Option<Box<dyn Writer>>,
        applied: Applied,
        ctx: &mut Context<Self>,
    ) {
        self.busy = false;
        let mut batch = batch.into_iter();
        for answer in applied.answers {
            if let Some(pending) = batch.next() {
                // A caller that is gone does not need its answer.
                let _ = pending.answer.send(answer);
            }
        }
        for pending in batch.rev() {
            self.pending.push_front(pending);
        }
        match applied.away {
            None => {
                self.outage.passed();
                self.writer = writer;
                self.pump(ctx);
            }
            Some(cause) => {
                // Nobody waits for the answers of callers that gave up.
                self.pending.retain(|pending| !pending.answer.is_closed());
                let pause = self.outage.failed(cause);
                self.busy = true;
                ctx.run_later(pause, |actor, ctx| {
                    actor.busy = false;
                    actor.pump(ctx);
                });
            }
        }
    }

    fn submit(
        &mut self,
        write: Write,
        ctx: &mut Context<Self>,
    ) -> oneshot::Receiver<Result<Written, DbError>> {
        let (answer, answered) = oneshot::channel();
        self.pending.push_back(Pending { write, answer });
        self.pump(ctx);
        answered
    }

    /// Sends heartbeats on a connection of their own, which no queue of writes can hold up, and after each one looks
    /// for boots whose heartbeats stopped.
    fn beat(&self, heartbeats: Heartbeats, ctx: &mut Context<Self>) {
        let store = Arc::clone(&self.store);
        let addr = ctx.address().downgrade();
        let mut outage = Outage::new(format!("the database {} (heartbeats)", store.address()));
        let beats = async move {
            let mut writer: Option<Box<dyn Writer>> = None;
            loop {
                let sent = Instant::now();
                match beat_once(store.as_ref(), &mut writer, &heartbeats, sent).await {
                    Ok(()) => outage.passed(),
                    Err(cause) => {
                        writer = None;
                        outage.failed(cause);
                    }
                }
                if heartbeats.liveness.may_judge()
                    && let Some(addr) = addr.upgrade()
                {
                    addr.do_send(Judge);
                }
                let next = heartbeats
                    .liveness
                    .interval()
                    .saturating_sub(sent.elapsed());
                tokio::time::sleep(next.max(SHORTEST_BEAT)).await;
            }
        };
        ctx.spawn(beats.into_actor(self));
    }
}

/// Keeps a failing heartbeat from spinning.
const SHORTEST_BEAT: Duration = Duration::from_millis(50);

async fn beat_once(
    store: &dyn Store,
    writer: &mut Option<Box<dyn Writer>>,
    heartbeats: &Heartbeats,
    sent: Instant,
) -> Result<(), DbError> {
    let connection = match writer {
        Some(connection) => connection,
        None => writer.insert(store.writer().await?),
    };
    let beat = connection.heartbeat(&heartbeats.boot).await?;
    let has_just_begun = beat == Beat::Unknown && heartbeats.liveness.is_fresh();
    match beat {
        Beat::Alive => heartbeats.liveness.confirm(sent),
        Beat::Unknown if has_just_begun => heartbeats.liveness.confirm(sent),
        Beat::Unknown | Beat::WasDead => {
            log::warn!(
                "this daemon ({}) had been silent for so long that others took over its work; it starts anew",
                heartbeats.boot.owner
            );
            heartbeats.liveness.was_dead(sent);
        }
    }
    Ok(())
}

impl Actor for DbActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        if let Some(heartbeats) = self.heartbeats.clone() {
            self.beat(heartbeats, ctx);
        }
    }
}

impl Handler<Submit> for DbActor {
    type Result = ResponseFuture<Result<Written, DbError>>;

    fn handle(&mut self, Submit(write): Submit, ctx: &mut Self::Context) -> Self::Result {
        let answered = self.submit(write, ctx);
        Box::pin(async move { answered.await.unwrap_or(Err(DbError::Restarted)) })
    }
}

/// To itself, after a heartbeat: take over from boots whose heartbeats stopped.
#[derive(Message)]
#[rtype(result = "()")]
struct Judge;

impl Handler<Judge> for DbActor {
    type Result = ();

    fn handle(&mut self, _: Judge, ctx: &mut Self::Context) {
        let Some(heartbeats) = &self.heartbeats else {
            return;
        };
        let me = heartbeats.boot.owner.clone();
        let reaped = self.submit(Write::ReapSilent { me }, ctx);
        ctx.spawn(reaped.into_actor(self).map(|reaped, _, _| {
            if let Ok(Ok(Written::Reaped(reaped))) = reaped
                && !reaped.boots.is_empty()
            {
                log::warn!(
                    "took over from {}, silent for three heartbeats: {} messages and {} delayed tasks given back",
                    reaped.boots.join(", "),
                    reaped.messages,
                    reaped.tasks
                );
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
