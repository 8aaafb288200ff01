//! The stop: waiting tasks are released, running tasks have until the deadline.

use actix::prelude::*;
use tokio::time::Instant;

use super::DelayQueueActor;
use super::due_queue::Claim;
use crate::stop::left_at;
use crate::store::rows::TaskEnd;

impl DelayQueueActor {
    pub(super) fn quiet(&mut self, ctx: &mut Context<Self>) {
        if let Some(engine) = &mut self.engine {
            engine.stop.quiet();
            self.give_back_waiting(ctx);
        }
    }

    pub(super) fn give_back_waiting(&mut self, ctx: &mut Context<Self>) {
        if let Some(engine) = &mut self.engine {
            let waiting = engine.due_queue.drain();
            self.release(waiting, ctx);
        }
    }

    /// Hands claims back that have not started.
    pub(super) fn release(&mut self, waiting: Vec<Claim>, ctx: &mut Context<Self>) {
        let Some(engine) = &mut self.engine else {
            return;
        };
        let Some(settler) = &engine.settler else {
            return;
        };
        let ends = settler.sender();
        engine.config.running.begin(&waiting);
        let give_back = async move {
            for Claim { task, .. } in waiting {
                ends.settle(TaskEnd::released(&task)).await;
            }
        };
        ctx.spawn(give_back.into_actor(self));
    }

    pub(super) fn stop(
        &mut self,
        deadline: Instant,
        ctx: &mut Context<Self>,
    ) -> ResponseFuture<usize> {
        self.quiet(ctx);
        let Some(engine) = &mut self.engine else {
            return Box::pin(std::future::ready(0));
        };
        engine.stop.stop(deadline);
        Box::pin(left_at(engine.config.running.count(), deadline))
    }
}
