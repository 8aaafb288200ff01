//! Keeps the consumers of one queue entry, as many as its lag asks for.
//!
//! Owns: the consumers and their number.     Receives from: SupervisorActor (Tune, Retire, AwaitEnd), itself (LagCheck),
//!                                           its consumers (ConsumerGone).
//! Sends to: ConsumerActor (StopSignal).     Started by: SupervisorActor, one per live queue entry.
//! Ends: on Retire, or with the daemon; never by itself.

mod checking;
mod lease;
mod members;
mod reloading;
mod resizing;
mod sizing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::watch;
use tokio::time::Instant;

use self::lease::Leases;
use self::members::Member;
pub(crate) use self::reloading::{Retire, TIME_TO_LEAVE, Tune};
pub(crate) use self::sizing::counted_to;
use crate::backoff::{Backoff, Delays};
use crate::config::PoolLimits;
use crate::consumer::Work;
use crate::drop_notice::GoneNotice;
use crate::presence::AreYouThere;
use crate::source::Limit;
use crate::stop::{StopSignal, left_at};
use crate::workers::Workers;

/// The least time that a source has for its end, though consumers took all the time there was. Within what a stop keeps
/// in reserve.
const TIME_TO_CLOSE: Duration = Duration::from_secs(1);

/// What a pool is started with.
#[derive(Clone)]
pub(crate) struct PoolConfig {
    pub(crate) work: Work,
    pub(crate) limits: PoolLimits,
    pub(crate) lag_check_interval: Duration,
    pub(crate) consumer_lease: Duration,
    pub(crate) workers: Arc<Workers>,
}

/// Asks the source how far behind it is, and sizes the pool.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct LagCheck;

/// Asks how many consumers are still at work at the deadline of the stop. Answered once the stop has a deadline, and then as
/// soon as none is and the source is closed.
#[derive(Message)]
#[rtype(result = "usize")]
pub(crate) struct AwaitEnd;

/// A consumer ended, by its order or by a panic.
#[derive(Message)]
#[rtype(result = "()")]
struct ConsumerGone {
    id: u64,
}

/// How many consumers there are, for tests and people.
#[derive(Message)]
#[rtype(result = "usize")]
pub(crate) struct CountConsumers;

/// See the module's header.
pub(crate) struct PoolActor {
    config: PoolConfig,
    members: BTreeMap<u64, Member>,
    next_id: u64,
    leases: Leases,
    /// How many members there should be.
    size: u32,
    /// What the last check found; `None` where the lag could not be read.
    last_lag: Option<u64>,
    /// A check waits for its answer.
    checking: bool,
    /// Another one was asked for meanwhile.
    check_again: bool,
    /// The last lag was not read in time, and that was logged.
    lag_unknown: bool,
    /// The rate limit of the entry holds its consumers back, as the last check found.
    is_rate_limited: bool,
    /// How many consumers the source has a use for.
    limit: Option<watch::Receiver<Limit>>,
    /// How many members there are, for those that wait for the end.
    alive: watch::Sender<usize>,
    /// The pool's signal, below the daemon's: a reload retires one pool alone. Each consumer has a signal below this one. It is
    /// dropped with this actor; then each consumer ends after its running message.
    stop: StopSignal,
    /// A reload has just changed its limits.
    is_tuned: bool,
    /// Its entry is gone, or another pool's: what is published of it is not this one's any more.
    is_retired: bool,
    /// The source has been closed.
    is_closed: Arc<tokio::sync::Mutex<bool>>,
    delays: Delays,
    replacing: bool,
    /// Wakes when the next lease is over.
    timer: Option<SpawnHandle>,
    _gone: GoneNotice,
}

impl PoolActor {
    pub(crate) fn new(config: PoolConfig, stop: StopSignal, gone: GoneNotice) -> Self {
        Self {
            leases: Leases::new(config.consumer_lease),
            config,
            members: BTreeMap::new(),
            next_id: 1,
            size: 0,
            last_lag: None,
            checking: false,
            check_again: false,
            lag_unknown: false,
            is_rate_limited: false,
            limit: None,
            alive: watch::Sender::new(0),
            stop,
            is_tuned: false,
            is_retired: false,
            is_closed: Arc::default(),
            delays: Backoff::REPLACEMENT.delays(),
            replacing: false,
            timer: None,
            _gone: gone,
        }
    }

    fn queue(&self) -> &str {
        &self.config.work.queue
    }

    fn await_end(&self) -> ResponseFuture<usize> {
        let (mut stop, alive) = (self.stop.listen(), self.alive.subscribe());
        let closing = self.closing();
        Box::pin(async move {
            let deadline = stop.deadline_set().await;
            let left = left_at(alive, deadline).await;
            let within = deadline.saturating_duration_since(Instant::now());
            closing.close(within.max(TIME_TO_CLOSE)).await;
            left
        })
    }
}

impl Actor for PoolActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.config.work.source.open();
        self.watch_limit(ctx);
        self.watch_pauses(ctx);
        self.reconcile(ctx);
        ctx.notify(LagCheck);
        ctx.run_interval(self.config.lag_check_interval, |_, ctx| {
            ctx.notify(LagCheck)
        });
    }
}

impl Handler<LagCheck> for PoolActor {
    type Result = ();

    fn handle(&mut self, _: LagCheck, ctx: &mut Self::Context) {
        self.check_lag(ctx);
    }
}

impl Handler<AreYouThere> for PoolActor {
    type Result = ();

    fn handle(&mut self, _: AreYouThere, _: &mut Self::Context) {}
}

impl Handler<AwaitEnd> for PoolActor {
    type Result = ResponseFuture<usize>;

    fn handle(&mut self, _: AwaitEnd, _: &mut Self::Context) -> Self::Result {
        self.await_end()
    }
}

impl Handler<ConsumerGone> for PoolActor {
    type Result = ();

    fn handle(&mut self, ConsumerGone { id }: ConsumerGone, ctx: &mut Self::Context) {
        self.consumer_gone(id, ctx);
    }
}

impl Handler<CountConsumers> for PoolActor {
    type Result = usize;

    fn handle(&mut self, _: CountConsumers, _: &mut Self::Context) -> usize {
        self.members.values().filter(|m| !m.leaving).count()
    }
}

/// Ends the actor as a panic would, for tests of its owner.
#[cfg(test)]
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Crash;

#[cfg(test)]
impl Handler<Crash> for PoolActor {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Self::Context) {
        panic!("crashed by a test");
    }
}

/// Ends one consumer as a panic would.
#[cfg(test)]
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct CrashConsumer;

#[cfg(test)]
impl Handler<CrashConsumer> for PoolActor {
    type Result = ();

    fn handle(&mut self, _: CrashConsumer, _: &mut Self::Context) {
        if let Some(member) = self.members.values().find(|m| m.addr.connected()) {
            member.addr.do_send(crate::consumer::Crash);
        }
    }
}
