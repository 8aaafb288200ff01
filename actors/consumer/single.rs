//! Handlers that take one message.
//!
//! With a fast handler the cost of a message is what is done round it, a million times a second. So what can be kept
//! from one message to the next is kept: the slot, the guard of the quarantine, room for a name. A message stays where it lies
//! until its handler takes it, and nothing that other workers write is written here, not even a count.

use std::pin::pin;

use super::in_flight::Held;
use super::prefetch::Ahead;
use super::run_loop::{Work, run_to_the_end, to_the_end};
use super::settling::Ends;
use super::stopwatch::Stopwatch;
use crate::job::{Disposition, Handler, JobResult, Message, excuse, run_in};
use crate::poison::OwnSlot;
use crate::poison::{QuarantineGuard, alone_at_first};
use crate::rate::Permits;
use crate::source::{Delivery, Receipt};
use crate::stop::StopListener;
use crate::trace::{Trace, within};

/// One consumer's way through its messages.
pub(super) struct Single<'a> {
    work: &'a Work,
    handler: Handler<Message, ()>,
    ends: &'a Ends,
    watch: Stopwatch,
    /// The right to run beside others. Given up when the batch is over, and at once when a suspect waits for it.
    guard: Option<QuarantineGuard>,
    slot: Option<OwnSlot>,
    /// The id of the message that has its turn.
    id: String,
}

/// The message that has its turn.
struct Turn {
    /// Until its handler takes it.
    message: Option<Message>,
    receipt: Receipt,
    attempt: u32,
    suspect: bool,
    arrived_ms: Option<i64>,
    trace: Option<Trace>,
}

impl<'a> Single<'a> {
    pub(super) fn new(work: &'a Work, handler: &Handler<Message, ()>, ends: &'a Ends) -> Self {
        Self {
            work,
            handler: handler.unshared_clone(),
            ends,
            watch: Stopwatch::new(),
            guard: None,
            slot: None,
            id: String::new(),
        }
    }

    /// Runs a batch. Answers how many messages the next is to have.
    pub(super) async fn run(
        &mut self,
        (mut held, mut permits): (Held, Permits),
        ahead: &mut Ahead,
        stop: &mut StopListener,
    ) -> u32 {
        self.watch.start();
        while !self.work.rests(stop) {
            if !permits.is_unlimited()
                && !self.may_start((&mut held, &mut permits), ahead, stop).await
            {
                break;
            }
            let Some(delivery) = held.start() else {
                break;
            };
            let mut turn = Turn::of(delivery);
            self.watch.message(turn.bytes(), &self.ends.tally);
            self.run_one(&mut turn, &mut held, ahead, stop).await;
            self.watch.lap_if_full(&self.ends.tally);
            // Handlers that never wait leave their thread to others from time to time all the same.
            tokio::task::coop::consume_budget().await;
        }
        self.watch.stop(&self.ends.tally);
        self.ends.settle_now();
        self.guard = None;
        self.watch.next_size()
    }

    /// Whether there is a message, and a permit for it. What has none soon is released: others may have some.
    async fn may_start(
        &mut self,
        (held, permits): (&mut Held, &mut Permits),
        ahead: &mut Ahead,
        stop: &mut StopListener,
    ) -> bool {
        if held.len() == 0 {
            return false;
        }
        let start = to_the_end(permits.start(), (held, ahead), stop);
        self.watch.aside(start).await == Some(true)
    }

    /// What does not come to its end is released by `held`.
    async fn run_one(
        &mut self,
        turn: &mut Turn,
        held: &mut Held,
        ahead: &mut Ahead,
        stop: &mut StopListener,
    ) {
        let (work, ends) = (self.work, self.ends);
        let Some(message) = &turn.message else {
            return;
        };
        self.id.clone_from(&message.id);
        let beside = matches!(self.guard, Some(QuarantineGuard::Shared { .. }));
        if turn.suspect || !beside || work.quarantine.is_wanted() {
            // Its own must not keep it waiting.
            self.guard = None;
            let entered = work.quarantine.enter(turn.suspect);
            let entered = to_the_end(entered, (&mut *held, &mut *ahead), stop);
            self.guard = self.watch.aside(entered).await;
            if self.guard.is_none() {
                return;
            }
        }
        // Asked directly before it starts: the wait at the quarantine may have been long.
        let ours = work.ours(&self.id, &turn.receipt, stop);
        if !self.watch.aside(ours).await {
            return held.settle(ends, Disposition::Release).await;
        }
        if let Some(end) = work.used_up(&self.id, turn.attempt, turn.suspect) {
            return held.settle(ends, end).await;
        }
        self.watch.call(turn.arrived_ms, &ends.tally);
        let Some(outcome) = self.call(turn, held, ahead, stop).await else {
            log::warn!(
                "queue `{}`: message {} still ran at the deadline and is released",
                work.queue,
                self.id
            );
            return;
        };
        let outcome = match outcome {
            Ok(()) => Ok(()),
            Err(error) => {
                let which = || format!("queue `{}`: message {}", work.queue, self.id);
                let excused = excuse(error, which);
                let excused = to_the_end(excused, (&mut *held, &mut *ahead), stop);
                match self.watch.aside(excused).await {
                    Some(error) => Err(error),
                    // The deadline of the stop: it is released.
                    None => return,
                }
            }
        };
        let trace = turn.trace.as_ref();
        let end = within(trace, || {
            work.end(&ends.tally, &self.id, turn.attempt, &outcome)
        });
        self.watch.aside(held.settle(ends, end)).await;
    }

    /// Under the guard of the quarantine, in the slot. None where the deadline of the stop came first.
    async fn call(
        &mut self,
        turn: &mut Turn,
        held: &mut Held,
        ahead: &mut Ahead,
        stop: &mut StopListener,
    ) -> Option<JobResult> {
        if let Some(message) = &turn.message {
            let identity = self.work.source.identity(message, &turn.receipt);
            match &mut self.slot {
                Some(slot) => slot.name(&identity),
                none => *none = self.work.slot(&[identity]).map(OwnSlot::keep),
            }
        }
        let alone = match turn.suspect {
            true => self.guard.take(),
            false => None,
        };
        let outcome = {
            // Where it lies from here on: it is large.
            let job = pin!(run_in(
                &self.handler,
                &mut turn.message,
                &mut self.slot,
                self.work.timeout,
                turn.trace.clone(),
            ));
            let shown = Some((&*self.work.state, self.id.as_str()));
            match alone {
                Some(guard) => {
                    let job = alone_at_first(guard, job);
                    run_to_the_end(job, (held, ahead), stop, shown).await
                }
                None => run_to_the_end(job, (held, ahead), stop, shown).await,
            }
        };
        if let Some(slot) = &mut self.slot {
            slot.clear();
        }
        outcome
    }
}

impl Turn {
    #[inline]
    fn of(delivery: Delivery) -> Self {
        Self {
            attempt: delivery.message.attempt,
            trace: delivery.message.trace(),
            message: Some(delivery.message),
            receipt: delivery.receipt,
            suspect: delivery.suspect,
            arrived_ms: delivery.arrived_ms,
        }
    }

    fn bytes(&self) -> usize {
        let message = self.message.as_ref();
        message.map_or(0, |message| message.payload.len())
    }
}
