//! The end: what waits is given back, what runs has until the deadline.

use std::time::Duration;

use actix::prelude::*;
use tokio::time::{Instant, timeout_at};

use super::DelayQueueActor;
use super::agenda::Claim;
use crate::db::rows::{TaskEnd, TaskOutcome};

/// After the deadline tasks have so long to be given back.
const LAST_WORDS: Duration = Duration::from_millis(200);

impl DelayQueueActor {
    pub(super) fn quiet(&mut self, ctx: &mut Context<Self>) {
        if let Some(engine) = &mut self.engine {
            engine.stop.quiet();
            self.give_back_waiting(ctx);
        }
    }

    pub(super) fn give_back_waiting(&mut self, ctx: &mut Context<Self>) {
        let Some(engine) = &mut self.engine else {
            return;
        };
        let Some(settler) = &engine.settler else {
            return;
        };
        let waiting = engine.agenda.drain();
        let ends = settler.sender();
        for claim in &waiting {
            engine.config.running.begin(claim.task.id, claim.overdue);
        }
        let give_back = async move {
            for Claim { task, .. } in waiting {
                let end = TaskEnd {
                    id: task.id,
                    fence: task.fence,
                    outcome: TaskOutcome::GiveBack,
                };
                // The receiver outlives every sender.
                let _ = ends.send(end).await;
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
        let mut busy = engine.config.running.count();
        Box::pin(async move {
            let all_ended = busy.wait_for(|busy| *busy == 0);
            let in_time = timeout_at(deadline + LAST_WORDS, all_ended).await.is_ok();
            if in_time { 0 } else { *busy.borrow() }
        })
    }
}
