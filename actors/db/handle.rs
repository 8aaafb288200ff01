//! How everything else speaks to DbActor.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::Addr;
use tokio::sync::{Notify, Semaphore, oneshot, watch};

use super::actor::{DbActor, Submit, outage_of};
use crate::outage::Outage;
use crate::store::DbError;
use crate::store::daemon_orders::{NewOrder, OrderEnd};
use crate::store::rows::{
    AtOverlap, AuditRow, BootRow, Charge, Claim, ClaimedMessage, ClaimedTask, DeadLetterOrder,
    FailedAttempt, Fire, KnownEntry, MessageEnd, NewDeadLetter, NewMessage, NewTask, OutsideId,
    PauseOrder, Reaped, Replay, RunEnd, TaskEnd,
};
use crate::store::task_orders::{TaskOrder, TaskOrdered};
use crate::store::traits::{Reader, Store};
use crate::store::write::{
    DeletedDeadLetters, INSERTED_INTO, Most, Replayed, Settlement, Trimmed, Write, Written,
};

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
    inserts: BTreeMap<&'static str, Semaphore>,
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
                inserts: INSERTED_INTO
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

    /// Answers after the commit. Waits while the database is away, and while a dead DbActor is replaced.
    pub(crate) async fn write(&self, write: Write) -> Result<Written, DbError> {
        let inserts = write
            .inserts_into()
            .and_then(|table| self.shared.inserts.get(table));
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

    pub(crate) async fn begin_boot(&self, row: BootRow) -> Result<(), DbError> {
        self.write(Write::BeginBoot(row)).await.map(drop)
    }

    pub(crate) async fn end_boot(&self, owner: String) -> Result<Reaped, DbError> {
        self.reaped(Write::EndBoot { owner }).await
    }

    pub(crate) async fn reap_gone(
        &self,
        owner: String,
        charges: Vec<Charge>,
    ) -> Result<Reaped, DbError> {
        self.reaped(Write::ReapGone { owner, charges }).await
    }

    async fn reaped(&self, write: Write) -> Result<Reaped, DbError> {
        match self.write(write).await? {
            Written::Reaped(reaped) => Ok(reaped),
            other => Err(mixed_up(&other)),
        }
    }

    pub(crate) async fn insert_tasks(
        &self,
        rows: Vec<NewTask>,
        owner: String,
    ) -> Result<Vec<i64>, DbError> {
        self.ids(Write::InsertTasks { rows, owner }).await
    }

    pub(crate) async fn insert_messages(
        &self,
        queue: String,
        rows: Vec<NewMessage>,
    ) -> Result<Vec<i64>, DbError> {
        let insert = Write::InsertMessages {
            queue: queue.clone(),
            rows,
        };
        let ids = self.ids(insert).await?;
        self.ring(&queue);
        Ok(ids)
    }

    /// This process has put messages into the table.
    pub(crate) fn ring(&self, queue: &str) {
        let arrivals = self.lock_arrivals().get(queue).cloned();
        if let Some(arrivals) = arrivals {
            arrivals.notify_one();
        }
    }

    /// Rings when this process has put messages into the table.
    pub(crate) fn arrivals(&self, queue: &str) -> Arc<Notify> {
        let mut all = self.lock_arrivals();
        Arc::clone(all.entry(queue.to_owned()).or_default())
    }

    fn lock_arrivals(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Notify>>> {
        let arrivals = self.shared.arrivals.lock();
        // Nothing that is done under this lock can panic half way.
        arrivals.unwrap_or_else(PoisonError::into_inner)
    }

    async fn ids(&self, write: Write) -> Result<Vec<i64>, DbError> {
        match self.write(write).await? {
            Written::Ids(ids) => Ok(ids),
            other => Err(mixed_up(&other)),
        }
    }

    pub(crate) async fn claim_tasks(
        &self,
        owner: String,
        from_s: Option<i64>,
        until_s: i64,
        most: Most,
    ) -> Result<Vec<ClaimedTask>, DbError> {
        let write = Write::ClaimTasks {
            owner,
            from_s,
            until_s,
            most,
        };
        match self.write(write).await? {
            Written::Tasks(claimed) => Ok(claimed.tasks),
            other => Err(mixed_up(&other)),
        }
    }

    pub(crate) async fn claim_messages(
        &self,
        queue: String,
        owner: String,
        most: Most,
    ) -> Result<Vec<ClaimedMessage>, DbError> {
        let write = Write::ClaimMessages { queue, owner, most };
        match self.write(write).await? {
            Written::Messages(messages) => Ok(messages),
            other => Err(mixed_up(&other)),
        }
    }

    /// Answers which of them do not count.
    pub(crate) async fn end_tasks(
        &self,
        owner: String,
        ends: Vec<TaskEnd>,
    ) -> Result<Settlement, DbError> {
        self.settlement(Write::EndTasks { owner, ends }).await
    }

    /// Answers which of them do not count.
    pub(crate) async fn end_messages(
        &self,
        owner: String,
        ends: Vec<MessageEnd>,
    ) -> Result<Settlement, DbError> {
        self.settlement(Write::EndMessages { owner, ends }).await
    }

    async fn settlement(&self, write: Write) -> Result<Settlement, DbError> {
        match self.write(write).await? {
            Written::Settlement(settlement) => Ok(settlement),
            other => Err(mixed_up(&other)),
        }
    }

    /// Dead letters of messages that live elsewhere; durable when answered.
    pub(crate) async fn insert_dead_letters(
        &self,
        dead_letters: Vec<NewDeadLetter>,
    ) -> Result<(), DbError> {
        self.write(Write::InsertDeadLetters { dead_letters })
            .await
            .map(drop)
    }

    /// What became of each dead letter.
    pub(crate) async fn replay_dead_letters(
        &self,
        dead_letters: Vec<Replay>,
        order: Option<DeadLetterOrder>,
    ) -> Result<Replayed, DbError> {
        let order = order.map(Box::new);
        match self
            .write(Write::ReplayDeadLetters {
                dead_letters,
                order,
            })
            .await?
        {
            Written::Replayed(replayed) => Ok(replayed),
            other => Err(mixed_up(&other)),
        }
    }

    pub(crate) async fn delete_dead_letters(
        &self,
        ids: Vec<i64>,
        order: Option<DeadLetterOrder>,
    ) -> Result<DeletedDeadLetters, DbError> {
        let order = order.map(Box::new);
        match self.write(Write::DeleteDeadLetters { ids, order }).await? {
            Written::Deleted(deleted) => Ok(deleted),
            other => Err(mixed_up(&other)),
        }
    }

    /// Attempts of messages that live elsewhere, which failed; durable when answered.
    pub(crate) async fn note_failures(&self, failures: Vec<FailedAttempt>) -> Result<(), DbError> {
        let write = Write::NoteFailures { failures };
        self.write(write).await.map(drop)
    }

    /// Messages that live elsewhere and were charged with deaths or failed are finished.
    pub(crate) async fn forget_deaths(&self, ids: Vec<OutsideId>) -> Result<usize, DbError> {
        self.count(Write::ForgetDeaths { ids }).await
    }

    /// From when on each entry's fires are to be made.
    pub(crate) async fn sync_entries(
        &self,
        partition: String,
        entries: Vec<KnownEntry>,
    ) -> Result<Vec<i64>, DbError> {
        match self
            .write(Write::SyncEntries { partition, entries })
            .await?
        {
            Written::Since(since) => Ok(since),
            other => Err(mixed_up(&other)),
        }
    }

    /// Whose the fire is.
    pub(crate) async fn claim_fire(&self, fire: Fire) -> Result<Claim, DbError> {
        match self.write(Write::ClaimFire(Box::new(fire))).await? {
            Written::Claimed(claim) => Ok(claim),
            other => Err(mixed_up(&other)),
        }
    }

    /// Whose the fire is that another daemon, or this one, had claimed and not started.
    pub(crate) async fn take_fire(
        &self,
        uk: String,
        from: String,
        owner: String,
        at_overlap: AtOverlap,
    ) -> Result<Claim, DbError> {
        let write = Write::TakeFire {
            uk,
            from,
            owner,
            at_overlap,
        };
        match self.write(write).await? {
            Written::Claimed(claim) => Ok(claim),
            other => Err(mixed_up(&other)),
        }
    }

    pub(crate) async fn run_started(
        &self,
        uk: String,
        pid: i32,
        start_ticks: Option<i64>,
    ) -> Result<(), DbError> {
        let write = Write::RunStarted {
            uk,
            pid,
            start_ticks,
        };
        self.write(write).await.map(drop)
    }

    /// Whether this was the run's first end.
    pub(crate) async fn end_run(&self, end: RunEnd) -> Result<bool, DbError> {
        match self.write(Write::EndRun(end)).await? {
            Written::Ended(first) => Ok(first),
            other => Err(mixed_up(&other)),
        }
    }

    pub(crate) async fn give_back_tasks(
        &self,
        owner: String,
        keep: Vec<(i64, i64)>,
    ) -> Result<usize, DbError> {
        self.count(Write::GiveBackTasks { owner, keep }).await
    }

    pub(crate) async fn give_back_messages(
        &self,
        queue: String,
        owner: String,
        keep: Vec<(i64, i64)>,
    ) -> Result<usize, DbError> {
        let write = Write::GiveBackMessages { queue, owner, keep };
        self.count(write).await
    }

    pub(crate) async fn hasten_messages(
        &self,
        queue: String,
        longest_ms: i64,
    ) -> Result<usize, DbError> {
        self.count(Write::HastenMessages { queue, longest_ms })
            .await
    }

    pub(crate) async fn hasten_tasks(&self, ids: Vec<i64>, after_s: i64) -> Result<usize, DbError> {
        self.count(Write::HastenTasks { ids, after_s }).await
    }

    pub(crate) async fn trim_crontab_log(
        &self,
        before_ms: i64,
        after_id: i64,
    ) -> Result<Trimmed, DbError> {
        let write = Write::TrimCrontabLog {
            before_ms,
            after_id,
        };
        self.trim(write).await
    }

    pub(crate) async fn trim_dead_letters(
        &self,
        before_ms: i64,
        after_id: i64,
    ) -> Result<Trimmed, DbError> {
        let write = Write::TrimDeadLetters {
            before_ms,
            after_id,
        };
        self.trim(write).await
    }

    async fn trim(&self, write: Write) -> Result<Trimmed, DbError> {
        match self.write(write).await? {
            Written::Trimmed(trimmed) => Ok(trimmed),
            other => Err(mixed_up(&other)),
        }
    }

    pub(crate) async fn trim_tasks(&self, before_s: i64) -> Result<usize, DbError> {
        self.count(Write::TrimTasks { before_s }).await
    }

    pub(crate) async fn trim_audit(&self, before_ms: i64) -> Result<usize, DbError> {
        self.count(Write::TrimAudit { before_ms }).await
    }

    pub(crate) async fn trim_runs(&self, before_ms: i64) -> Result<usize, DbError> {
        self.count(Write::TrimRuns { before_ms }).await
    }

    /// Answers whether that changes anything.
    pub(crate) async fn set_pause(&self, order: PauseOrder) -> Result<bool, DbError> {
        let changed = self.count(Write::SetPause(Box::new(order))).await?;
        Ok(changed > 0)
    }

    /// Answers what came of it.
    pub(crate) async fn order_task(&self, order: TaskOrder) -> Result<TaskOrdered, DbError> {
        match self.write(Write::OrderTask(Box::new(order))).await? {
            Written::Ordered(ordered) => Ok(ordered),
            other => Err(mixed_up(&other)),
        }
    }

    /// An order that was given to this daemon alone.
    pub(crate) async fn write_down(&self, order: AuditRow) -> Result<(), DbError> {
        self.count(Write::Audit(Box::new(order))).await?;
        Ok(())
    }

    /// Durable when answered, with their rows of `audit`.
    pub(crate) async fn give_orders(&self, orders: Vec<NewOrder>) -> Result<(), DbError> {
        self.write(Write::GiveOrders(orders)).await.map(drop)
    }

    /// Answers whether it is ours now.
    pub(crate) async fn take_order(
        &self,
        id: i64,
        from: String,
        owner: String,
    ) -> Result<bool, DbError> {
        let taken = self.count(Write::TakeOrder { id, from, owner }).await?;
        Ok(taken > 0)
    }

    /// Answers whether this was its end.
    pub(crate) async fn end_order(&self, end: OrderEnd) -> Result<bool, DbError> {
        let ended = self.count(Write::EndOrder(end)).await?;
        Ok(ended > 0)
    }

    pub(crate) async fn trim_orders(&self, before_ms: i64) -> Result<usize, DbError> {
        self.count(Write::TrimOrders { before_ms }).await
    }

    pub(super) async fn count(&self, write: Write) -> Result<usize, DbError> {
        match self.write(write).await? {
            Written::Count(rows) => Ok(rows),
            other => Err(mixed_up(&other)),
        }
    }
}

/// An adapter answered another write than it was given: a fault of the adapter.
pub(super) fn mixed_up(answer: &Written) -> DbError {
    DbError::Refused(format!(
        "the adapter gave an answer of another kind: {answer:?}"
    ))
}
