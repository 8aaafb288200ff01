//! Handlers that take a batch of messages.

use std::time::Duration;

use tokio::time::Instant;

use super::in_flight::{InFlight, Running};
use super::prefetch::Prefetch;
use super::run_loop::{Work, run_to_the_end, to_the_end};
use super::settling::Ends;
use crate::clock::now_ms;
use crate::job::{BatchHandler, Disposition, run_batch};
use crate::poison::alone_at_first;
use crate::rate::Permits;
use crate::source::{Delivery, nothing};
use crate::stop::StopListener;

impl Work {
    /// Runs full batches while there are messages. The last batch of a fetch waits up to `batch_wait` for more messages.
    pub(super) async fn run_batches(
        &self,
        handler: &BatchHandler,
        (mut in_flight, mut permits): (InFlight, Permits),
        prefetch: &mut Prefetch,
        ends: &Ends,
        stop: &mut StopListener,
    ) {
        // Messages that did not fit into a batch (a suspect, or more than one batch) run without another fetch.
        while in_flight.peek().is_some() && !self.rests(stop) {
            let mut batch = self
                .fill(&mut in_flight, &mut permits, prefetch, stop)
                .await;
            if self.rests(stop) {
                return;
            }
            if !permits.is_unlimited() {
                let messages = u32::try_from(batch.len()).unwrap_or(u32::MAX);
                let start = permits.start_some(messages);
                let start = to_the_end(start, (&mut in_flight, &mut *prefetch), stop).await;
                match start {
                    None | Some(0) => return,
                    Some(started) => {
                        batch = batch.first(usize::try_from(started).unwrap_or(usize::MAX))
                    }
                }
            }
            let waiting = (&mut in_flight, &mut *prefetch);
            self.run_batch(handler, batch, waiting, ends, stop).await;
        }
    }

    /// The next batch, full by the number of its messages or by their bytes. When a stop begins it returns the messages that
    /// it has by then.
    async fn fill(
        &self,
        in_flight: &mut InFlight,
        permits: &mut Permits,
        prefetch: &mut Prefetch,
        stop: &mut StopListener,
    ) -> InFlight {
        let full = usize::try_from(self.batch.size.get()).unwrap_or(usize::MAX);
        let most_bytes = usize::try_from(self.batch.bytes).unwrap_or(usize::MAX);
        let mut batch = InFlight::new(&self.origin(), nothing());
        let wait_until = Instant::now() + self.batch.wait;
        let mut bytes = 0_usize;
        while !stop.begun() && batch.len() < full {
            let next = in_flight.peek();
            // A suspect is a batch of its own.
            let suspect_next = next.is_some_and(|delivery| delivery.suspect);
            let through = bytes.saturating_add(next.map_or(0, bytes_of));
            if batch.len() > 0 && (suspect_next || through > most_bytes) {
                break;
            }
            if let Some(delivery) = in_flight.next() {
                bytes = through;
                batch.add(delivery);
                if suspect_next {
                    break;
                }
                continue;
            }
            tokio::select! {
                more = prefetch.next(stop) => match more {
                    Some((more, more_permits)) => {
                        *in_flight = more;
                        permits.absorb(more_permits);
                    }
                    None => break,
                },
                () = tokio::time::sleep_until(wait_until) => break,
            }
        }
        batch
    }

    async fn run_batch(
        &self,
        handler: &BatchHandler,
        mut filled: InFlight,
        waiting: (&mut InFlight, &mut Prefetch),
        ends: &Ends,
        stop: &mut StopListener,
    ) {
        let (in_flight, prefetch) = waiting;
        let suspect = filled.peek().is_some_and(|delivery| delivery.suspect);
        let entered = self.quarantine.enter(suspect);
        let Some(guard) = to_the_end(entered, (&mut *in_flight, &mut *prefetch), stop).await else {
            return;
        };
        let mut ours = InFlight::new(&self.origin(), nothing());
        while let Some(delivery) = filled.peek() {
            let Delivery {
                message,
                receipt,
                suspect,
                ..
            } = delivery;
            let end = match self.ours(&message.id, receipt, stop).await {
                true => self.used_up(&message.id, message.attempt, *suspect),
                false => Some(Disposition::Release),
            };
            let Some(delivery) = filled.next() else {
                break;
            };
            match end {
                None => ours.add(delivery),
                Some(end) => {
                    let receipt = std::iter::once(delivery.receipt);
                    let not_run = Running::new(&self.origin(), receipt);
                    not_run.settle(ends, std::iter::once(end)).await;
                }
            }
        }
        let batch: Vec<Delivery> = std::iter::from_fn(|| ours.next()).collect();
        if batch.is_empty() {
            return;
        }
        let running = Running::new(&self.origin(), batch.iter().map(|d| d.receipt));
        // A crash is recorded for each message of the batch, and each of them then runs alone.
        let slot = {
            let identities = batch
                .iter()
                .map(|delivery| self.source.identity(&delivery.message, &delivery.receipt));
            self.slot(&identities.collect::<Vec<_>>())
        };
        let now = now_ms();
        ends.tally.busy(now);
        ends.tally
            .handles(batch.iter().filter_map(|d| d.arrived_ms).min());
        for arrived_ms in batch.iter().filter_map(|delivery| delivery.arrived_ms) {
            // Clocks of two machines may differ.
            let waited = u64::try_from(now - arrived_ms).unwrap_or(0);
            ends.tally.waited(Duration::from_millis(waited), 1);
        }
        let names: Vec<(String, u32)> = batch
            .iter()
            .map(|d| (d.message.id.clone(), d.message.attempt))
            .collect();
        let messages = batch.into_iter().map(|delivery| delivery.message).collect();
        let job = alone_at_first(guard, run_batch(handler, messages, slot, self.timeout));
        let shown = names.first().map(|(id, _)| match names.len() {
            1 => id.clone(),
            n => format!("{id} and {} more", n - 1),
        });
        let shown = shown.as_deref().map(|id| (&*self.state, id));
        let began = Instant::now();
        let ended = run_to_the_end(job, (in_flight, prefetch), stop, shown).await;
        ends.tally.handled(began.elapsed(), 1);
        ends.tally.idle();
        let Some(outcomes) = ended else {
            log::warn!(
                "queue `{}`: a batch of {} messages still ran at the deadline and is released",
                self.queue,
                names.len()
            );
            return;
        };
        let outcomes = names
            .into_iter()
            .zip(outcomes)
            .map(|((id, attempt), outcome)| self.end(&ends.tally, &id, attempt, &outcome));
        running.settle(ends, outcomes).await;
        ends.settle_now();
    }
}

fn bytes_of(delivery: &Delivery) -> usize {
    let message = &delivery.message;
    let headers = message.headers.iter();
    let headers: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
    message.payload.len() + message.key.as_ref().map_or(0, bytes::Bytes::len) + headers
}
