//! Messages that were fetched and not settled: they are given back if the one who holds them goes, by a panic too.

use std::collections::VecDeque;
use std::sync::Arc;

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

    pub(super) fn add(&mut self, delivery: Option<Delivery>) {
        self.deliveries.extend(delivery);
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
        give_back(&self.source, self.deliveries.drain(..).map(|d| d.receipt));
    }
}

/// Holds messages that run.
pub(super) struct Running {
    source: Arc<dyn Source>,
    receipts: Vec<Receipt>,
}

impl Running {
    pub(super) fn new(source: &Arc<dyn Source>, receipts: Vec<Receipt>) -> Self {
        Self {
            source: Arc::clone(source),
            receipts,
        }
    }

    /// These run together with those.
    pub(super) fn join(&mut self, mut others: Self) {
        self.receipts.append(&mut others.receipts);
    }

    /// They ended; somebody else sees to it that it becomes durable.
    pub(super) fn ended(mut self) -> Vec<Receipt> {
        std::mem::take(&mut self.receipts)
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
