//! The loop of one consumer: run the fetched messages (`single.rs`, `batches.rs`), settle their ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;

use super::batch_size::WORK_PER_BATCH;
use super::in_flight::{InFlight, Origin};
use super::prefetch::Prefetch;
use super::settling::Ends;
use super::single::Single;
use crate::clock::{millis, now_ms};
use crate::config::{BatchLimits, RetryRules};
use crate::job::{Consumer, Disposition, JobError, JobResult, after_failure, used_up};
use crate::membership::{Ownership, may_start};
use crate::orders::PauseFlag;
use crate::poison::Quarantine;
use crate::poison::{Identity, Slot, SlotFile};
use crate::rate::Limiter;
use crate::source::{Fetcher, Receipt, Source, Streams};
use crate::state::{QueueState, Tally};
use crate::stop::StopListener;

/// Everything a consumer needs.
#[derive(Clone)]
pub(crate) struct Work {
    /// The `name` of the queue entry.
    pub(crate) queue: Arc<str>,
    pub(crate) source: Arc<dyn Source>,
    /// A runtime without business code. Settling and remote fetches run there.
    pub(crate) home: Handle,
    pub(crate) handler: Consumer,
    pub(crate) retry: RetryRules,
    pub(crate) timeout: Option<Duration>,
    pub(crate) batch: BatchLimits,
    pub(crate) slots: Option<Arc<SlotFile>>,
    pub(crate) quarantine: Quarantine,
    /// While the queue is paused nothing is fetched, and no fetched message starts.
    pub(crate) paused: PauseFlag,
    /// No message starts without its permit.
    pub(crate) rate: Arc<Limiter>,
    /// The figures of the queue for the page, the API and the metrics.
    pub(crate) state: Arc<QueueState>,
}

impl Work {
    /// Works until the stop begins, then until the running messages have ended or the deadline has come.
    pub(crate) async fn run(self, mut stop: StopListener) {
        // A batch handler gets full batches from the start. For other handlers the speed decides.
        let first_size = match &self.handler {
            Consumer::Single(_) => 1,
            Consumer::Batch(_) => self.batch.size.get(),
        };
        let ends = Ends::start(&self.queue, &self.origin());
        let mut prefetch = Prefetch::start(
            &self.queue,
            &self.origin(),
            self.fetcher(),
            first_size,
            (stop.clone(), self.paused.clone()),
            &self.rate,
        );
        match &self.handler {
            Consumer::Single(handler) => {
                let mut single = Single::new(&self, handler, &ends);
                while let Some((in_flight, permits)) = prefetch.next(&mut stop).await {
                    let batch = (in_flight, permits);
                    let next_size = single.run(batch, &mut prefetch, &mut stop).await;
                    prefetch.want(next_size);
                }
            }
            Consumer::Batch(handler) => {
                let handler = handler.unshared_clone();
                while let Some(fetched) = prefetch.next(&mut stop).await {
                    self.run_batches(&handler, fetched, &mut prefetch, &ends, &mut stop)
                        .await;
                    prefetch.want(self.batch.size.get());
                }
            }
        }
        // Releases the prefetched batch.
        drop(prefetch);
        ends.finish().await;
    }

    /// Whether no message may start now: messages that have not started are released.
    pub(super) fn rests(&self, stop: &StopListener) -> bool {
        stop.begun() || self.paused.is_on()
    }

    fn fetcher(&self) -> Fetcher {
        static CONSUMERS: AtomicU64 = AtomicU64::new(1);
        Fetcher {
            consumer: CONSUMERS.fetch_add(1, Ordering::Relaxed),
            streams: match &self.handler {
                Consumer::Single(_) => Streams::One,
                Consumer::Batch(_) => Streams::Many,
            },
            bytes: self.batch.bytes,
        }
    }

    pub(super) fn origin(&self) -> Origin {
        Origin {
            source: Arc::clone(&self.source),
            home: self.home.clone(),
            state: Arc::clone(&self.state),
        }
    }

    /// Whether the delivery may start. It may not where another daemon took it over. While that is uncertain, because the
    /// heartbeats are late, it waits. Releasing it is safe in every case: a release names its claim and matches no other.
    pub(super) async fn ours(&self, id: &str, receipt: &Receipt, stop: &StopListener) -> bool {
        let ownership = || self.source.ownership(receipt);
        if may_start(ownership, stop).await {
            return true;
        }
        if ownership() == Ownership::Blocked {
            log::debug!(
                "queue `{}`: message {id} waits for one before it",
                self.queue
            );
            return false;
        }
        log::warn!(
            "queue `{}`: message {id} does not start here, this daemon had been silent for too long",
            self.queue
        );
        false
    }

    /// A slot with the names of these messages. If they end the process, the next start reads it.
    pub(super) fn slot(&self, identities: &[Identity<'_>]) -> Option<Slot> {
        let slot = self.slots.as_ref()?.take_batch(identities);
        slot.inspect_err(|cause| {
            log::error!(
                "queue `{}`: {} messages run without a slot, so the next start will not know if they end the process: {cause}",
                self.queue,
                identities.len()
            );
        })
        .ok()
    }

    /// The disposition of a message whose attempts are used up; none while it may run.
    pub(super) fn used_up(&self, id: &str, attempt: u32, suspect: bool) -> Option<Disposition> {
        let had = attempt.saturating_sub(1);
        (attempt > self.retry.max_attempts.get())
            .then(|| self.disposition(id, had, &used_up(had, &self.retry, suspect)))
    }

    /// The disposition of a message whose handler has returned.
    pub(super) fn end(
        &self,
        tally: &Tally,
        id: &str,
        attempt: u32,
        outcome: &JobResult,
    ) -> Disposition {
        let Err(error) = outcome else {
            return Disposition::Complete;
        };
        let disposition = self.disposition(id, attempt, error);
        if disposition != Disposition::Release {
            tally.failed(error.kind());
            self.state
                .failed(id, attempt, error.kind(), &error.to_string());
        }
        disposition
    }

    fn disposition(&self, id: &str, attempt: u32, error: &JobError) -> Disposition {
        let disposition = after_failure(error, attempt, &self.retry, fastrand::f64());
        match &disposition {
            Disposition::Retry(after) => log::warn!(
                "queue `{}`: message {id} failed on attempt {attempt} and runs again in {after:.1?}: {error}",
                self.queue
            ),
            Disposition::DeadLetter { .. } => log::error!(
                "queue `{}`: message {id} failed on attempt {attempt} and goes to the dead letters: {error}",
                self.queue
            ),
            Disposition::Release => {
                log::debug!("queue `{}`: message {id} is released: {error}", self.queue);
            }
            // No failure completes a job.
            Disposition::Complete => {}
        }
        disposition
    }
}

/// Waits for a future that is not the handler; see [`run_to_the_end`].
pub(super) async fn to_the_end<T>(
    wait: impl Future<Output = T>,
    waiting: (&mut InFlight, &mut Prefetch),
    stop: &mut StopListener,
) -> Option<T> {
    run_to_the_end(wait, waiting, stop, None).await
}

/// Waits for the job's end. None where the deadline of the stop came first. After [`WORK_PER_BATCH`] this consumer's
/// waiting messages are released, and the job is shown among the running ones.
pub(super) async fn run_to_the_end<T>(
    job: impl Future<Output = T>,
    (in_flight, prefetch): (&mut InFlight, &mut Prefetch),
    stop: &mut StopListener,
    shown: Option<(&QueueState, &str)>,
) -> Option<T> {
    let mut job = std::pin::pin!(job);
    // A fast job has mostly ended by now, and a timer would cost more than the job.
    if let Poll::Ready(ended) = futures_util::poll!(&mut job) {
        return Some(ended);
    }
    tokio::select! {
        biased;
        ended = &mut job => return Some(ended),
        () = stop.deadline() => return None,
        () = tokio::time::sleep(WORK_PER_BATCH) => prefetch.let_go(in_flight),
    }
    let since_ms = now_ms() - millis(WORK_PER_BATCH);
    let _shown = shown.map(|(state, id)| state.runs(id, since_ms));
    tokio::select! {
        biased;
        ended = job => Some(ended),
        () = stop.deadline() => None,
    }
}
