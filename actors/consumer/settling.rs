//! The ends of one consumer's messages, until they are durable.
//!
//! The settler makes the ends of a remote source durable, in the background. Settling ends of an in-process source needs no
//! I/O, so the consumer settles them, many at a time. Until then the settler has them too: a handler that blocks this
//! thread does not delay ends of earlier messages.

use std::time::Duration;

use super::in_flight::Origin;
use crate::settler::{GATHERING, Settler};
use crate::source::{Locality, Settled};
use crate::state::ConsumerTally;

/// Ends that the consumer settles at once.
const PORTION: usize = 64;
/// If the consumer has not settled an end by then, the settler does.
const LEFT_ALONE: Duration = Duration::from_millis(10);

pub(super) struct Ends {
    settler: Settler<Settled>,
    /// Set where the source is [`Locality::InProcess`].
    in_process: Option<Origin>,
    pub(super) tally: ConsumerTally,
}

impl Ends {
    pub(super) fn start(queue: &str, origin: &Origin) -> Self {
        let (in_process, gathering) = match origin.source.locality() {
            Locality::InProcess => (Some(origin.clone()), LEFT_ALONE),
            Locality::Remote => (None, GATHERING),
        };
        let tally = origin.state.join();
        let origin = origin.clone();
        let what = format!("settling of queue `{queue}`");
        let home = origin.home.clone();
        let settler = Settler::start(&home, what, gathering, move |ends| {
            let origin = origin.clone();
            async move { origin.settle(ends).await }
        });
        Self {
            settler,
            in_process,
            tally,
        }
    }

    /// Hands an end over. Waits while the settler is full.
    pub(super) async fn settle(&self, settled: Settled) {
        // Ends that this thread could not settle may wait in the settler for long, and are not tried again with each new
        // end.
        let waiting = self.settler.settle(settled).await;
        if waiting.is_multiple_of(PORTION) {
            self.settle_now();
        }
    }

    /// Settles all ends that need no I/O.
    pub(super) fn settle_now(&self) {
        if let Some(origin) = &self.in_process {
            self.settler.settle_now(|ends| origin.settle_now(ends));
        }
    }

    /// Waits until all ends are durable.
    pub(super) async fn finish(self) {
        self.settler.finish().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use actix::prelude::*;
    use tokio::runtime::Handle;

    use super::*;
    use crate::consumer::ConsumerActor;
    use crate::job::Disposition;
    use crate::source::{Fetcher, Receipt, Source};
    use crate::stop::StopSignal;
    use crate::testing_support::{Deaths, FakeSource, queue_state, settle_down, single, work};

    /// `n` fetched messages, and where their ends go.
    async fn fetched(n: i64) -> (Arc<FakeSource>, Vec<Receipt>, Ends) {
        tokio::time::pause();
        let source = FakeSource::new();
        source.set_in_process();
        source.offer(0..n);
        let who = Fetcher {
            consumer: 1,
            streams: crate::source::Streams::One,
            bytes: u32::MAX,
        };
        let stop = StopSignal::new();
        let fetched = source.fetch(who, 1, &mut stop.listen()).await.unwrap();
        let receipts = fetched.map(|delivery| delivery.receipt).collect();
        let origin = Origin {
            source: Arc::clone(&source) as Arc<dyn Source>,
            home: Handle::current(),
            state: queue_state(),
        };
        (source, receipts, Ends::start("q", &origin))
    }

    async fn settle(ends: &Ends, receipts: &[Receipt], disposition: &Disposition) {
        for receipt in receipts {
            let (receipt, disposition) = (*receipt, disposition.clone());
            ends.settle(Settled {
                receipt,
                disposition,
            })
            .await;
        }
    }

    #[actix::test]
    async fn consumers_settle_in_process_dispositions_many_at_once() {
        let (source, receipts, ends) = fetched(70).await;
        let state = Arc::clone(&ends.in_process.as_ref().unwrap().state);
        settle(&ends, &receipts[..PORTION - 1], &Disposition::Complete).await;
        assert_eq!(source.ends().len(), 0);
        assert_eq!(state.counts().completed, 0, "none is settled");
        settle(&ends, &receipts[PORTION - 1..66], &Disposition::Complete).await;
        assert_eq!(source.ends().len(), PORTION);
        assert_eq!(state.counts().completed, 64);
        ends.settle_now();
        assert_eq!(source.ends().len(), 66);
        settle(&ends, &receipts[66..], &Disposition::Complete).await;
        ends.finish().await;
        assert_eq!(source.ended(&Disposition::Complete).len(), 70);
    }

    #[actix::test]
    async fn what_is_left_alone_is_settled_all_the_same() {
        let (source, receipts, ends) = fetched(2).await;
        settle(&ends, &receipts, &Disposition::Release).await;
        settle_down().await;
        tokio::time::advance(LEFT_ALONE).await;
        source.until(|source| source.ends().len() == 2).await;
        ends.finish().await;
    }

    #[actix::test]
    async fn what_cannot_be_settled_here_and_now_is_left_to_the_settler() {
        let (source, receipts, ends) = fetched(3).await;
        let dead = Disposition::DeadLetter {
            error: "no".to_owned(),
            attempts: 1,
        };
        let state = Arc::clone(&ends.in_process.as_ref().unwrap().state);
        settle(&ends, &receipts[..1], &dead).await;
        settle(&ends, &receipts[1..], &Disposition::Complete).await;
        ends.settle_now();
        let counts = state.counts();
        assert_eq!((counts.completed, counts.dead_lettered), (2, 0));
        assert_eq!(
            (
                source.ended(&Disposition::Complete).len(),
                source.ended(&dead).len()
            ),
            (2, 0)
        );
        source.until(|source| source.ended(&dead).len() == 1).await;
        ends.finish().await;
        assert_eq!(source.ends().len(), 3, "each once");
        let counts = state.counts();
        assert_eq!((counts.completed, counts.dead_lettered), (2, 1));
    }

    #[actix::test]
    async fn a_handler_that_blocks_its_thread_holds_up_no_end_before_it() {
        let source = FakeSource::new();
        source.set_in_process();
        source.offer([1, 2, 3, 4]);
        let (go, quarantine) = mpsc::channel::<()>();
        let quarantine = std::sync::Mutex::new(quarantine);
        let handler = single(move |message| {
            if message.id == "3" {
                quarantine.lock().unwrap().recv().unwrap();
            }
            async { Ok(()) }
        });
        let (work, stop, deaths) = (work(&source, handler), StopSignal::new(), Deaths::new());
        let (listener, notice) = (stop.listen(), deaths.notice());
        ConsumerActor::start_in_arbiter(&Arbiter::new().handle(), move |_| {
            ConsumerActor::new(work, listener, notice)
        });
        source.until_done(2).await;
        assert_eq!(source.out(), [3, 4]);
        go.send(()).unwrap();
        source.until_done(4).await;
        stop.quiet();
        deaths.wait_for(1).await;
    }
}
