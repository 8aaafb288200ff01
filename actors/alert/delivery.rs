//! The outcome of an alert at its receivers: each has a [`Receipt`] of it, and the code that raised it may wait for
//! all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// How the delivery of one alert ended. Whatever a receiver did not take is a line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Delivered {
    /// Each receiver took it; where an environment has none, the log has it.
    Everywhere,
    /// A receiver refused it, took nothing for five minutes, or had no room: it is not sent again.
    NotEverywhere,
    /// The daemon stopped before a receiver took it; another daemon may send it again.
    CutShort,
}

impl Delivered {
    const ALL: [Self; 3] = [Self::Everywhere, Self::NotEverywhere, Self::CutShort];
}

/// The delivery of one alert, under way. Nobody has to wait for it.
#[derive(Debug)]
pub(crate) struct Delivery {
    first: oneshot::Receiver<()>,
    ended: oneshot::Receiver<Delivered>,
}

impl Delivery {
    /// Waits for the first receiver to take it or to be given up.
    pub(crate) async fn first_ended(&mut self) {
        // A dropped sender is the answer: see `Receipt`. Asked twice, it has ended.
        if !self.first.is_terminated() {
            let _ = (&mut self.first).await;
        }
    }

    /// Waits for the last receiver to take it or to be given up, which takes five minutes after the alerts before it; longer
    /// where a receiver asks for a longer pause.
    pub(crate) async fn ended(self) -> Delivered {
        // A sender that is dropped has sent: see `All`.
        self.ended.await.unwrap_or(Delivered::CutShort)
    }
}

/// One receiver's part in a delivery. Dropped with the alert: a task that dies over an alert leaves nobody waiting.
pub(super) struct Receipt {
    all: Arc<All>,
    /// An alert that is dropped without a word was not taken.
    outcome: Delivered,
}

/// Dropped with the last receipt.
struct All {
    worst: AtomicU8,
    /// Dropped with the first receipt.
    first: Mutex<Option<oneshot::Sender<()>>>,
    ended: Mutex<Option<oneshot::Sender<Delivered>>>,
}

/// A delivery, and the receipts of that many receivers: with none of them, the log has the alert, and so it has ended.
pub(super) fn delivery(receivers: usize) -> (Delivery, Vec<Receipt>) {
    let (first, first_ended) = oneshot::channel();
    let (ended, all_ended) = oneshot::channel();
    let all = Arc::new(All {
        worst: AtomicU8::new(Delivered::Everywhere as u8),
        first: Mutex::new(Some(first)),
        ended: Mutex::new(Some(ended)),
    });
    let receipts = (0..receivers).map(|_| Receipt {
        all: Arc::clone(&all),
        outcome: Delivered::NotEverywhere,
    });
    let delivery = Delivery {
        first: first_ended,
        ended: all_ended,
    };
    (delivery, receipts.collect())
}

impl Receipt {
    /// The receiver's part has ended.
    pub(super) fn settle(mut self, outcome: Delivered) {
        self.outcome = outcome;
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.all
            .worst
            .fetch_max(self.outcome as u8, Ordering::AcqRel);
        let mut first = self.all.first.lock();
        drop(first.take());
    }
}

impl Drop for All {
    fn drop(&mut self) {
        let worst = usize::from(*self.worst.get_mut());
        let ended = self.ended.get_mut();
        if let (Some(ended), Some(worst)) = (ended.take(), Delivered::ALL.get(worst)) {
            // Whoever raised it may not wait.
            let _ = ended.send(*worst);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_delivery_ends_as_its_worst_receiver_does() {
        use Delivered::{CutShort, Everywhere, NotEverywhere};
        for (outcomes, ended) in [
            (&[][..], Everywhere),
            (&[Everywhere, Everywhere], Everywhere),
            (&[NotEverywhere, Everywhere], NotEverywhere),
            (&[Everywhere, CutShort, NotEverywhere], CutShort),
        ] {
            let (delivery, receipts) = delivery(outcomes.len());
            let mut delivery = Box::pin(delivery.ended());
            for (receipt, outcome) in receipts.into_iter().zip(outcomes) {
                assert_eq!(delivery.as_mut().now_or_never(), None, "{outcomes:?}");
                receipt.settle(*outcome);
            }
            assert_eq!(delivery.now_or_never(), Some(ended), "{outcomes:?}");
        }
    }

    #[tokio::test]
    async fn the_first_end_is_known_while_others_are_under_way() {
        let (mut delivery, mut receipts) = delivery(2);
        assert_eq!(delivery.first_ended().now_or_never(), None);
        receipts.remove(1).settle(Delivered::Everywhere);
        assert_eq!(delivery.first_ended().now_or_never(), Some(()));
        assert_eq!(Box::pin(delivery.ended()).as_mut().now_or_never(), None);
        drop(receipts);
        let (mut to_none, _) = super::delivery(0);
        assert_eq!(to_none.first_ended().now_or_never(), Some(()));
    }

    #[tokio::test]
    async fn a_receipt_that_is_dropped_says_not_taken() {
        let (delivery, receipts) = delivery(1);
        drop(receipts);
        assert_eq!(delivery.ended().await, Delivered::NotEverywhere);
    }
}
