//! The only writer: gathers the writes of many callers into transactions and answers each after its commit.
//!
//! Owns: one connection that writes, one for heartbeats.   Told by: everybody, through `Db` (Submit).
//! Tells: nobody; answers.                                 Started by: SupervisorActor, on an Arbiter of its own.
//! Ends: with the process; its callers have their answers by then.
//!
//! While one transaction is being committed the writes that arrive wait in a queue; the next transaction takes all of
//! them. So a lone write waits for nobody, and a thousand at once share one commit.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use actix::prelude::*;
use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::error::DbError;
use super::heart::{self, Heartbeats};
use super::store::{Applied, Store, Writer};
use super::write::{Write, Written};
use crate::gone::GoneNotice;
use crate::outage::Outage;

/// Writes in one transaction at most: bounds how long its first caller waits for the last one's write.
const MAX_BATCH: usize = 256;
/// Rows in one transaction at most, unless a single write has more: a push of thousands is no reason for hundreds of such
/// pushes to wait for each other.
const MAX_ROWS: usize = 5_000;

/// One write, answered after its commit. How many there are at once is bounded by the permits of `Db`. An answer that
/// is dropped says that the write was never tried.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Submit {
    pub(crate) write: Write,
    pub(crate) answer: oneshot::Sender<Result<Written, DbError>>,
}

/// What became of a batch.
struct Committed {
    /// None where the next batch needs a new connection.
    writer: Option<Box<dyn Writer>>,
    /// Not tried, in their order, and why.
    left: Vec<Submit>,
    away: Option<DbError>,
    /// What may be committed or not; nothing is in `left` then.
    unsure: Option<Unsure>,
}

/// What the next transaction is made of.
struct Batch {
    writer: Option<Box<dyn Writer>>,
    submits: Vec<Submit>,
}

/// Writes that may be committed or not, and the writer that can find out.
struct Unsure {
    writer: Option<Box<dyn Writer>>,
    batch: Vec<Submit>,
}

/// If nobody finds out, the callers must not believe that nothing was written: they would write it again.
impl Drop for Unsure {
    fn drop(&mut self) {
        for submit in self.batch.drain(..) {
            let _ = submit.answer.send(Err(DbError::Restarted));
        }
    }
}

/// See the module's header.
pub(crate) struct DbActor {
    store: Arc<dyn Store>,
    heartbeats: Option<Heartbeats>,
    pending: VecDeque<Submit>,
    /// None before the first write, after an outage, and while a batch is under way.
    writer: Option<Box<dyn Writer>>,
    /// To be tried again as it is, before anything else.
    unsure: Option<Unsure>,
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
            unsure: None,
            busy: false,
            _gone: gone,
        }
    }

    /// Begins the next transaction, if none is under way and there is something to write.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        if self.busy {
            return;
        }
        let Some(Batch { writer, submits }) = self.next_batch() else {
            return;
        };
        self.busy = true;
        // Not in this actor's context: if it dies, what is being committed is answered all the same.
        let commit = actix_rt::spawn(commit(Arc::clone(&self.store), writer, submits));
        ctx.spawn(commit.into_actor(self).map(|committed, actor, ctx| {
            // An error means that the runtime ends.
            if let Ok(committed) = committed {
                actor.committed(committed, ctx);
            }
        }));
    }

    fn next_batch(&mut self) -> Option<Batch> {
        if let Some(mut unsure) = self.unsure.take() {
            // Whoever gave up meanwhile stays in it: it is the batch that is asked about.
            return Some(Batch {
                writer: unsure.writer.take(),
                submits: std::mem::take(&mut unsure.batch),
            });
        }
        // What callers wanted that gave up must not happen behind their backs: nobody would care for a claim.
        self.pending.retain(|submit| !submit.answer.is_closed());
        let mut rows = 0;
        let fits = self.pending.iter().take(MAX_BATCH).take_while(|submit| {
            rows += submit.write.rows();
            rows <= MAX_ROWS
        });
        let size = fits.count().max(1).min(self.pending.len());
        let submits: Vec<Submit> = self.pending.drain(..size).collect();
        (!submits.is_empty()).then(|| Batch {
            writer: self.writer.take(),
            submits,
        })
    }

    /// What was not tried goes back to the front of the queue, in its order.
    fn committed(&mut self, committed: Committed, ctx: &mut Context<Self>) {
        self.busy = false;
        if committed.unsure.is_some() {
            self.unsure = committed.unsure;
            return self.retry_later(committed.away, ctx);
        }
        for submit in committed.left.into_iter().rev() {
            self.pending.push_front(submit);
        }
        if committed.away.is_some() {
            return self.retry_later(committed.away, ctx);
        }
        self.outage.passed();
        self.writer = committed.writer;
        self.pump(ctx);
    }

    fn retry_later(&mut self, cause: Option<DbError>, ctx: &mut Context<Self>) {
        let cause = cause.map_or_else(String::new, DbError::into_reason);
        let pause = self.outage.failed(cause);
        self.busy = true;
        ctx.run_later(pause, |actor, ctx| {
            actor.busy = false;
            actor.pump(ctx);
        });
    }

    fn submit(
        &mut self,
        write: Write,
        ctx: &mut Context<Self>,
    ) -> oneshot::Receiver<Result<Written, DbError>> {
        let (answer, answered) = oneshot::channel();
        self.accept(Submit { write, answer }, ctx);
        answered
    }

    fn accept(&mut self, submit: Submit, ctx: &mut Context<Self>) {
        self.pending.push_back(submit);
        self.pump(ctx);
    }

    fn beat(&self, heartbeats: Heartbeats, ctx: &mut Context<Self>) {
        let addr = ctx.address().downgrade();
        let judge = move |as_of_ms| {
            if let Some(addr) = addr.upgrade() {
                addr.do_send(Judge { as_of_ms });
            }
        };
        let store = Arc::clone(&self.store);
        let beats = heart::beat(store, heartbeats, self.outage.beside(), judge);
        ctx.spawn(beats.into_actor(self));
    }
}

/// Answers each write that was committed or refused.
async fn commit(
    store: Arc<dyn Store>,
    writer: Option<Box<dyn Writer>>,
    batch: Vec<Submit>,
) -> Committed {
    let writes: Arc<[Write]> = batch.iter().map(|submit| submit.write.clone()).collect();
    let apply = AssertUnwindSafe(apply(store.as_ref(), writer, writes)).catch_unwind();
    let Ok((writer, applied)) = apply.await else {
        log::error!("{} writes panicked in the database's adapter", batch.len());
        for submit in batch {
            let _ = submit.answer.send(Err(DbError::Restarted));
        }
        return Committed {
            writer: None,
            left: Vec::new(),
            away: None,
            unsure: None,
        };
    };
    let mut batch = batch.into_iter();
    for (answer, submit) in applied.answers.into_iter().zip(batch.by_ref()) {
        // A caller that is gone does not need its answer.
        let _ = submit.answer.send(answer);
    }
    let rest: Vec<Submit> = batch.collect();
    if applied.unsure {
        // From here on whoever drops them says so to their callers: this actor may be dead.
        return Committed {
            writer: None,
            left: Vec::new(),
            away: applied.away,
            unsure: Some(Unsure {
                writer,
                batch: rest,
            }),
        };
    }
    Committed {
        writer,
        left: rest,
        away: applied.away,
        unsure: None,
    }
}

async fn apply(
    store: &dyn Store,
    writer: Option<Box<dyn Writer>>,
    writes: Arc<[Write]>,
) -> (Option<Box<dyn Writer>>, Applied) {
    let opened = match writer {
        Some(writer) => Ok(writer),
        None => store.writer().await,
    };
    match opened {
        Ok(mut writer) => {
            let applied = writer.apply(writes).await;
            (Some(writer), applied)
        }
        Err(cause) => (None, Applied::away(Vec::new(), cause)),
    }
}

impl Actor for DbActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(heartbeats) = self.heartbeats.clone() {
            self.beat(heartbeats, ctx);
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
        let me = heartbeats.boot.owner.clone();
        let reaped = self.submit(Write::ReapSilent { me, as_of_ms }, ctx);
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
