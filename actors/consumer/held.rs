//! Messages that were fetched and not settled: they are given back if the one who holds them goes, by a panic too.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::settler::Settler;
use crate::source::{Delivery, End, Receipt, Settled, Source};

/// Where messages come from, and the runtime on which they are given back: one without business code, which a handler
/// that blocks its own thread cannot hold up.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) source: Arc<dyn Source>,
    pub(super) home: Handle,
}

/// Holds messages that wait for their turn.
pub(super) struct Held {
    origin: Origin,
    deliveries: VecDeque<Delivery>,
}

impl Held {
    pub(super) fn new(origin: &Origin, deliveries: Vec<Delivery>) -> Self {
        Self {
            origin: origin.clone(),
            deliveries: deliveries.into(),
        }
    }

    pub(super) fn next(&mut self) -> Option<Delivery> {
        self.deliveries.pop_front()
    }

    pub(super) fn add(&mut self, delivery: Delivery) {
        self.deliveries.push_back(delivery);
    }

    /// All of them, at once and not only when this is dropped.
    pub(super) fn give_back(&mut self) {
        give_back(&self.origin, self.deliveries.drain(..).map(|d| d.receipt));
    }

    pub(super) fn len(&self) -> usize {
        self.deliveries.len()
    }

    pub(super) fn peek(&self) -> Option<&Delivery> {
        self.deliveries.front()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Holds messages that run.
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
        settler: &Settler<Settled>,
        ends: impl Iterator<Item = End>,
    ) {
        for end in ends {
            let Some(receipt) = self.receipts.front().copied() else {
                return;
            };
            if matches!(end, End::Retry(_) | End::GiveBack) {
                self.origin.source.halt(&receipt);
            }
            settler.settle(Settled { receipt, end }).await;
            self.receipts.pop_front();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        give_back(&self.origin, self.receipts.drain(..));
    }
}

fn give_back(origin: &Origin, receipts: impl Iterator<Item = Receipt>) {
    let ends: Vec<Settled> = receipts
        .map(|receipt| Settled {
            receipt,
            end: End::GiveBack,
        })
        .collect();
    if ends.is_empty() {
        return;
    }
    let source = Arc::clone(&origin.source);
    ends.iter().for_each(|end| source.halt(&end.receipt));
    origin.home.spawn(async move {
        if let Err(cause) = source.settle(ends).await {
            log::warn!(
                "messages could not be given back, they wait for this daemon's end: {cause}"
            );
        }
    });
}
