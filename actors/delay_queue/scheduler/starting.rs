//! Starts each claimed task at its time, as far as there is capacity among the running tasks.

use std::sync::Arc;
use std::time::Duration;

use actix::AsyncContext;

use super::due_queue::Claim;
use super::polling::POLL_AHEAD;
use super::runner::run_claim;
use super::{Ctx, Scheduler};
use crate::clock::{millis, now_ms, until};
use crate::sleep::sleep;

/// Tasks that are handed to the workers at once: the first of them begin while the next are handed over.
const AT_ONCE: usize = 64;
/// The longest that a claimed task waits for capacity; then it is released: other daemons may have capacity. As long as a
/// claim is ahead of its time at most.
const LONGEST_WAIT: Duration = POLL_AHEAD;
/// A longer sleep would miss a jump of the clock.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

impl Scheduler {
    /// Starts what is due; or releases all that waits, while nothing may start.
    pub(super) fn start_due_or_release(&mut self, ctx: &mut Ctx) {
        match self.rests() {
            true => self.release_waiting(ctx),
            false => self.start_due(ctx),
        }
    }

    /// Starts every task whose time has come, and sleeps until the next one's.
    fn start_due(&mut self, ctx: &mut Ctx) {
        let now = now_ms();
        // A poll and a push at the same time may together claim more than there is capacity for: the rest waits here.
        let running = self.config.running.len();
        let capacity = self.config.concurrency.saturating_sub(running);
        let mut capacity = usize::try_from(capacity).unwrap_or(usize::MAX);
        loop {
            let due = std::iter::from_fn(|| self.due_queue.take_due(now));
            let portion: Vec<Claim> = due.take(capacity.min(AT_ONCE)).collect();
            if portion.is_empty() {
                break;
            }
            capacity -= portion.len();
            self.start(portion);
        }
        // Where the next one is due already, the end of a task starts it.
        if let Some(due_ms) = self.due_queue.next_due_ms()
            && due_ms > now
        {
            self.set_timer(due_ms, ctx);
        }
    }

    fn set_timer(&mut self, due_ms: i64, ctx: &mut Ctx) {
        if let Some((at_ms, timer)) = self.timer.take() {
            if at_ms == due_ms {
                self.timer = Some((at_ms, timer));
                return;
            }
            ctx.cancel_future(timer);
        }
        let time = sleep(until(due_ms).min(LONGEST_SLEEP));
        let timer = Self::spawn(ctx, time, |scheduler, (), ctx| {
            scheduler.timer = None;
            scheduler.start_due_or_release(ctx);
        });
        self.timer = Some((due_ms, timer));
    }

    /// Starts these, on each worker in their order.
    fn start(&self, claims: Vec<Claim>) {
        self.config.running.begin(&claims);
        for (worker, share) in self.config.workers.deal(claims) {
            let (config, stop, ends) = (
                Arc::clone(&self.config),
                self.stop.clone(),
                self.settler.sender(),
            );
            worker.spawn_fn(move || {
                for claim in share {
                    let (config, stop, ends) = (Arc::clone(&config), stop.clone(), ends.clone());
                    actix_rt::spawn(run_claim(config, claim, stop, ends));
                }
            });
        }
    }

    /// Releases claimed tasks that have waited for capacity for too long, behind tasks that take long.
    pub(super) fn release_long_waiting(&mut self, ctx: &mut Ctx) {
        let since_ms = now_ms() - millis(LONGEST_WAIT);
        let waiting = self.due_queue.take_ready_before(since_ms);
        if !waiting.is_empty() {
            log::debug!(
                "{} delayed tasks waited more than {LONGEST_WAIT:?} for capacity and are released",
                waiting.len()
            );
            self.release(waiting, ctx);
        }
    }
}
