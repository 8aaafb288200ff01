//! Takes messages of one queue, runs the handler on each, and has their ends made durable.
//!
//! Owns: the messages it fetched, until they are settled.   Told by: PoolActor (Quiet, Stop).
//! Tells: PoolActor (ConsumerGone, when dropped).           Started by: PoolActor, on a worker Arbiter.
//! Ends: on Quiet, after the message that runs; on Stop, by its deadline; when its pool is gone.

mod ahead;
mod held;
mod pace;
#[cfg(test)]
mod tests;
mod work;

use actix::prelude::*;
use tokio::time::Instant;

pub(crate) use self::work::Work;
use crate::gone::GoneNotice;
use crate::stop::{StopListener, StopSignal};

/// Takes no more messages, ends after the one that runs.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Quiet;

/// As Quiet; what still runs at the deadline is given back.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Stop {
    pub(crate) deadline: Instant,
}

/// See the module's header.
pub(crate) struct ConsumerActor {
    work: Option<Work>,
    stop: StopSignal,
    /// Closed when the pool is gone, whichever way it went.
    pool: Option<StopListener>,
    _gone: GoneNotice,
}

impl ConsumerActor {
    pub(crate) fn new(work: Work, pool: StopListener, gone: GoneNotice) -> Self {
        Self {
            work: Some(work),
            stop: StopSignal::new(),
            pool: Some(pool),
            _gone: gone,
        }
    }
}

impl Actor for ConsumerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(work) = self.work.take() {
            let loop_ = work.run(self.stop.listen());
            ctx.spawn(loop_.into_actor(self).map(|(), _, ctx| ctx.stop()));
        }
        if let Some(mut pool) = self.pool.take() {
            let orphaned = async move { pool.quiet().await };
            ctx.spawn(
                orphaned
                    .into_actor(self)
                    .map(|(), actor, _| actor.stop.quiet()),
            );
        }
    }
}

impl Handler<Quiet> for ConsumerActor {
    type Result = ();

    fn handle(&mut self, _: Quiet, _: &mut Self::Context) {
        self.stop.quiet();
    }
}

impl Handler<Stop> for ConsumerActor {
    type Result = ();

    fn handle(&mut self, Stop { deadline }: Stop, _: &mut Self::Context) {
        self.stop.stop(deadline);
    }
}

/// Ends the actor as a panic would, for tests of its owner.
#[cfg(test)]
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Crash;

#[cfg(test)]
impl Handler<Crash> for ConsumerActor {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Self::Context) {
        panic!("crashed by a test");
    }
}
