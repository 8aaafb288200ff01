//! A queue outside the daemon's database, and beside it the replayed dead letters of its entry.
//!
//! A replayed dead letter must not go back into the topic or list, where other programs would get it again. It waits in a
//! table of ours, under a name that no entry can have, and the entry's pool consumes that table beside its queue. Each of
//! the two sources keeps the promise of *at least once* by itself: a delivery is settled at the source that it was fetched
//! from, which the variant of its receipt names.

mod due;
#[cfg(test)]
mod tests;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use uuid::Uuid;

pub(crate) use self::due::DueReplays;
use super::{
    Delivery, Fetched, Fetcher, Limit, Locality, Receipt, Recovery, Settled, Source, SourceError,
    TableSource, made, nothing,
};
use crate::config::REPLAY_PREFIX;
use crate::job::Message;
use crate::membership::Ownership;
use crate::poison::Identity;
use crate::stop::{StopListener, StopSignal};
use crate::store::Most;

/// The time for which only the queue is fetched from after a portion of replays. Thus the dead letters
/// do not delay the queue, and an empty queue does not delay the dead letters.
const TURN: Duration = Duration::from_millis(20);

/// The longest name of a replay table, in bytes. A slot keeps it whole, so the entry of a message that ended a process is
/// found.
const LONGEST_TABLE: usize = 120;
/// A mark and a UUID, at the end of a shortened name.
const HASH_BYTES: usize = 1 + 32;

/// The name of the table of replayed dead letters of this entry. The partition is a part of it, as another partition may
/// have an entry of the same name.
pub(crate) fn replay_table(partition: &str, entry: &str) -> String {
    let whole = format!("{REPLAY_PREFIX}{partition}:{entry}");
    if whole.len() <= LONGEST_TABLE {
        return whole;
    }
    let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, whole.as_bytes()).simple();
    let mut end = LONGEST_TABLE - HASH_BYTES;
    while !whole.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}~{hash}", &whole[..end])
}

/// See the module's header.
pub(crate) struct Replayed {
    queue: Arc<dyn Source>,
    dead_letters: TableSource,
    /// Whether dead letters wait, by the last poll.
    due: watch::Sender<bool>,
    /// The last portion had dead letters.
    queue_is_next: AtomicBool,
}

impl Replayed {
    /// `dead_letters` reads the entry's replay table; `due` is true while the table has a row that is due.
    pub(crate) fn new(
        queue: Arc<dyn Source>,
        dead_letters: TableSource,
        due: watch::Sender<bool>,
    ) -> Self {
        Self {
            queue,
            dead_letters: dead_letters.of_replays(),
            due,
            queue_is_next: AtomicBool::new(false),
        }
    }

    /// Waiting dead letters, if there are any.
    async fn dead_letters(&self, most: Most) -> Result<Vec<Delivery>, SourceError> {
        let Some(dead_letters) = self.dead_letters.poll_once(most).await? else {
            // Another consumer polls for them. This one fetches from the queue meanwhile.
            self.queue_is_next.store(true, Ordering::Relaxed);
            return Ok(Vec::new());
        };
        match dead_letters.is_empty() {
            // The next poll for all entries finds rows that come from now on.
            true => drop(self.due.send_replace(false)),
            false => self.queue_is_next.store(true, Ordering::Relaxed),
        }
        Ok(dead_letters)
    }

    /// Messages of the queue. None when a stop begins, and when dead letters wait and [`TURN`] is over.
    async fn messages(
        &self,
        who: Fetcher,
        max: u32,
        stop: &mut StopListener,
    ) -> Result<Fetched, SourceError> {
        let turn = self.queue_is_next.swap(false, Ordering::Relaxed);
        let mut due = self.due.subscribe();
        let dead_letters_turn = async {
            if turn {
                tokio::time::sleep(TURN).await;
            }
            if due.wait_for(|due| *due).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        // The turn of the dead letters is the same as a stop to the queue: it returns the messages that it has, and none that
        // it fetched is dropped. The signal is not of the stop's tree: it ends one fetch, and no consumer.
        let leave = StopSignal::new();
        let mut left = leave.listen();
        let mut messages = pin!(self.queue.fetch(who, max, &mut left));
        tokio::select! {
            biased;
            messages = &mut messages => return messages,
            () = stop.quiet() => {}
            () = dead_letters_turn => {}
        }
        leave.quiet();
        messages.await
    }
}

/// The limit of the queue, but at least one consumer while dead letters wait: a queue may have no work for this process
/// (Kafka: no partition is assigned to it).
fn with_dead_letters(limit: Limit, due: bool) -> Limit {
    Limit {
        useful: limit.useful.max(u32::from(due)),
        ..limit
    }
}

fn is_dead_letter(receipt: &Receipt) -> bool {
    matches!(receipt, Receipt::Replay(_))
}

fn take_dead_letters(ends: &mut Vec<Settled>) -> Vec<Settled> {
    let dead_letters = ends.extract_if(.., |end| is_dead_letter(&end.receipt));
    dead_letters.collect()
}

impl Source for Replayed {
    fn open(&self) {
        self.queue.open();
    }

    fn hindrance(&self) -> Option<String> {
        self.queue.hindrance()
    }

    fn limit(&self) -> Option<watch::Receiver<Limit>> {
        let mut of_queue = self.queue.limit()?;
        let mut due = self.due.subscribe();
        let now = with_dead_letters(*of_queue.borrow(), *due.borrow());
        let (sender, limit) = watch::channel(now);
        tokio::spawn(async move {
            loop {
                let known = tokio::select! {
                    known = of_queue.changed() => known.is_ok(),
                    known = due.changed() => known.is_ok(),
                    () = sender.closed() => false,
                };
                if !known {
                    return;
                }
                let now =
                    with_dead_letters(*of_queue.borrow_and_update(), *due.borrow_and_update());
                sender.send_if_modified(|limit| std::mem::replace(limit, now) != now);
            }
        });
        Some(limit)
    }

    fn locality(&self) -> Locality {
        self.queue.locality()
    }

    fn fetch<'a>(
        &'a self,
        who: Fetcher,
        max: u32,
        stop: &'a mut StopListener,
    ) -> BoxFuture<'a, Result<Fetched, SourceError>> {
        async move {
            while !stop.begun() {
                if *self.due.borrow() && !self.queue_is_next.load(Ordering::Relaxed) {
                    let most = Most {
                        count: max,
                        bytes: who.bytes,
                    };
                    let dead_letters = self.dead_letters(most).await?;
                    if !dead_letters.is_empty() {
                        return Ok(made(dead_letters));
                    }
                }
                let messages = self.messages(who, max, stop).await?;
                if messages.len() > 0 {
                    return Ok(messages);
                }
            }
            Ok(nothing())
        }
        .boxed()
    }

    fn ownership(&self, receipt: &Receipt) -> Ownership {
        match is_dead_letter(receipt) {
            true => self.dead_letters.ownership(receipt),
            false => self.queue.ownership(receipt),
        }
    }

    fn block(&self, receipt: &Receipt) {
        // Dead letters have no order.
        if !is_dead_letter(receipt) {
            self.queue.block(receipt);
        }
    }

    fn identity<'a>(&'a self, message: &'a Message, receipt: &Receipt) -> Identity<'a> {
        match is_dead_letter(receipt) {
            true => self.dead_letters.identity(message, receipt),
            false => self.queue.identity(message, receipt),
        }
    }

    fn settle(&self, mut ends: Vec<Settled>) -> BoxFuture<'_, Result<Vec<Settled>, SourceError>> {
        async move {
            let dead_letters = take_dead_letters(&mut ends);
            let mut later = match ends.is_empty() {
                true => Vec::new(),
                false => self.queue.settle(ends).await?,
            };
            // Last, as a write to the daemon's database waits rather than fails. So the others are seldom settled again.
            if !dead_letters.is_empty() {
                later.extend(self.dead_letters.settle(dead_letters).await?);
            }
            Ok(later)
        }
        .boxed()
    }

    fn settle_now(&self, mut ends: Vec<Settled>) -> Vec<Settled> {
        let mut rest = take_dead_letters(&mut ends);
        rest.extend(self.queue.settle_now(ends));
        rest
    }

    fn lag(&self) -> BoxFuture<'_, Result<u64, SourceError>> {
        async move {
            let (messages, dead_letters) =
                futures_util::future::try_join(self.queue.lag(), self.dead_letters.lag()).await?;
            Ok(messages.saturating_add(dead_letters))
        }
        .boxed()
    }

    fn oldest_due_ms(&self) -> Option<i64> {
        self.queue.oldest_due_ms()
    }

    fn recover<'a>(&'a self, recovery: &'a Recovery) -> BoxFuture<'a, Result<(), SourceError>> {
        self.queue.recover(recovery)
    }

    fn close(&self, within: Duration) -> BoxFuture<'_, ()> {
        self.queue.close(within)
    }
}
