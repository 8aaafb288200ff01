//! The loop of one consumer: fetch, run, settle. The next batch is fetched while this one runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::held::{Held, Running};
use super::pace::Pace;
use crate::config::{BatchLimits, RetryRules};
use crate::db::Standing;
use crate::job::slots::{Slot, SlotFile};
use crate::job::{
    BatchHandler, Consumer, Gate, Handler, JobResult, Message, Verdict, alone_at_first, run,
    run_batch, verdict,
};
use crate::outage::Outage;
use crate::settler::Settler;
use crate::source::{Delivery, End, Settled, Source};
use crate::stop::StopListener;

/// Between two looks whether a message is still ours, while the heartbeats are late.
const UNSURE_PAUSE: Duration = Duration::from_millis(100);

/// Everything a consumer needs.
#[derive(Clone)]
pub(crate) struct Work {
    /// The `name` of the queue entry.
    pub(crate) queue: Arc<str>,
    pub(crate) source: Arc<dyn Source>,
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
        let (size, wanted) = watch::channel(first_size);
        let source = Arc::clone(&self.source);
        let what = format!("settling of queue `{}`", self.queue);
        let settler = Settler::start(what, move |ends| {
            let source = Arc::clone(&source);
            async move { source.settle(ends).await }
        });
        let mut batches = self.start_fetching(stop.clone(), wanted);
        let mut pace = Pace::new();
        while let Some(mut held) = next_batch(&mut batches, &mut stop).await {
            match &self.handler {
                Consumer::Single(handler) => {
                    while !stop.begun()
                        && let Some(delivery) = held.next()
                    {
                        let started = Instant::now();
                        self.run_one(handler, delivery, &settler, &mut stop).await;
                        pace.note(started.elapsed());
                    }
                    size.send_replace(pace.next_size());
                }
                Consumer::Batch(handler) => {
                    self.run_batches(handler, held, &mut batches, &settler, &mut stop)
                        .await;
                }
            }
        }
        // Dropping the channel gives back what was fetched ahead.
        drop(batches);
        settler.finish().await;
    }

    /// The fetching runs beside the handler, one batch ahead.
    fn start_fetching(
        &self,
        mut stop: StopListener,
        wanted: watch::Receiver<u32>,
    ) -> mpsc::Receiver<Held> {
        let (sender, receiver) = mpsc::channel(1);
        let source = Arc::clone(&self.source);
        let mut outage = Outage::new(format!("queue `{}`", self.queue));
        actix_rt::spawn(async move {
            // Room first, then the fetch: what was fetched never waits for room.
            while let Ok(room) = sender.reserve().await {
                if stop.begun() {
                    break;
                }
                let max = *wanted.borrow();
                match source.fetch(max, &mut stop).await {
                    Ok(deliveries) => {
                        outage.passed();
                        room.send(Held::new(&source, deliveries));
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
        });
        receiver
    }

    async fn run_one(
        &self,
        handler: &Handler<Message, ()>,
        delivery: Delivery,
        settler: &Settler<Settled>,
        stop: &mut StopListener,
    ) {
        // From here on it is given back whichever way this ends, unless it is settled.
        let running = Running::new(&self.source, vec![delivery.receipt]);
        if !self.is_ours(&delivery, stop).await {
            return;
        }
        let slot = self.slot(std::slice::from_ref(&delivery));
        let attempt = delivery.message.attempt;
        let id = delivery.message.id.clone();
        let job = async {
            let pass = self.gate.enter(delivery.suspect).await;
            let job = run(handler, delivery.message, slot, self.timeout);
            alone_at_first(pass, job).await
        };
        let outcome = tokio::select! {
            biased;
            outcome = job => outcome,
            () = stop.deadline() => {
                log::warn!("queue `{}`: message {id} still ran at the deadline and is given back", self.queue);
                return;
            }
        };
        for receipt in running.ended() {
            let end = self.end(&id, attempt, &outcome);
            settler.settle(Settled { receipt, end }).await;
        }
    }

    /// Runs what was fetched in full batches; the last one is filled up for `batch_wait`.
    async fn run_batches(
        &self,
        handler: &BatchHandler,
        mut held: Held,
        batches: &mut mpsc::Receiver<Held>,
        settler: &Settler<Settled>,
        stop: &mut StopListener,
    ) {
        while held.peek().is_some() {
            let batch = self.gather(&mut held, batches, stop).await;
            if stop.begun() {
                return;
            }
            self.run_batch(handler, batch, settler, stop).await;
        }
    }

    /// One batch: full, or as full as it got within `batch_wait`. A suspect is a batch of its own.
    async fn gather(
        &self,
        held: &mut Held,
        batches: &mut mpsc::Receiver<Held>,
        stop: &mut StopListener,
    ) -> Held {
        let full = usize::try_from(self.batch.size.get()).unwrap_or(usize::MAX);
        let wait_until = tokio::time::Instant::now() + self.batch.wait;
        let mut batch = Held::new(&self.source, Vec::new());
        while !stop.begun() && batch.len() < full {
            match held.peek() {
                Some(next) if next.suspect => {
                    if batch.len() == 0 {
                        batch.add(held.next());
                    }
                    break;
                }
                Some(_) => batch.add(held.next()),
                None => tokio::select! {
                    more = batches.recv() => match more {
                        Some(more) => *held = more,
                        None => break,
                    },
                    () = tokio::time::sleep_until(wait_until) => break,
                    () = stop.quiet() => break,
                },
            }
        }
        batch
    }

    async fn run_batch(
        &self,
        handler: &BatchHandler,
        mut gathered: Held,
        settler: &Settler<Settled>,
        stop: &mut StopListener,
    ) {
        let mut batch = Vec::with_capacity(gathered.len());
        let mut running = Running::new(&self.source, Vec::new());
        while let Some(delivery) = gathered.next() {
            let also = Running::new(&self.source, vec![delivery.receipt]);
            if self.is_ours(&delivery, stop).await {
                running.join(also);
                batch.push(delivery);
            }
        }
        let Some(first) = batch.first() else {
            return;
        };
        let suspect = first.suspect;
        // A batch that ends the process is charged as a whole: after that each of its messages runs alone.
        let slot = self.slot(&batch);
        let names: Vec<(String, u32)> = batch
            .iter()
            .map(|d| (d.message.id.clone(), d.message.attempt))
            .collect();
        let messages = batch.into_iter().map(|delivery| delivery.message).collect();
        let job = async {
            let pass = self.gate.enter(suspect).await;
            alone_at_first(pass, run_batch(handler, messages, slot, self.timeout)).await
        };
        let outcomes = tokio::select! {
            biased;
            outcomes = job => outcomes,
            () = stop.deadline() => {
                log::warn!("queue `{}`: a batch of {} messages still ran at the deadline and is given back", self.queue, names.len());
                return;
            }
        };
        let ends = running.ended().into_iter().zip(names).zip(outcomes);
        for ((receipt, (id, attempt)), outcome) in ends {
            let end = self.end(&id, attempt, &outcome);
            settler.settle(Settled { receipt, end }).await;
        }
    }

    /// Whether the delivery may start. What others took over is theirs; while that is not known (the heartbeats are
    /// late), it waits. What may not start is given back, which is safe in every case: that names its claim, and
    /// matches no other.
    async fn is_ours(&self, delivery: &Delivery, stop: &StopListener) -> bool {
        loop {
            match self.source.standing(&delivery.receipt) {
                Standing::Ours => return true,
                Standing::Lost => break,
                Standing::Unsure if stop.begun() => break,
                Standing::Unsure => tokio::time::sleep(UNSURE_PAUSE).await,
            }
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

/// A stop ends the wait for the next batch.
async fn next_batch(batches: &mut mpsc::Receiver<Held>, stop: &mut StopListener) -> Option<Held> {
    if stop.begun() {
        return None;
    }
    tokio::select! {
        biased;
        () = stop.quiet() => None,
        batch = batches.recv() => batch,
    }
}
