//! Fetches one batch ahead, beside the handler.
//!
//! What is fetched ahead waits for this consumer alone. So it is given back when the handler takes long with what it
//! has: others may have time for it, and a handler that hangs must not keep messages that never came to it.

use tokio::sync::{mpsc, watch};

use super::held::{Held, Origin};
use crate::orders::PauseFlag;
use crate::outage::Outage;
use crate::source::{Fetcher, Reach};
use crate::stop::StopListener;

/// The batches fetched ahead. Dropping it gives them back.
pub(super) struct Ahead {
    /// Messages in the next batch; 0: none for the time being.
    wanted: watch::Sender<u32>,
    batches: mpsc::Receiver<Held>,
}

impl Ahead {
    /// Begins to fetch, until the stop begins.
    pub(super) fn start(
        queue: &str,
        origin: &Origin,
        who: Fetcher,
        first_size: u32,
        (stop, paused): (StopListener, PauseFlag),
    ) -> Self {
        let (wanted, wishes) = watch::channel(first_size);
        let (sender, batches) = mpsc::channel(1);
        let outage = Outage::of_queue(queue, format!("queue `{queue}`"));
        let fetching = fetch(origin.clone(), who, wishes, sender, outage, (stop, paused));
        match origin.source.reach() {
            Reach::Far => drop(origin.home.spawn(fetching)),
            // On this thread. While a handler blocks that, a batch that is fetched waits here as it would there.
            Reach::Near => drop(actix_rt::spawn(fetching)),
        }
        Self { wanted, batches }
    }

    /// The next batch. None when a stop begins.
    pub(super) async fn next(&mut self, stop: &mut StopListener) -> Option<Held> {
        if stop.begun() {
            return None;
        }
        tokio::select! {
            biased;
            () = stop.quiet() => None,
            batch = self.batches.recv() => batch,
        }
    }

    /// Sets the size of the next batch, in messages.
    pub(super) fn want(&self, size: u32) {
        self.wanted.send_replace(size);
    }

    /// Gives back what waits here and there, and fetches nothing until more is wanted.
    pub(super) fn let_go(&mut self, held: &mut Held) {
        self.wanted.send_replace(0);
        held.give_back();
        while let Ok(batch) = self.batches.try_recv() {
            drop(batch);
        }
    }
}

async fn fetch(
    origin: Origin,
    who: Fetcher,
    mut wishes: watch::Receiver<u32>,
    sender: mpsc::Sender<Held>,
    mut outage: Outage,
    (mut stop, paused): (StopListener, PauseFlag),
) {
    // Room first, then the fetch: what was fetched never waits for room.
    while let Ok(room) = sender.reserve().await {
        let size = tokio::select! {
            biased;
            () = stop.quiet() => return,
            size = wishes.wait_for(|size| *size > 0) => match size {
                Ok(size) => *size,
                Err(_) => return,
            },
        };
        if paused.is_on() {
            tokio::select! {
                biased;
                () = stop.quiet() => return,
                () = paused.off() => {}
            }
        }
        match origin.source.fetch(who, size, &mut stop).await {
            Ok(deliveries) => {
                outage.passed();
                origin.state.fetched(deliveries.len());
                let batch = Held::new(&origin, deliveries);
                // Otherwise the handler began to take long in the meantime, or the queue was paused, and the batch is given
                // back.
                if *wishes.borrow() > 0 && !paused.is_on() {
                    room.send(batch);
                }
            }
            Err(cause) => {
                let pause = outage.failed(cause);
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = stop.quiet() => {}
                }
            }
        }
    }
}
