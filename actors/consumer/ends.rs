//! The ends of one consumer's messages, on their way to be durable.
//!
//! Where a queue is elsewhere, the settler makes them durable in the background. Where it is in this process there is
//! nothing to wait for, so they are settled by who runs the messages, many at a time. The settler has them meanwhile: a
//! handler that blocks this thread holds up none that ended before it.

use std::sync::Arc;
use std::time::Duration;

use super::held::Origin;
use crate::settler::{GATHERING, Settler};
use crate::source::{Reach, Settled, Source};

/// So many are settled at once by who runs the messages.
const PORTION: usize = 64;
/// After so long the settler does it: who runs the messages has not come to it.
const LEFT_ALONE: Duration = Duration::from_millis(10);

pub(super) struct Ends {
    settler: Settler<Settled>,
    /// Where it is in this process.
    near: Option<Arc<dyn Source>>,
}

impl Ends {
    pub(super) fn start(queue: &str, origin: &Origin) -> Self {
        let (near, gathering) = match origin.source.reach() {
            Reach::Near => (Some(Arc::clone(&origin.source)), LEFT_ALONE),
            Reach::Far => (None, GATHERING),
        };
        let source = Arc::clone(&origin.source);
        let what = format!("settling of queue `{queue}`");
        let settler = Settler::start(&origin.home, what, gathering, move |ends| {
            let source = Arc::clone(&source);
            async move { source.settle(ends).await }
        });
        Self { settler, near }
    }

    /// Waits while there is no room.
    pub(super) async fn settle(&self, settled: Settled) {
        if self.settler.settle(settled).await >= PORTION {
            self.settle_now();
        }
    }

    /// What can be settled here and now is.
    pub(super) fn settle_now(&self) {
        if let Some(source) = &self.near {
            self.settler.settle_now(|ends| source.settle_now(ends));
        }
    }

    /// Waits until all are durable.
    pub(super) async fn finish(self) {
        self.settler.finish().await;
    }
}
