//! Handlers that take one message.
//!
//! A fast handler runs a million messages a second, and costs less than the steps around it. So the consumer keeps the
//! slot, the guard of the quarantine and the buffer of the message's id from one message to the next. A message is not
//! moved until its handler takes it, and no memory that other workers write is written here, not even a count.

use std::pin::pin;

use super::in_flight::InFlight;
use super::prefetch::Prefetch;
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

/// Runs one consumer's messages one after the other.
pub(super) struct Single<'a> {
    work: &'a Work,
    handler: Handler<Message, ()>,
    ends: &'a Ends,
    watch: Stopwatch,
    /// Dropped when the batch is over, and at once when a suspect waits for it.
    guard: Option<QuarantineGuard>,
    slot: Option<OwnSlot>,
    /// The id of the present message.
    id: String,
}

/// The present message.
struct Turn {
    /// None once its handler has taken it.
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

    /// Runs a batch. Returns the size of the next batch.
    pub(super) async fn run(
        &mut self,
        (mut in_flight, mut permits): (InFlight, Permits),
        prefetch: &mut Prefetch,
        stop: &mut StopListener,
    ) -> u32 {
        self.watch.start();
        while !self.work.rests(stop) {
            if !permits.is_unlimited()
                && !self
                    .may_start((&mut in_flight, &mut permits), prefetch, stop)
                    .await
            {
                break;
            }
            let Some(delivery) = in_flight.start() else {
                break;
            };
            let mut turn = Turn::of(delivery);
            self.watch.message(turn.bytes(), &self.ends.tally);
            self.run_one(&mut turn, &mut in_flight, prefetch, stop)
                .await;
            self.watch.lap_if_full(&self.ends.tally);
            // A handler that never waits would otherwise keep other tasks off this thread.
            tokio::task::coop::consume_budget().await;
        }
        self.watch.stop(&self.ends.tally);
        self.ends.settle_now();
        self.guard = None;
        self.watch.next_size()
    }

    /// Whether there is a message and a permit for it. A message without a permit is released after [`WORK_PER_BATCH`]:
    /// other consumers may have one.
    ///
    /// [`WORK_PER_BATCH`]: super::batch_size::WORK_PER_BATCH
    async fn may_start(
        &mut self,
        (in_flight, permits): (&mut InFlight, &mut Permits),
        prefetch: &mut Prefetch,
        stop: &mut StopListener,
    ) -> bool {
        if in_flight.len() == 0 {
            return false;
        }
        let start = to_the_end(permits.start(), (in_flight, prefetch), stop);
        self.watch.aside(start).await == Some(true)
    }

    /// Runs one message. `in_flight` releases it where it does not come to its end.
    async fn run_one(
        &mut self,
        turn: &mut Turn,
        in_flight: &mut InFlight,
        prefetch: &mut Prefetch,
        stop: &mut StopListener,
    ) {
        let (work, ends) = (self.work, self.ends);
        let Some(message) = &turn.message else {
            return;
        };
        self.id.clone_from(&message.id);
        let beside = matches!(self.guard, Some(QuarantineGuard::Shared { .. }));
        if turn.suspect || !beside || work.quarantine.is_wanted() {
            // The suspect would wait for this guard too.
            self.guard = None;
            let entered = work.quarantine.enter(turn.suspect);
            let entered = to_the_end(entered, (&mut *in_flight, &mut *prefetch), stop);
            self.guard = self.watch.aside(entered).await;
            if self.guard.is_none() {
                return;
            }
        }
        // The claim is checked directly before the start: the wait for the quarantine may have been long.
        let ours = work.ours(&self.id, &turn.receipt, stop);
        if !self.watch.aside(ours).await {
            return in_flight.settle(ends, Disposition::Release).await;
        }
        if let Some(end) = work.used_up(&self.id, turn.attempt, turn.suspect) {
            return in_flight.settle(ends, end).await;
        }
        self.watch.call(turn.arrived_ms, &ends.tally);
        let Some(outcome) = self.call(turn, in_flight, prefetch, stop).await else {
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
                let excused = to_the_end(excused, (&mut *in_flight, &mut *prefetch), stop);
                match self.watch.aside(excused).await {
                    Some(error) => Err(error),
                    // The deadline of the stop came: the message is released.
                    None => return,
                }
            }
        };
        let trace = turn.trace.as_ref();
        let end = within(trace, || {
            work.end(&ends.tally, &self.id, turn.attempt, &outcome)
        });
        self.watch.aside(in_flight.settle(ends, end)).await;
    }

    /// Calls the handler, with the message in the slot. None where the deadline of the stop came first.
    async fn call(
        &mut self,
        turn: &mut Turn,
        in_flight: &mut InFlight,
        prefetch: &mut Prefetch,
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
            // Pinned here and not moved again, as it is large.
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
                    run_to_the_end(job, (in_flight, prefetch), stop, shown).await
                }
                None => run_to_the_end(job, (in_flight, prefetch), stop, shown).await,
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
