//! The stop, and other reasons to release claims that have not started.

use actix::ResponseFuture;

use super::due_queue::Claim;
use super::{Ctx, Scheduler};
use crate::stop::left_at;
use crate::store::rows::TaskEnd;

impl Scheduler {
    /// Releases the waiting tasks when a stop begins. From then on nothing is claimed or started (`rests`).
    pub(super) fn watch_stop(&self, ctx: &mut Ctx) {
        let mut stop = self.stop.clone();
        let begun = async move { stop.quiet().await };
        Self::spawn(ctx, begun, |scheduler, (), ctx| {
            scheduler.release_waiting(ctx);
        });
    }

    /// Answers how many tasks still run at the deadline of the stop, as soon as none does.
    pub(in crate::delay_queue) fn await_end(&mut self, ctx: &mut Ctx) -> ResponseFuture<usize> {
        // What waits is counted while it is released, so it is released before the count. The watch may come later.
        self.release_waiting(ctx);
        let (mut stop, running) = (self.stop.clone(), self.config.running.count());
        Box::pin(async move {
            let deadline = stop.deadline_set().await;
            left_at(running, deadline).await
        })
    }

    pub(super) fn release_waiting(&mut self, ctx: &mut Ctx) {
        let waiting = self.due_queue.drain();
        if !waiting.is_empty() {
            self.release(waiting, ctx);
        }
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
