//! A queue in the daemon's own database: rows of `queue_message`.
//!
//! At least once: only settling its claim deletes a row. A claim belongs to this boot (`owner`) and has a number
//! (`fence`). The daemon that finds a boot dead releases its rows, and from then on the dead boot's settling matches no row.

mod fitting;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, Notify, watch};

use self::fitting::Fitting;
use super::{
    Delivery, Fetched, Fetcher, IdleTables, Limit, Receipt, Settled, Source, SourceError,
    TableLags, TableReceipt, made, nothing,
};
use crate::backoff::Backoff;
use crate::db::Db;
use crate::job::{Message, MessageSource, SourceKind};
use crate::membership::{Liveness, Ownership};
use crate::poison::{Identity, Kind, QueueName};
use crate::stop::StopListener;
use crate::store::Most;
use crate::store::rows::{ClaimedMessage, EntryName, MessageEnd};
use crate::store::write::{ClaimMessages, EndMessages, ReleaseMessages};

/// Pauses between polls of an empty queue. Tables that stay empty for longer are polled together (`idle_poll.rs`), as often.
const POLLS: Backoff = Backoff {
    base: Duration::from_millis(10),
    max: Duration::from_millis(250),
};

/// See the module's header.
pub(crate) struct TableSource {
    db: Db,
    owner: String,
    liveness: Arc<Liveness>,
    table: Arc<str>,
    /// Makes the receipts: those of replayed dead letters, or of an entry's own messages.
    receipt: fn(TableReceipt) -> Receipt,
    /// Its name in slots.
    name: QueueName,
    queue: Arc<str>,
    entry: Arc<EntryName>,
    /// Of all consumers that wait for messages, only the one that holds this lock polls. True after a poll whose answer was
    /// lost, and which may have left orphaned claims.
    poll: Mutex<bool>,
    /// The claims (id and fence) of messages that were fetched and are not settled.
    held: parking_lot::Mutex<HashSet<(i64, i64)>>,
    lags: Arc<TableLags>,
    idle: Arc<IdleTables>,
    /// Notified when this process has sent messages to the table.
    arrivals: Arc<Notify>,
    /// The lag is counted up to this number.
    lag_cap: AtomicU64,
    /// By the last reading of the lag.
    oldest_due_ms: parking_lot::Mutex<Option<i64>>,
    /// The number of rows to claim, by the last claims.
    fitting: Fitting,
}

impl TableSource {
    pub(crate) fn new(
        db: Db,
        owner: String,
        liveness: Arc<Liveness>,
        table: &str,
        entry: EntryName,
    ) -> Self {
        let lags = TableLags::new(db.clone());
        let idle = IdleTables::new(db.clone());
        let arrivals = db.arrivals(table);
        Self {
            db,
            owner,
            liveness,
            table: table.into(),
            receipt: Receipt::Table,
            name: QueueName::new(Kind::Queue, table),
            queue: entry.name.as_str().into(),
            entry: Arc::new(entry),
            poll: Mutex::new(false),
            held: parking_lot::Mutex::default(),
            lags,
            idle,
            arrivals,
            lag_cap: AtomicU64::new(u64::MAX),
            oldest_due_ms: parking_lot::Mutex::default(),
            fitting: Fitting::default(),
        }
    }

    /// Reads the lag together with those of other tables, and counts up to `cap`.
    pub(crate) fn with_lags(self, lags: Arc<TableLags>, cap: u64) -> Self {
        Self {
            lags,
            lag_cap: AtomicU64::new(cap),
            ..self
        }
    }

    /// The table is that of an entry's replayed dead letters.
    pub(crate) fn of_replays(self) -> Self {
        Self {
            receipt: Receipt::Replay,
            ..self
        }
    }

    /// Polls it together with other tables while it is idle.
    pub(crate) fn with_idle(self, idle: Arc<IdleTables>) -> Self {
        Self { idle, ..self }
    }

    /// Polls once, for callers that do not wait for messages. None: another consumer holds the lock, possibly for long, on a
    /// thread that a handler blocks.
    pub(crate) async fn poll_once(&self, most: Most) -> Result<Option<Vec<Delivery>>, SourceError> {
        match self.poll.try_lock() {
            Ok(mut orphans) => self.claim(most, &mut orphans).await.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Takes the lock of a poll until the returned value is dropped.
    #[cfg(test)]
    pub(super) fn polls(&self) -> impl Drop + '_ {
        self.poll.try_lock().unwrap()
    }

    async fn claim(&self, most: Most, orphans: &mut bool) -> Result<Vec<Delivery>, SourceError> {
        // Read before the claim: if this boot is judged dead in between, the claim is not trusted.
        let generation = self.liveness.generation();
        if *orphans {
            self.release_orphans().await?;
            *orphans = false;
        }
        *orphans = true;
        let most = self.fitting.ask(most);
        let claim = ClaimMessages {
            queue: self.table.to_string(),
            owner: self.owner.clone(),
            most,
        };
        let rows = self.db.write(claim).await?;
        *orphans = false;
        self.fitting.found(most, &rows);
        self.held
            .lock()
            .extend(rows.iter().map(|row| (row.id, row.fence)));
        let deliveries = rows.into_iter().map(|row| self.delivery(row, generation));
        Ok(deliveries.collect())
    }

    async fn release_orphans(&self) -> Result<(), SourceError> {
        let keep = self.held.lock().iter().copied().collect();
        let (queue, owner) = (self.table.to_string(), self.owner.clone());
        let release = ReleaseMessages { queue, owner, keep };
        self.db.write(release).await?;
        Ok(())
    }

    fn delivery(&self, row: ClaimedMessage, generation: u64) -> Delivery {
        let (id, kind) = match row.origin {
            None => (
                row.id.to_string(),
                SourceKind::Table {
                    table: Arc::clone(&self.table),
                },
            ),
            Some(origin) => (
                origin.id,
                SourceKind::DeadLetter {
                    kind: origin.kind.into(),
                    source: origin.source.into(),
                },
            ),
        };
        Delivery {
            message: Message {
                id,
                payload: row.payload,
                key: row.key,
                headers: row.headers,
                source: MessageSource {
                    queue: Arc::clone(&self.queue),
                    kind,
                },
                attempt: row.attempts.saturating_add(1),
            },
            receipt: (self.receipt)(TableReceipt {
                id: row.id,
                fence: row.fence,
                generation,
            }),
            suspect: row.suspect,
            // A retry is due after its back-off. Other programs write 0 for "now", which is no time.
            arrived_ms: (row.attempts == 0 && row.due_ms > 0).then_some(row.due_ms),
        }
    }

    fn left(&self, why: &str) {
        log::warn!(
            "queue `{}`: the rows of a claim whose answer was lost stay claimed until this daemon ends: {why}",
            self.queue
        );
    }

    fn row_end(&self, settled: Settled) -> MessageEnd {
        let TableReceipt { id, fence, .. } = settled.receipt.of_table();
        MessageEnd {
            id,
            fence,
            entry: Arc::clone(&self.entry),
            disposition: settled.disposition,
        }
    }
}

impl Source for TableSource {
    fn open(&self) {}

    fn limit(&self) -> Option<watch::Receiver<Limit>> {
        None
    }

    fn fetch<'a>(
        &'a self,
        who: Fetcher,
        max: u32,
        stop: &'a mut StopListener,
    ) -> BoxFuture<'a, Result<Fetched, SourceError>> {
        let most = Most {
            count: max,
            bytes: who.bytes,
        };
        async move {
            let mut orphans = tokio::select! {
                biased;
                () = stop.quiet() => return Ok(nothing()),
                poll = self.poll.lock() => poll,
            };
            let mut delays = POLLS.delays();
            while !stop.begun() {
                // Not raced against the stop: a claim that is not answered would leave orphaned rows.
                let deliveries = self.claim(most, &mut orphans).await?;
                if !deliveries.is_empty() {
                    return Ok(made(deliveries));
                }
                let pause = delays.advance();
                let next_poll = async {
                    match pause < POLLS.max {
                        true => tokio::time::sleep(pause).await,
                        false => self.idle.until_due(&self.table).await,
                    }
                };
                tokio::select! {
                    () = next_poll => {}
                    () = self.arrivals.notified() => {}
                    () = stop.quiet() => {}
                }
            }
            Ok(nothing())
        }
        .boxed()
    }

    fn ownership(&self, receipt: &Receipt) -> Ownership {
        self.liveness.ownership(receipt.of_table().generation)
    }

    fn block(&self, _: &Receipt) {}

    fn identity<'a>(&'a self, _: &'a Message, receipt: &Receipt) -> Identity<'a> {
        let TableReceipt { id, fence, .. } = receipt.of_table();
        self.name.message(id.to_string(), fence)
    }

    fn settle(&self, ends: Vec<Settled>) -> BoxFuture<'_, Result<Vec<Settled>, SourceError>> {
        async move {
            let write = EndMessages {
                owner: self.owner.clone(),
                ends: ends.iter().map(|end| self.row_end(end.clone())).collect(),
            };
            let settled = self.db.write(write).await?;
            let mut later = ends;
            later.retain(|end| {
                let TableReceipt { id, fence, .. } = end.receipt.of_table();
                let locked_by_others = settled.held.contains(&id);
                if !locked_by_others {
                    self.held.lock().remove(&(id, fence));
                }
                locked_by_others
            });
            if !settled.stale.is_empty() {
                log::warn!(
                    "queue `{}`: {} results came too late, others had taken over: messages {:?}",
                    self.queue,
                    settled.stale.len(),
                    settled.stale
                );
            }
            Ok(later)
        }
        .boxed()
    }

    fn lag(&self) -> BoxFuture<'_, Result<u64, SourceError>> {
        async move {
            let lag = self
                .lags
                .of(&self.table, self.lag_cap.load(Relaxed))
                .await?;
            *self.oldest_due_ms.lock() = lag.oldest_due_ms;
            Ok(lag.unfinished)
        }
        .boxed()
    }

    fn count_lag_to(&self, cap: u64) {
        self.lag_cap.store(cap, Relaxed);
    }

    fn oldest_due_ms(&self) -> Option<i64> {
        *self.oldest_due_ms.lock()
    }

    /// Releases the orphaned claims of a poll whose answer was lost. At a stop the boot's end releases them too. Where a
    /// reload ends the pool, nothing else would before the daemon ends.
    fn close(&self, within: Duration) -> BoxFuture<'_, ()> {
        async move {
            let release = async {
                let mut orphans = self.poll.lock().await;
                match std::mem::take(&mut *orphans) {
                    true => self.release_orphans().await,
                    false => Ok(()),
                }
            };
            match tokio::time::timeout(within, release).await {
                Ok(Ok(())) => {}
                Ok(Err(cause)) => self.left(&cause.to_string()),
                Err(_) => self.left("the database does not answer"),
            }
        }
        .boxed()
    }
}
