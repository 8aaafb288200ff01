//! Keeps the consumers of one queue entry, as many as its lag asks for.
//!
//! Owns: the consumers and their number.   Told by: SupervisorActor (Quiet, Stop), itself (LagCheck),
//!                                         its consumers (ConsumerGone).
//! Tells: ConsumerActor (StopSignal).       Started by: SupervisorActor, one per live queue entry.
//! Ends: on Stop, after its consumers; never by itself.

mod lease;
#[cfg(test)]
mod many_tests;
mod sizing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::stream::unfold;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use self::lease::Leases;
pub(crate) use self::sizing::enough;
use crate::config::PoolLimits;
use crate::consumer::{ConsumerActor, Work};
use crate::gone::GoneNotice;
use crate::source::Limit;
use crate::stop::{StopSignal, left_at};
use crate::workers::Workers;

/// Pauses before a dead consumer is replaced: they double from the first to the longest, and start anew once one has
/// lived for long enough.
const FIRST_REPLACEMENT: Duration = Duration::from_millis(100);
const LONGEST_REPLACEMENT: Duration = Duration::from_secs(30);
const LIVED_LONG: Duration = Duration::from_secs(60);

/// A lag that was not read after so long is not known. Shorter than the pause between two checks usually is, longer than
/// anything takes that will still be answered.
const LAG_PATIENCE: Duration = Duration::from_secs(30);

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
    /// How many members there should be.
    size: u32,
    /// What the last check found; `None` where the lag could not be read.
    last_lag: Option<u64>,
    /// A check waits for its answer.
    checking: bool,
    /// Another one was asked for meanwhile.
    check_again: bool,
    /// The last lag was not told in time, and that was said.
    lag_unknown: bool,
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
            size: 0,
            last_lag: None,
            checking: false,
            check_again: false,
            lag_unknown: false,
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
        self.last_lag = lag;
        match lag {
            None => self.leases.keep_all(now),
            Some(lag) => {
                log::debug!("queue `{}` has a lag of {lag}", self.queue());
                let limits = &self.config.limits;
                let ceiling = sizing::ceiling(limits, self.limit().map(|limit| limit.ceiling));
                let asked = sizing::wanted(limits, ceiling, lag);
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
        self.tell_growth(size);
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

    /// The size it is to have. Those at rest are no growth, nor is one in the place of a dead one.
    fn tell_growth(&mut self, size: u32) {
        let rest = self.useful(self.config.limits.progress.get());
        let before = std::mem::replace(&mut self.size, size).max(rest);
        if size > before {
            let why = match self.last_lag {
                Some(lag) => format!(
                    "its lag of {} is above {}",
                    self.shown(lag),
                    self.config.limits.lag_limit
                ),
                None => "this process has work for more".to_owned(),
            };
            log::info!(
                "queue `{}` grows from {before} to {size} consumers: {why}",
                self.queue()
            );
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

    /// A lag for people: it may not have been counted to its end.
    fn shown(&self, lag: u64) -> String {
        match lag == enough(&self.config.limits) {
            true => format!("{lag} or more"),
            false => lag.to_string(),
        }
    }

    fn why_smaller(&self, size: usize) -> String {
        let useful = self.limit().map(|limit| limit.useful);
        if useful.is_some_and(|useful| usize::try_from(useful) == Ok(size)) {
            return "this process has no work for more".to_owned();
        }
        let limit = self.config.limits.lag_limit;
        match self.last_lag {
            Some(lag) if lag <= limit => {
                format!("its lag of {lag} is not above {limit}, and leases are over")
            }
            Some(lag) => format!(
                "its lag of {} asks for no more, and leases are over",
                self.shown(lag)
            ),
            None => "nothing renewed their lease".to_owned(),
        }
    }

    /// Asks for the lag; one question at a time.
    fn check_lag(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.checking, true) {
            self.check_again = true;
            return;
        }
        let source = Arc::clone(&self.config.work.source);
        let lag = async move { timeout(LAG_PATIENCE, source.lag()).await };
        ctx.spawn(lag.into_actor(self).map(|lag, pool, ctx| {
            pool.checking = false;
            let lag = match lag {
                Ok(Ok(lag)) => Some(lag),
                // Each source tells of its outages, in two lines.
                Ok(Err(cause)) => {
                    log::debug!("queue `{}`: the lag cannot be read: {cause}", pool.queue());
                    None
                }
                Err(_) => pool.lag_not_told(),
            };
            if lag.is_some() && std::mem::take(&mut pool.lag_unknown) {
                log::info!("queue `{}`: its lag is told again", pool.queue());
            }
            pool.checked(lag, ctx);
            if std::mem::take(&mut pool.check_again) {
                pool.check_lag(ctx);
            }
        }));
    }

    /// One line for an outage, however many checks it lasts.
    fn lag_not_told(&mut self) -> Option<u64> {
        if !std::mem::replace(&mut self.lag_unknown, true) {
            log::warn!(
                "queue `{}`: its lag was not told within {LAG_PATIENCE:?}, until it is the pool keeps its size",
                self.queue()
            );
        }
        None
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
        self.check_lag(ctx);
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
