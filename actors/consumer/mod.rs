//! Takes messages of one queue, runs the handler on each, and has their ends made durable.
//!
//! Owns: the messages it fetched, until they are settled.   Receives from: PoolActor (by a StopSignal).
//! Sends to: PoolActor (ConsumerGone, when dropped).        Started by: PoolActor, on a worker Arbiter.
//! Ends: after the running message when it is quieted or its pool is gone; at a stop by the deadline.

mod batch_size;
mod batches;
mod in_flight;
mod prefetch;
mod run_loop;
mod settling;
mod single;
mod stopwatch;
#[cfg(test)]
mod tests;

use actix::prelude::*;

pub(crate) use self::run_loop::Work;
use crate::drop_notice::GoneNotice;
use crate::stop::StopListener;

/// See the module's header.
pub(crate) struct ConsumerActor {
    /// What it does, and its stop signal, until it starts. The signal is this consumer's own, below its pool's, and its owner is
    /// the pool. It is not an actor message: a handler that blocks this thread would delay the actor message, and waiting
    /// messages would still start.
    work: Option<(Work, StopListener)>,
    _gone: GoneNotice,
}

impl ConsumerActor {
    pub(crate) fn new(work: Work, stop: StopListener, gone: GoneNotice) -> Self {
        Self {
            work: Some((work, stop)),
            _gone: gone,
        }
    }
}

impl Actor for ConsumerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some((work, stop)) = self.work.take() {
            let loop_ = work.run(stop);
            ctx.spawn(loop_.into_actor(self).map(|(), _, ctx| ctx.stop()));
        }
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
