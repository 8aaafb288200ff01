//! Messages that were fetched and not settled. They are released when their holder is dropped, by a panic too.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::settling::Ends;
use crate::job::{Disposition, settlements};
use crate::source::{Delivery, Fetched, Receipt, Settled, Source, SourceError};
use crate::state::{QueueState, Settlements};
use crate::task::caught;

/// Pause before messages that cannot be released are tried again.
const RELEASE_PAUSE: Duration = Duration::from_secs(1);

/// Where messages come from, and the runtime on which they are released: one without business code, which a handler
/// that blocks its own thread cannot hold up.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) source: Arc<dyn Source>,
    pub(super) home: Handle,
    pub(super) state: Arc<QueueState>,
}

impl Origin {
    /// Makes ends durable, and notes that they are. Answers those that are to be tried again later.
    pub(super) async fn settle(&self, ends: Vec<Settled>) -> Result<Vec<Settled>, SourceError> {
        let all = counts(&ends);
        let later = self.source.settle(ends).await?;
        self.state.settled(all - counts(&later));
        Ok(later)
    }

    /// As [`Origin::settle`], in memory: answers those that need more than that.
    pub(super) fn settle_now(&self, ends: Vec<Settled>) -> Vec<Settled> {
        let all = counts(&ends);
        let later = self.source.settle_now(ends);
        self.state.settled(all - counts(&later));
        later
    }
}

fn counts(ends: &[Settled]) -> Settlements {
    settlements(ends.iter().map(|settled| &settled.disposition))
}

/// Holds messages that wait for their turn, and the one that has it.
pub(super) struct Held {
    origin: Origin,
    /// Peeked at, or added here. They are taken before those of `rest`.
    made: VecDeque<Delivery>,
    /// Not made yet.
    rest: Fetched,
    running: Option<Receipt>,
}

impl Held {
    pub(super) fn new(origin: &Origin, fetched: Fetched) -> Self {
        Self {
            origin: origin.clone(),
            made: VecDeque::new(),
            rest: fetched,
            running: None,
        }
    }

    /// The next one, which is still held until it is settled.
    #[inline]
    pub(super) fn start(&mut self) -> Option<Delivery> {
        let delivery = self.next()?;
        self.running = Some(delivery.receipt);
        Some(delivery)
    }

    /// Hands over the end of the one that was started.
    pub(super) async fn settle(&mut self, ends: &Ends, disposition: Disposition) {
        let Some(receipt) = self.running else {
            return;
        };
        hand_over(&self.origin, ends, receipt, disposition).await;
        self.running = None;
    }

    #[inline]
    pub(super) fn next(&mut self) -> Option<Delivery> {
        self.made.pop_front().or_else(|| self.rest.next())
    }

    pub(super) fn add(&mut self, delivery: Delivery) {
        self.made.push_back(delivery);
    }

    /// All that wait, at once and not only when this is dropped.
    pub(super) fn release(&mut self) {
        self.release_with(None);
    }

    fn release_with(&mut self, running: Option<Receipt>) {
        let waiting = self.made.drain(..).chain(&mut self.rest);
        let waiting = waiting.map(|delivery| delivery.receipt);
        release(&self.origin, running.into_iter().chain(waiting));
    }

    /// The first ones; the others are released.
    pub(super) fn first(mut self, messages: usize) -> Self {
        let mut first = Self::new(&self.origin, crate::source::nothing());
        while first.len() < messages
            && let Some(delivery) = self.next()
        {
            first.add(delivery);
        }
        first
    }

    pub(super) fn len(&self) -> usize {
        self.made.len() + self.rest.len()
    }

    pub(super) fn peek(&mut self) -> Option<&Delivery> {
        if self.made.is_empty() {
            self.made.extend(self.rest.next());
        }
        self.made.front()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let running = self.running.take();
        self.release_with(running);
    }
}

/// Holds messages that run together.
pub(super) struct Running {
    origin: Origin,
    receipts: VecDeque<Receipt>,
}

impl Running {
    pub(super) fn new(origin: &Origin, receipts: impl Iterator<Item = Receipt>) -> Self {
        Self {
            origin: origin.clone(),
            receipts: receipts.collect(),
        }
    }

    /// Hands their ends over, in their order. One that could not be handed over is still held.
    pub(super) async fn settle(
        mut self,
        ends: &Ends,
        dispositions: impl Iterator<Item = Disposition>,
    ) {
        for disposition in dispositions {
            let Some(receipt) = self.receipts.front().copied() else {
                return;
            };
            hand_over(&self.origin, ends, receipt, disposition).await;
            self.receipts.pop_front();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        release(&self.origin, self.receipts.drain(..));
    }
}

async fn hand_over(origin: &Origin, ends: &Ends, receipt: Receipt, disposition: Disposition) {
    if matches!(disposition, Disposition::Retry(_) | Disposition::Release) {
        origin.source.block(&receipt);
    }
    ends.settle(Settled {
        receipt,
        disposition,
    })
    .await;
}

fn release(origin: &Origin, receipts: impl Iterator<Item = Receipt>) {
    let ends: Vec<Settled> = receipts
        .map(|receipt| Settled {
            receipt,
            disposition: Disposition::Release,
        })
        .collect();
    if ends.is_empty() {
        return;
    }
    ends.iter()
        .for_each(|end| origin.source.block(&end.receipt));
    origin.home.spawn(release_all(origin.clone(), ends));
}

/// Tries until it succeeds, for as long as the process lives: a claim that is not released runs nowhere.
async fn release_all(origin: Origin, mut ends: Vec<Settled>) {
    let mut is_logged = false;
    while !ends.is_empty() {
        let why = match caught(origin.settle(ends.clone())).await {
            Ok(Ok(later)) if later.is_empty() => return,
            Ok(Ok(later)) => {
                ends = later;
                "another transaction has locked them".to_owned()
            }
            Ok(Err(cause)) => cause.to_string(),
            Err(panic) => panic,
        };
        if !std::mem::replace(&mut is_logged, true) {
            log::warn!(
                "{} messages cannot be released yet, it is tried again: {why}",
                ends.len()
            );
        }
        tokio::time::sleep(RELEASE_PAUSE).await;
    }
}
