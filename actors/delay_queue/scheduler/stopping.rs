//! The stop, and other reasons to release claims that have not started.

use actix::ResponseFuture;
use tokio::time::Instant;

use super::due_queue::Claim;
use super::{Ctx, Scheduler};
use crate::stop::left_at;
use crate::store::rows::TaskEnd;

impl Scheduler {
    /// The first step of a stop: nothing is claimed or started any more, and the waiting tasks are released.
    pub(in crate::delay_queue) fn quiet(&mut self, ctx: &mut Ctx) {
        self.stop.quiet();
        self.release_waiting(ctx);
    }

    /// The second step: running tasks have until the deadline. Answers how many still ran then.
    pub(in crate::delay_queue) fn stop(
        &mut self,
        deadline: Instant,
        ctx: &mut Ctx,
    ) -> ResponseFuture<usize> {
        self.quiet(ctx);
        self.stop.stop(deadline);
        Box::pin(left_at(self.config.running.count(), deadline))
    }

    pub(super) fn release_waiting(&mut self, ctx: &mut Ctx) {
        let waiting = self.due_queue.drain();
        self.release(waiting, ctx);
    }

    /// Releases claims that have not started. Until that is durable they count as running: a stop waits for it.
    pub(super) fn release(&self, waiting: Vec<Claim>, ctx: &mut Ctx) {
        let ends = self.settler.sender();
        self.config.running.begin(&waiting);
        let release = async move {
            for Claim { task, .. } in waiting {
                ends.settle(TaskEnd::released(&task)).await;
            }
        };
        Self::spawn(ctx, release, |_, (), _| {});
    }
}
