//! Keeps the consumers of one queue entry, as many as its lag asks for.
//!
//! Owns: the consumers and their number.   Told by: SupervisorActor (Quiet, Stop), itself (LagCheck),
//!                                         its consumers (ConsumerGone).
//! Tells: ConsumerActor (StopSignal).       Started by: SupervisorActor, one per live queue entry.
//! Ends: on Stop, after its consumers; never by itself.

mod lease;
mod sizing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::stream::unfold;
use tokio::sync::watch;
use tokio::time::Instant;

use self::lease::Leases;
use crate::config::PoolLimits;
use crate::consumer::{ConsumerActor, Work};
use crate::gone::GoneNotice;
use crate::source::{Limit, SourceError};
use crate::stop::{StopSignal, left_at};
use crate::workers::Workers;

/// Pauses before a dead consumer is replaced: they double from the first to the longest, and start anew once one has
/// lived for long enough.
const FIRST_REPLACEMENT: Duration = Duration::from_millis(100);
const LONGEST_REPLACEMENT: Duration = Duration::from_secs(30);
const LIVED_LONG: Duration = Duration::from_secs(60);

/// A source has so long at least for its end, though consumers took all the time there was. Within what a stop keeps in
/// reserve.
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

/// Nobody takes new messages.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Quiet;

/// Ends all consumers by the deadline. Answers how many were still at work then.
#[derive(Message)]
#[rtype(result = "usize")]
pub(crate) struct Stop {
    pub(crate) deadline: Instant,
}

/// A consumer ended, as it was told or by a panic.
#[derive(Message)]
#[rtype(result = "()")]
struct ConsumerGone {
    id: u64,
}

/// How many consumers there are, for tests and people.
#[derive(Message)]
#[rtype(result = "usize")]
pub(crate) struct CountConsumers;

struct Member {
    /// Keeps the actor's mailbox open.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "an actor that nobody can reach ends")
    )]
    addr: Addr<ConsumerActor>,
    stop: StopSignal,
    born: Instant,
    /// Told to end: it is not replaced.
    leaving: bool,
}

/// See the module's header.
pub(crate) struct PoolActor {
    config: PoolConfig,
    members: BTreeMap<u64, Member>,
    next_id: u64,
    leases: Leases,
    /// How many consumers the source has a use for.
    limit: Option<watch::Receiver<Limit>>,
    /// How many members there are, for those that wait for the end.
    alive: watch::Sender<usize>,
    stopping: bool,
    pause: Duration,
    replacing: bool,
    /// Rings when the next lease is over.
    timer: Option<SpawnHandle>,
    /// Dropped with this actor, so that its consumers hear of its end.
    life: StopSignal,
    _gone: GoneNotice,
}

impl PoolActor {
    pub(crate) fn new(config: PoolConfig, gone: GoneNotice) -> Self {
        Self {
            leases: Leases::new(config.consumer_lease),
            config,
            members: BTreeMap::new(),
            next_id: 1,
            limit: None,
            alive: watch::Sender::new(0),
            stopping: false,
            pause: FIRST_REPLACEMENT,
            replacing: false,
            timer: None,
            life: StopSignal::new(),
            _gone: gone,
        }
    }

    fn queue(&self) -> &str {
        &self.config.work.queue
    }

    /// Sizes the pool by what a check found; `None` where the lag could not be read.
    fn checked(&mut self, lag: Option<u64>, ctx: &mut Context<Self>) {
        if self.stopping {
            return;
        }
        let now = Instant::now();
        match lag {
            None => self.leases.keep_all(now),
            Some(lag) => {
                let limits = &self.config.limits;
                let leased = self.leases.held(now);
                let before = self.useful(limits.progress.get() + leased);
                let ceiling = sizing::ceiling(limits, self.limit().map(|limit| limit.ceiling));
                let asked = sizing::wanted(limits, ceiling, lag);
                let wanted = self.useful(asked);
                if wanted > before {
                    log::info!(
                        "queue `{}` grows from {before} to {wanted} consumers: its lag of {lag} is above {}",
                        self.queue(),
                        limits.lag_limit
                    );
                }
                self.leases.want(asked - limits.progress.get(), now);
            }
        }
        self.reconcile(ctx);
    }

    /// Starts what is missing, tells to end what is too many, and comes back when the next lease is over.
    fn reconcile(&mut self, ctx: &mut Context<Self>) {
        if self.stopping {
            return;
        }
        let now = Instant::now();
        let leased = self.leases.held(now);
        let size = self.useful(self.config.limits.progress.get() + leased);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let staying = self.members.values().filter(|m| !m.leaving).count();
        if !self.replacing {
            for _ in staying..size {
                self.start_consumer(ctx);
            }
        }
        if staying > size {
            log::info!(
                "queue `{}` shrinks from {staying} to {size} consumers: {}",
                self.queue(),
                self.why_smaller(size)
            );
            // The youngest leave.
            let leaving = self.members.values_mut().rev().filter(|m| !m.leaving);
            for member in leaving.take(staying - size) {
                member.leaving = true;
                member.stop.quiet();
            }
        }
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        if let Some(end) = self.leases.next_end() {
            let wait = end.saturating_duration_since(now);
            self.timer = Some(ctx.run_later(wait, |pool, ctx| {
                pool.timer = None;
                pool.reconcile(ctx);
            }));
        }
    }

    /// What the source has a use for, where it says so.
    fn limit(&self) -> Option<Limit> {
        self.limit.as_ref().map(|limit| *limit.borrow())
    }

    /// So many, or as many of them as have something to do.
    fn useful(&self, size: u32) -> u32 {
        self.limit().map_or(size, |limit| size.min(limit.useful))
    }

    fn why_smaller(&self, size: usize) -> &'static str {
        let useful = self.limit().map(|limit| limit.useful);
        match useful.is_some_and(|useful| usize::try_from(useful) == Ok(size)) {
            true => "this process has no work for more",
            false => "nothing renewed their lease",
        }
    }

    /// Comes back whenever the source has a use for more or fewer.
    fn watch_limit(&mut self, ctx: &mut Context<Self>) {
        self.limit = self.config.work.source.limit();
        let Some(limit) = self.limit.clone() else {
            return;
        };
        let changes = unfold(limit, |mut limit| async move {
            limit.changed().await.is_ok().then_some(((), limit))
        });
        ctx.spawn(
            changes
                .into_actor(self)
                .map(|(), pool, ctx| pool.reconcile(ctx))
                .finish(),
        );
    }

    fn start_consumer(&mut self, ctx: &mut Context<Self>) {
        let id = self.next_id;
        self.next_id += 1;
        let pool = ctx.address().downgrade();
        let gone = GoneNotice::new(move || {
            if let Some(pool) = pool.upgrade() {
                pool.do_send(ConsumerGone { id });
            }
        });
        let work = self.config.work.clone();
        let life = self.life.listen();
        let stop = StopSignal::new();
        let told = stop.clone();
        let addr = ConsumerActor::start_in_arbiter(&self.config.workers.next(), move |_| {
            ConsumerActor::new(work, told, life, gone)
        });
        self.members.insert(
            id,
            Member {
                addr,
                stop,
                born: Instant::now(),
                leaving: false,
            },
        );
        self.alive.send_replace(self.members.len());
    }

    fn consumer_gone(&mut self, id: u64, ctx: &mut Context<Self>) {
        let Some(member) = self.members.remove(&id) else {
            return;
        };
        self.alive.send_replace(self.members.len());
        if member.leaving || self.stopping {
            return;
        }
        if member.born.elapsed() > LIVED_LONG {
            self.pause = FIRST_REPLACEMENT;
        }
        log::error!(
            "queue `{}`: a consumer died and is replaced in {:?}; what it held is given back",
            self.queue(),
            self.pause
        );
        self.replacing = true;
        ctx.run_later(self.pause, |pool, ctx| {
            pool.replacing = false;
            pool.reconcile(ctx);
        });
        self.pause = (self.pause * 2).min(LONGEST_REPLACEMENT);
    }

    fn quiet(&mut self) {
        self.stopping = true;
        for member in self.members.values() {
            member.stop.quiet();
        }
    }

    /// A worker blocked by business code cannot answer, so the deadline is watched here too.
    fn stop(&mut self, deadline: Instant) -> ResponseFuture<usize> {
        self.stopping = true;
        for member in self.members.values() {
            member.stop.stop(deadline);
        }
        let left = left_at(self.alive.subscribe(), deadline);
        let source = Arc::clone(&self.config.work.source);
        Box::pin(async move {
            let left = left.await;
            let within = deadline.saturating_duration_since(Instant::now());
            source.close(within.max(TIME_TO_CLOSE)).await;
            left
        })
    }
}

impl Actor for PoolActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.config.work.source.open();
        self.watch_limit(ctx);
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
        let source = Arc::clone(&self.config.work.source);
        let lag = async move { source.lag().await };
        ctx.spawn(lag.into_actor(self).map(|lag, pool, ctx| {
            let lag = lag.inspect_err(|cause| {
                let level = match cause {
                    SourceError::Said(_) => log::Level::Debug,
                    _ => log::Level::Warn,
                };
                log::log!(
                    level,
                    "queue `{}`: the lag cannot be read, the pool keeps its size: {cause}",
                    pool.queue()
                );
            });
            pool.checked(lag.ok(), ctx);
        }));
    }
}

impl Handler<Quiet> for PoolActor {
    type Result = ();

    fn handle(&mut self, _: Quiet, _: &mut Self::Context) {
        self.quiet();
    }
}

impl Handler<Stop> for PoolActor {
    type Result = ResponseFuture<usize>;

    fn handle(&mut self, Stop { deadline }: Stop, _: &mut Self::Context) -> Self::Result {
        self.stop(deadline)
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
