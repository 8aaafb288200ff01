//! Messages in flight: fetched and not settled. Dropping their holder releases them, also when it panics.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::settling::Ends;
use crate::job::{Disposition, settlements};
use crate::source::{Delivery, Fetched, Receipt, Settled, Source, SourceError};
use crate::state::{QueueState, Settlements};
use crate::task::caught;

/// Pause before another attempt to release messages.
const RELEASE_PAUSE: Duration = Duration::from_secs(1);

/// The source of messages, and the runtime that releases them. It runs no business code, so a handler that blocks its
/// thread does not delay a release.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) source: Arc<dyn Source>,
    pub(super) home: Handle,
    pub(super) state: Arc<QueueState>,
}

impl Origin {
    /// Makes ends durable and counts them. Returns the ends that are to be tried again later.
    pub(super) async fn settle(&self, ends: Vec<Settled>) -> Result<Vec<Settled>, SourceError> {
        let all = counts(&ends);
        let later = self.source.settle(ends).await?;
        self.state.settled(all - counts(&later));
        Ok(later)
    }

    /// As [`Origin::settle`], without I/O. Returns the ends that need I/O.
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

/// Holds the messages of one consumer that wait, and the one that runs.
pub(super) struct InFlight {
    origin: Origin,
    /// Messages that were peeked at, or added. They run before those of `rest`.
    made: VecDeque<Delivery>,
    /// Messages that are not made yet; see [`Fetched`].
    rest: Fetched,
    running: Option<Receipt>,
}

impl InFlight {
    pub(super) fn new(origin: &Origin, fetched: Fetched) -> Self {
        Self {
            origin: origin.clone(),
            made: VecDeque::new(),
            rest: fetched,
            running: None,
        }
    }

    /// Starts the next message, which is held until it is settled.
    #[inline]
    pub(super) fn start(&mut self) -> Option<Delivery> {
        let delivery = self.next()?;
        self.running = Some(delivery.receipt);
        Some(delivery)
    }

    /// Hands over the end of the started message.
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

    /// Releases all waiting messages now, not only when this is dropped.
    pub(super) fn release(&mut self) {
        self.release_with(None);
    }

    fn release_with(&mut self, running: Option<Receipt>) {
        let waiting = self.made.drain(..).chain(&mut self.rest);
        let waiting = waiting.map(|delivery| delivery.receipt);
        release(&self.origin, running.into_iter().chain(waiting));
    }

    /// Keeps this number of messages, the first ones, and releases the others.
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

impl Drop for InFlight {
    fn drop(&mut self) {
        let running = self.running.take();
        self.release_with(running);
    }
}

/// Holds the messages of a batch that runs.
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

    /// Hands over the ends of the messages in their order. A message whose end was not handed over is still held.
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
                "{} messages cannot be released yet; the release is tried again: {why}",
                ends.len()
            );
        }
        tokio::time::sleep(RELEASE_PAUSE).await;
    }
}
