//! Handlers that take one message.
//!
//! With a fast handler the cost of a message is what is done round it, a million times a second. So what can be kept
//! from one message to the next is kept: the slot, the pass of the gate, the moment at which the last one ended.

use std::pin::pin;

use tokio::time::Instant;

use super::ahead::Ahead;
use super::held::Held;
use super::pace::Pace;
use super::work::{Work, to_the_end};
use crate::job::slots::OwnSlot;
use crate::job::{Handler, JobResult, Message, Pass, alone_at_first, run_in};
use crate::settler::Settler;
use crate::source::{Delivery, End, Settled};
use crate::stop::StopListener;

/// One consumer's way through its messages.
pub(super) struct Single<'a> {
    work: &'a Work,
    handler: &'a Handler<Message, ()>,
    settler: &'a Settler<Settled>,
    pace: Pace,
    /// The right to run beside others. Given up when the batch is over, and at once when a suspect waits for it.
    pass: Option<Pass>,
    slot: Option<OwnSlot>,
}

impl<'a> Single<'a> {
    pub(super) fn new(
        work: &'a Work,
        handler: &'a Handler<Message, ()>,
        settler: &'a Settler<Settled>,
    ) -> Self {
        Self {
            work,
            handler,
            settler,
            pace: Pace::new(),
            pass: None,
            slot: None,
        }
    }

    /// Runs a batch. Answers how many messages the next is to have.
    pub(super) async fn run(
        &mut self,
        mut held: Held,
        ahead: &mut Ahead,
        stop: &mut StopListener,
    ) -> u32 {
        let mut started = Instant::now();
        while !stop.begun()
            && let Some(delivery) = held.start()
        {
            let bytes = delivery.message.payload.len();
            self.run_one(delivery, &mut held, ahead, stop).await;
            let ended = Instant::now();
            self.pace.note(ended - started, bytes);
            started = ended;
            // Handlers that never wait leave their thread to others from time to time all the same.
            tokio::task::coop::consume_budget().await;
        }
        self.pass = None;
        self.pace.next_size()
    }

    /// What does not come to its end is given back by `held`.
    async fn run_one(
        &mut self,
        delivery: Delivery,
        held: &mut Held,
        ahead: &mut Ahead,
        stop: &mut StopListener,
    ) {
        let (work, settler) = (self.work, self.settler);
        let beside = matches!(self.pass, Some(Pass::Beside { .. }));
        if delivery.suspect || !beside || work.gate.is_wanted() {
            // Its own must not keep it waiting.
            self.pass = None;
            let entered = work.gate.enter(delivery.suspect);
            self.pass = to_the_end(entered, (&mut *held, &mut *ahead), stop).await;
            if self.pass.is_none() {
                return;
            }
        }
        // Asked directly before it starts: the wait at the gate may have been long.
        if !work.ours(&delivery, stop).await {
            return held.settle(settler, End::GiveBack).await;
        }
        let attempt = delivery.message.attempt;
        let id = delivery.message.id.clone();
        if let Some(end) = work.used_up(&id, attempt) {
            return held.settle(settler, end).await;
        }
        let Some(outcome) = self.call(delivery, held, ahead, stop).await else {
            log::warn!(
                "queue `{}`: message {id} still ran at the deadline and is given back",
                work.queue
            );
            return;
        };
        let end = work.end(&id, attempt, &outcome);
        held.settle(settler, end).await;
    }

    /// Under the pass, in the slot. None where the deadline of the stop came first.
    async fn call(
        &mut self,
        delivery: Delivery,
        held: &mut Held,
        ahead: &mut Ahead,
        stop: &mut StopListener,
    ) -> Option<JobResult> {
        match &mut self.slot {
            Some(slot) => slot.name(&self.work.source.identity(&delivery)),
            none => *none = self.work.slot(&[&delivery]).map(OwnSlot::keep),
        }
        let suspect = delivery.suspect;
        let alone = match suspect {
            true => self.pass.take(),
            false => None,
        };
        let outcome = {
            // Where it lies from here on: it is large.
            let job = pin!(run_in(
                self.handler,
                delivery.message,
                &mut self.slot,
                self.work.timeout,
            ));
            match alone {
                Some(pass) => to_the_end(alone_at_first(pass, job), (held, ahead), stop).await,
                None => to_the_end(job, (held, ahead), stop).await,
            }
        };
        if let Some(slot) = &mut self.slot {
            slot.clear();
        }
        outcome
    }
}
