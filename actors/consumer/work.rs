//! The loop of one consumer: run what was fetched, settle its ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::ahead::Ahead;
use super::held::{Held, Origin, Running};
use super::pace::{Pace, WORK_PER_BATCH};
use crate::config::{BatchLimits, RetryRules};
use crate::db::{Standing, may_start};
use crate::job::slots::{Slot, SlotFile};
use crate::job::{
    BatchHandler, Consumer, Gate, Handler, JobError, JobResult, Message, USED_UP, Verdict,
    alone_at_first, run, run_batch, verdict,
};
use crate::settler::Settler;
use crate::source::{Breadth, Delivery, End, Fetcher, Settled, Source};
use crate::stop::StopListener;

/// Everything a consumer needs.
#[derive(Clone)]
pub(crate) struct Work {
    /// The `name` of the queue entry.
    pub(crate) queue: Arc<str>,
    pub(crate) source: Arc<dyn Source>,
    /// A runtime that runs no business code: fetching and settling live there.
    pub(crate) home: Handle,
    pub(crate) handler: Consumer,
    pub(crate) retry: RetryRules,
    pub(crate) timeout: Option<Duration>,
    pub(crate) batch: BatchLimits,
    pub(crate) slots: Option<Arc<SlotFile>>,
    pub(crate) gate: Gate,
}

impl Work {
    /// Works until the stop begins, then until what runs has ended or its deadline has come.
    pub(crate) async fn run(self, mut stop: StopListener) {
        // A batch handler is given full batches from the start; else the handler's speed decides.
        let first_size = match &self.handler {
            Consumer::Single(_) => 1,
            Consumer::Batch(_) => self.batch.size.get(),
        };
        let source = Arc::clone(&self.source);
        let what = format!("settling of queue `{}`", self.queue);
        let settler = Settler::start(&self.home, what, move |ends| {
            let source = Arc::clone(&source);
            async move { source.settle(ends).await }
        });
        let mut ahead = Ahead::start(
            &self.queue,
            &self.origin(),
            self.fetcher(),
            first_size,
            stop.clone(),
        );
        let mut pace = Pace::new();
        while let Some(mut held) = ahead.next(&mut stop).await {
            match &self.handler {
                Consumer::Single(handler) => {
                    while !stop.begun()
                        && let Some(delivery) = held.next()
                    {
                        let started = Instant::now();
                        let bytes = delivery.message.payload.len();
                        let waiting = (&mut held, &mut ahead);
                        self.run_one(handler, delivery, waiting, &settler, &mut stop)
                            .await;
                        pace.note(started.elapsed(), bytes);
                    }
                    ahead.want(pace.next_size());
                }
                Consumer::Batch(handler) => {
                    self.run_batches(handler, held, &mut ahead, &settler, &mut stop)
                        .await;
                    ahead.want(self.batch.size.get());
                }
            }
        }
        // Gives back what was fetched ahead.
        drop(ahead);
        settler.finish().await;
    }

    fn fetcher(&self) -> Fetcher {
        static CONSUMERS: AtomicU64 = AtomicU64::new(1);
        Fetcher {
            consumer: CONSUMERS.fetch_add(1, Ordering::Relaxed),
            breadth: match &self.handler {
                Consumer::Single(_) => Breadth::One,
                Consumer::Batch(_) => Breadth::Any,
            },
        }
    }

    fn origin(&self) -> Origin {
        Origin {
            source: Arc::clone(&self.source),
            home: self.home.clone(),
        }
    }

    async fn run_one(
        &self,
        handler: &Handler<Message, ()>,
        delivery: Delivery,
        waiting: (&mut Held, &mut Ahead),
        settler: &Settler<Settled>,
        stop: &mut StopListener,
    ) {
        let running = Running::new(&self.origin(), std::iter::once(delivery.receipt));
        let (held, ahead) = waiting;
        let entered = self.gate.enter(delivery.suspect);
        let Some(pass) = to_the_end(entered, (&mut *held, &mut *ahead), stop).await else {
            return;
        };
        // Asked directly before it starts: the wait at the gate may have been long.
        if !self.ours(&delivery, stop).await {
            return running
                .settle(settler, std::iter::once(End::GiveBack))
                .await;
        }
        let attempt = delivery.message.attempt;
        let id = delivery.message.id.clone();
        if let Some(end) = self.used_up(&id, attempt) {
            return running.settle(settler, std::iter::once(end)).await;
        }
        let slot = self.slot(std::slice::from_ref(&delivery));
        let job = run(handler, delivery.message, slot, self.timeout);
        let job = alone_at_first(pass, job);
        let Some(outcome) = to_the_end(job, (held, ahead), stop).await else {
            log::warn!(
                "queue `{}`: message {id} still ran at the deadline and is given back",
                self.queue
            );
            return;
        };
        let end = self.end(&id, attempt, &outcome);
        running.settle(settler, std::iter::once(end)).await;
    }

    /// Runs full batches while there are messages; the last one of a fetch is filled up for `batch_wait`.
    async fn run_batches(
        &self,
        handler: &BatchHandler,
        mut held: Held,
        ahead: &mut Ahead,
        settler: &Settler<Settled>,
        stop: &mut StopListener,
    ) {
        // What is left over (a suspect, or more than one batch) has its turn at once.
        while held.peek().is_some() && !stop.begun() {
            let batch = self.fill(&mut held, ahead, stop).await;
            if !stop.begun() {
                let waiting = (&mut held, &mut *ahead);
                self.run_batch(handler, batch, waiting, settler, stop).await;
            }
        }
    }

    /// The next batch. Returns early, with what there is, when a stop begins.
    async fn fill(&self, held: &mut Held, ahead: &mut Ahead, stop: &mut StopListener) -> Held {
        let full = usize::try_from(self.batch.size.get()).unwrap_or(usize::MAX);
        let mut batch = Held::new(&self.origin(), Vec::new());
        let wait_until = Instant::now() + self.batch.wait;
        while !stop.begun() && batch.len() < full {
            // A suspect is a batch of its own.
            let suspect_next = held.peek().is_some_and(|delivery| delivery.suspect);
            if suspect_next && batch.len() > 0 {
                break;
            }
            if let Some(delivery) = held.next() {
                batch.add(delivery);
                if suspect_next {
                    break;
                }
                continue;
            }
            tokio::select! {
                more = ahead.next(stop) => match more {
                    Some(more) => *held = more,
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
        mut filled: Held,
        waiting: (&mut Held, &mut Ahead),
        settler: &Settler<Settled>,
        stop: &mut StopListener,
    ) {
        let (held, ahead) = waiting;
        let suspect = filled.peek().is_some_and(|delivery| delivery.suspect);
        let entered = self.gate.enter(suspect);
        let Some(pass) = to_the_end(entered, (&mut *held, &mut *ahead), stop).await else {
            return;
        };
        let mut ours = Held::new(&self.origin(), Vec::new());
        while let Some(delivery) = filled.peek() {
            let end = match self.ours(delivery, stop).await {
                true => self.used_up(&delivery.message.id, delivery.message.attempt),
                false => Some(End::GiveBack),
            };
            let Some(delivery) = filled.next() else {
                break;
            };
            match end {
                None => ours.add(delivery),
                Some(end) => {
                    let receipt = std::iter::once(delivery.receipt);
                    let not_run = Running::new(&self.origin(), receipt);
                    not_run.settle(settler, std::iter::once(end)).await;
                }
            }
        }
        let batch: Vec<Delivery> = std::iter::from_fn(|| ours.next()).collect();
        if batch.is_empty() {
            return;
        }
        let running = Running::new(&self.origin(), batch.iter().map(|d| d.receipt));
        // A batch that ends the process is charged as a whole: after that each of its messages runs alone.
        let slot = self.slot(&batch);
        let names: Vec<(String, u32)> = batch
            .iter()
            .map(|d| (d.message.id.clone(), d.message.attempt))
            .collect();
        let messages = batch.into_iter().map(|delivery| delivery.message).collect();
        let job = alone_at_first(pass, run_batch(handler, messages, slot, self.timeout));
        let Some(outcomes) = to_the_end(job, (held, ahead), stop).await else {
            log::warn!(
                "queue `{}`: a batch of {} messages still ran at the deadline and is given back",
                self.queue,
                names.len()
            );
            return;
        };
        let ends = names
            .into_iter()
            .zip(outcomes)
            .map(|((id, attempt), outcome)| self.end(&id, attempt, &outcome));
        running.settle(settler, ends).await;
    }

    /// Whether the delivery may start. What others took over is theirs; while that is not known (the heartbeats are
    /// late), it waits. Giving back is safe in every case: it names its claim, and matches no other.
    async fn ours(&self, delivery: &Delivery, stop: &StopListener) -> bool {
        let standing = || self.source.standing(&delivery.receipt);
        if may_start(standing, stop).await {
            return true;
        }
        if standing() == Standing::Halted {
            log::debug!(
                "queue `{}`: message {} waits for one before it",
                self.queue,
                delivery.message.id
            );
            return false;
        }
        log::warn!(
            "queue `{}`: message {} does not start here, this daemon had been silent for too long",
            self.queue,
            delivery.message.id
        );
        false
    }

    fn slot(&self, batch: &[Delivery]) -> Option<Slot> {
        let slots = self.slots.as_ref()?;
        let slot = match batch {
            [one] => slots.take(&self.source.identity(one)),
            all => {
                let identities: Vec<_> = all.iter().map(|d| self.source.identity(d)).collect();
                slots.take_batch(&identities)
            }
        };
        slot.inspect_err(|cause| {
            log::error!(
                "queue `{}`: {} messages run without a mark that would tell if they end the process: {cause}",
                self.queue,
                batch.len()
            );
        })
        .ok()
    }

    /// The end of a message that must not run again.
    fn used_up(&self, id: &str, attempt: u32) -> Option<End> {
        (attempt > self.retry.max_attempts.get())
            .then(|| self.end(id, attempt - 1, &Err(JobError::discard(USED_UP))))
    }

    fn end(&self, id: &str, attempt: u32, outcome: &JobResult) -> End {
        let Err(error) = outcome else {
            return End::Done;
        };
        match verdict(error, attempt, &self.retry, fastrand::f64()) {
            Verdict::Retry(after) => {
                log::warn!(
                    "queue `{}`: message {id} failed on attempt {attempt} and runs again in {after:.1?}: {error}",
                    self.queue
                );
                End::Retry(after)
            }
            Verdict::Dead => {
                log::error!(
                    "queue `{}`: message {id} is a dead letter after attempt {attempt}: {error}",
                    self.queue
                );
                End::Dead {
                    error: error.to_string(),
                    attempts: attempt,
                }
            }
        }
    }
}

/// Waits for the job's end; none where the deadline of the stop came first. What waits for this consumer is let go once
/// the job takes longer than a batch should.
async fn to_the_end<T>(
    job: impl Future<Output = T>,
    (held, ahead): (&mut Held, &mut Ahead),
    stop: &mut StopListener,
) -> Option<T> {
    let mut job = std::pin::pin!(job);
    tokio::select! {
        biased;
        ended = &mut job => return Some(ended),
        () = stop.deadline() => return None,
        () = tokio::time::sleep(WORK_PER_BATCH) => ahead.let_go(held),
    }
    tokio::select! {
        biased;
        ended = job => Some(ended),
        () = stop.deadline() => None,
    }
}
