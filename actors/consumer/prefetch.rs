//! Fetches one batch ahead, beside the handler.
//!
//! Only this consumer can run a prefetched batch. So the batch is released when the handler takes long with the batch
//! before it: other consumers may have time for it, and a handler that hangs must not keep messages that it never ran.
//!
//! With a `rate_limit` nothing is prefetched: a permit is valid now, and would have expired when its message runs.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::in_flight::{InFlight, Origin};
use crate::orders::PauseFlag;
use crate::outage::Outage;
use crate::rate::{Limiter, Permits};
use crate::source::{Fetcher, Locality};
use crate::stop::StopListener;

/// The prefetched batches. Dropping it releases them.
pub(super) struct Prefetch {
    /// Messages in the next batch; 0: nothing is fetched.
    wanted: watch::Sender<u32>,
    /// Whether the consumer waits for a batch. Set only with a `rate_limit`.
    waits: watch::Sender<bool>,
    rate: Arc<Limiter>,
    batches: mpsc::Receiver<(InFlight, Permits)>,
}

impl Prefetch {
    /// Begins to fetch, until the stop begins.
    pub(super) fn start(
        queue: &str,
        origin: &Origin,
        who: Fetcher,
        first_size: u32,
        (stop, paused): (StopListener, PauseFlag),
        rate: &Arc<Limiter>,
    ) -> Self {
        let (wanted, wishes) = watch::channel(first_size);
        let waits = watch::Sender::new(false);
        let limit = (Arc::clone(rate), waits.subscribe());
        let (sender, batches) = mpsc::channel(1);
        let outage = Outage::of_queue(queue, format!("queue `{queue}`"));
        let fetching = fetch(
            origin.clone(),
            who,
            wishes,
            sender,
            outage,
            (stop, paused),
            limit,
        );
        match origin.source.locality() {
            Locality::Remote => drop(origin.home.spawn(fetching)),
            // On this thread, as a fetched batch waits for the handler anyway while the handler blocks the thread.
            Locality::InProcess => drop(actix_rt::spawn(fetching)),
        }
        Self {
            wanted,
            waits,
            rate: Arc::clone(rate),
            batches,
        }
    }

    /// The next batch. None when a stop begins.
    pub(super) async fn next(&mut self, stop: &mut StopListener) -> Option<(InFlight, Permits)> {
        if stop.begun() {
            return None;
        }
        let is_limited = self.rate.limit().is_some();
        let _waits = is_limited.then(|| Waits::begin(&self.waits));
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

    /// Releases the waiting messages, in flight and prefetched, and fetches nothing until more is wanted.
    pub(super) fn let_go(&mut self, in_flight: &mut InFlight) {
        self.wanted.send_replace(0);
        in_flight.release();
        while let Ok(batch) = self.batches.try_recv() {
            drop(batch);
        }
    }
}

/// The consumer waits for a batch until this is dropped.
struct Waits<'a>(&'a watch::Sender<bool>);

impl<'a> Waits<'a> {
    fn begin(waits: &'a watch::Sender<bool>) -> Self {
        waits.send_replace(true);
        Self(waits)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}

async fn fetch(
    origin: Origin,
    who: Fetcher,
    mut wishes: watch::Receiver<u32>,
    sender: mpsc::Sender<(InFlight, Permits)>,
    mut outage: Outage,
    (mut stop, paused): (StopListener, PauseFlag),
    (rate, mut waits): (Arc<Limiter>, watch::Receiver<bool>),
) {
    // The place in the channel is reserved before the fetch, so a fetched batch never waits for one.
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
        let (size, mut permits) = match rate.limit() {
            None => (size, Permits::unlimited()),
            Some(_) => {
                tokio::select! {
                    biased;
                    () = stop.quiet() => return,
                    waits = waits.wait_for(|waits| *waits) => if waits.is_err() {
                        return;
                    },
                }
                let Some(permitted) = rate.before_fetch(size, &mut stop).await else {
                    return;
                };
                // The permits may have taken long.
                if *wishes.borrow() == 0 || paused.is_on() {
                    continue;
                }
                permitted
            }
        };
        let fetched = origin.source.fetch(who, size, &mut stop).await;
        permits.fetched(fetched.as_ref().map_or(0, |deliveries| deliveries.len()));
        // A reload may have set a limit during the fetch.
        if permits.is_unlimited() && rate.limit().is_some() {
            permits = rate.none_yet();
        }
        match fetched {
            Ok(deliveries) => {
                outage.passed();
                origin.state.fetched(deliveries.len());
                let batch = InFlight::new(&origin, deliveries);
                // Otherwise the handler began to take long during the fetch, or the queue was paused: the batch is released.
                if *wishes.borrow() > 0 && !paused.is_on() {
                    room.send((batch, permits));
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
