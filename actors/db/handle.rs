//! How everything else speaks to DbActor.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix::Addr;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, oneshot, watch};

use super::actor::{DbActor, Submit, outage_of};
use crate::outage::Outage;
use crate::store::DbError;
use crate::store::rows::NewMessage;
use crate::store::traits::{Reader, Store};
use crate::store::write::{InsertMessages, InsertedInto, Operation, Write, Written, reply_of};

/// Writes under way at once, of those that insert, of the urgent ones and of the others each: pushes that wait for a
/// lock must not keep cron from claiming its fires. A write beyond the limit waits in its caller, which slows down:
/// that is the back-pressure while the database is slow or away. Enough to fill several transactions.
const MAX_PENDING: usize = 1024;

/// A handle on whichever DbActor there is at the moment. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Db {
    shared: Arc<Shared>,
}

struct Shared {
    actor: watch::Sender<Option<Addr<DbActor>>>,
    /// By the table that they insert into.
    inserts: BTreeMap<InsertedInto, Semaphore>,
    urgent: Semaphore,
    others: Semaphore,
    reader: Arc<dyn Reader>,
    outage: Outage,
    /// By table: its consumers in this process wait here.
    arrivals: Mutex<BTreeMap<String, Arc<Notify>>>,
}

impl Db {
    /// A handle without an actor: writes wait until there is one.
    pub(crate) fn new(store: &dyn Store) -> Self {
        Self {
            shared: Arc::new(Shared {
                actor: watch::Sender::new(None),
                inserts: InsertedInto::ALL
                    .map(|table| (table, Semaphore::new(MAX_PENDING)))
                    .into(),
                urgent: Semaphore::new(MAX_PENDING),
                others: Semaphore::new(MAX_PENDING),
                reader: store.reader(),
                outage: outage_of(store),
                arrivals: Mutex::default(),
            }),
        }
    }

    /// From now on this actor writes.
    pub(crate) fn set_actor(&self, actor: Option<Addr<DbActor>>) {
        self.shared.actor.send_replace(actor);
    }

    /// Ends DbActor as a panic would, for tests of its owner.
    #[cfg(test)]
    pub(crate) fn crash_actor(&self) {
        if let Some(actor) = self.shared.actor.borrow().as_ref() {
            actor.do_send(super::actor::Crash);
        }
    }

    /// Writes that wait for their commit, or for room to wait.
    pub(crate) fn pending(&self) -> usize {
        let shared = &self.shared;
        let all = shared.inserts.values();
        let all = all.chain([&shared.urgent, &shared.others]);
        all.map(|permits| MAX_PENDING - permits.available_permits().min(MAX_PENDING))
            .sum()
    }

    /// What may be asked without DbActor.
    pub(crate) fn reader(&self) -> &dyn Reader {
        self.shared.reader.as_ref()
    }

    /// For one more that needs the database: it is away, and back, for all of them together.
    pub(crate) fn outage(&self) -> Outage {
        self.shared.outage.beside()
    }

    /// Replies after the commit. Waits while the database is away, and while a dead DbActor is replaced.
    pub(crate) async fn write<O: Operation>(&self, operation: O) -> Result<O::Reply, DbError> {
        reply_of::<O>(self.submit(operation.into()).await)
    }

    async fn submit(&self, write: Write) -> Result<Written, DbError> {
        let inserts = write
            .inserts_into()
            .and_then(|table| self.shared.inserts.get(&table));
        let permits = match inserts {
            Some(permits) => permits,
            None if write.is_urgent() => &self.shared.urgent,
            None => &self.shared.others,
        };
        let permit = permits.acquire().await;
        let _permit = permit.map_err(|_| DbError::Stopped)?;
        let mut actor = self.shared.actor.subscribe();
        loop {
            let (answer, answered) = oneshot::channel();
            let submit = Submit {
                write: write.clone(),
                answer,
            };
            let lives = |addr: &Option<Addr<DbActor>>| addr.as_ref().is_some_and(Addr::connected);
            match actor.wait_for(lives).await.as_deref() {
                Ok(Some(addr)) => addr.do_send(submit),
                Ok(None) | Err(_) => return Err(DbError::Stopped),
            }
            // Without an answer that DbActor died before it tried this write.
            if let Ok(answer) = answered.await {
                return answer;
            }
        }
    }

    /// Messages for a `table` queue. Its consumers in this process poll at once.
    pub(crate) async fn insert_messages(
        &self,
        queue: String,
        rows: Vec<NewMessage>,
    ) -> Result<Vec<i64>, DbError> {
        let insert = InsertMessages {
            queue: queue.clone(),
            rows,
        };
        let ids = self.write(insert).await?;
        self.ring(&queue);
        Ok(ids)
    }

    /// This process has put messages into the table.
    pub(crate) fn ring(&self, queue: &str) {
        let arrivals = self.shared.arrivals.lock().get(queue).cloned();
        if let Some(arrivals) = arrivals {
            arrivals.notify_one();
        }
    }

    /// Rings when this process has put messages into the table.
    pub(crate) fn arrivals(&self, queue: &str) -> Arc<Notify> {
        let mut all = self.shared.arrivals.lock();
        Arc::clone(all.entry(queue.to_owned()).or_default())
    }
}
