//! Messages that were fetched and not settled: they are given back if the one who holds them goes, by a panic too.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::settler::Settler;
use crate::source::{Delivery, End, Receipt, Settled, Source};

/// Holds messages that wait for their turn.
pub(super) struct Held {
    source: Arc<dyn Source>,
    deliveries: VecDeque<Delivery>,
}

impl Held {
    pub(super) fn new(source: &Arc<dyn Source>, deliveries: Vec<Delivery>) -> Self {
        Self {
            source: Arc::clone(source),
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
        give_back(&self.source, self.deliveries.drain(..).map(|d| d.receipt));
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
    source: Arc<dyn Source>,
    receipts: VecDeque<Receipt>,
}

impl Running {
    pub(super) fn new(source: &Arc<dyn Source>, receipts: impl Iterator<Item = Receipt>) -> Self {
        Self {
            source: Arc::clone(source),
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
            settler.settle(Settled { receipt, end }).await;
            self.receipts.pop_front();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        give_back(&self.source, self.receipts.drain(..));
    }
}

fn give_back(source: &Arc<dyn Source>, receipts: impl Iterator<Item = Receipt>) {
    let ends: Vec<Settled> = receipts
        .map(|receipt| Settled {
            receipt,
            end: End::GiveBack,
        })
        .collect();
    if ends.is_empty() {
        return;
    }
    // Without a runtime the process is ending, and the boot's end gives back all it owns.
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        let source = Arc::clone(source);
        runtime.spawn(async move {
            if let Err(cause) = source.settle(ends).await {
                log::warn!(
                    "messages could not be given back, they wait for this daemon's end: {cause}"
                );
            }
        });
    }
}
