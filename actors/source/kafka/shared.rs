//! The state that the member's thread and the consumers share.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use rdkafka::consumer::BaseConsumer;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use super::assignments::{Assignments, Batch};
use super::callbacks::Context;
use super::client::Start;
use super::crashes;
use super::drain::Claim;
use super::health::Health;
use super::leases::OpenLeases;
use super::partition_queue::RdkafkaRecordQueue;
use super::topic_id::TopicId;
use super::unpositioned::Unpositioned;
use crate::db::Db;
use crate::outage::Outage;
use crate::poison::QueueName;
use crate::source::{Limit, Settled};

/// The time for making a client, which takes milliseconds where it succeeds.
const PATIENCE: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(5);

pub(super) struct Shared {
    /// The `name` of the queue entry.
    pub(super) queue: Arc<str>,
    pub(super) topic: Arc<str>,
    pub(super) group: Arc<str>,
    /// Its name in slots and recorded crashes.
    pub(super) name: QueueName,
    pub(super) start: Start,
    pub(super) db: Db,
    /// A runtime without business code.
    pub(super) home: Handle,
    pub(super) health: Health,
    assignments: Mutex<Assignments<RdkafkaRecordQueue>>,
    pub(super) open: Arc<OpenLeases>,
    /// Notified when leases end.
    settled: Condvar,
    /// Notified when a partition's queue is filled, and when a record is due.
    pub(super) news: Arc<Notify>,
    pub(super) limit: watch::Sender<Limit>,
    /// The member's client, for queries. The member's thread owns it.
    pub(super) client: Mutex<Weak<BaseConsumer<Context>>>,
    closing: AtomicBool,
    /// Whether the member has ended.
    pub(super) ended: watch::Sender<bool>,
    /// The id of the topic that the assigned partitions are of, where it is known.
    topic_id: Mutex<Option<TopicId>>,
    /// The same id, for the identities of records. 0: not known.
    topic_fence: AtomicI64,
    pub(super) unpositioned: Unpositioned,
    /// The beginnings of its partitions could not be decided: the member has to join anew.
    unsettled: AtomicBool,
    /// Deletions of counts that the database has not answered.
    forgetting: watch::Sender<usize>,
    /// The outage of the database for writes of failed attempts.
    noting: Mutex<Outage>,
}

impl Shared {
    pub(super) fn new(
        (queue, topic, group): (&str, &str, &str),
        name: QueueName,
        start: Start,
        db: Db,
        home: Handle,
        health: Health,
    ) -> Self {
        let open = Arc::<OpenLeases>::default();
        let noting = Outage::new(format!(
            "queue `{queue}`: the count of failed attempts in the database"
        ));
        let nothing = Limit {
            useful: 0,
            ceiling: 0,
        };
        Self {
            queue: queue.into(),
            topic: topic.into(),
            group: group.into(),
            name,
            start,
            db,
            home,
            health,
            assignments: Mutex::new(Assignments::new(Arc::clone(&open))),
            open,
            settled: Condvar::new(),
            news: Arc::default(),
            limit: watch::Sender::new(nothing),
            client: Mutex::default(),
            closing: AtomicBool::new(false),
            ended: watch::Sender::new(false),
            topic_id: Mutex::default(),
            topic_fence: AtomicI64::new(0),
            unpositioned: Unpositioned::default(),
            unsettled: AtomicBool::new(false),
            forgetting: watch::Sender::new(0),
            noting: Mutex::new(noting),
        }
    }

    /// The guard is never held during a wait.
    pub(super) fn assignments(&self) -> MutexGuard<'_, Assignments<RdkafkaRecordQueue>> {
        self.assignments.lock()
    }

    /// Wakes the timer after a change of the assignments, where a record is due before it would wake.
    pub(super) fn ring_in_time(&self, assignments: &Assignments<RdkafkaRecordQueue>, now: Instant) {
        if assignments.rings_too_late(now) {
            self.news.notify_one();
        }
    }

    /// Notes ends of deliveries.
    pub(super) fn settle(&self, ends: &[Settled]) {
        let (mut assignments, now) = (self.assignments(), Instant::now());
        let over = assignments.settle(ends, now);
        self.ring_in_time(&assignments, now);
        drop(assignments);
        if over > 0 {
            self.notify_settled();
        }
    }

    /// Enters the polled records, and returns those that are given out.
    pub(super) fn fill(
        self: &Arc<Self>,
        claimed: (i32, Claim<RdkafkaRecordQueue>),
    ) -> Option<Batch> {
        let (mut assignments, now) = (self.assignments(), Instant::now());
        let partition = claimed.0;
        let batch = assignments.fill(claimed, now);
        self.ring_in_time(&assignments, now);
        // The thread that removes a partition waits for its partition queue.
        if assignments.is_leaving(partition) {
            self.notify_settled();
        }
        let cuts = assignments.take_cuts();
        drop(assignments);
        for (partition, cut, gone) in cuts {
            log::warn!(
                "queue `{}`: the log of partition {partition} of `{}` was cut off: {cut}",
                self.queue,
                self.topic
            );
            crashes::forget(self, partition, gone);
        }
        batch
    }

    /// Removes partitions. Returns how many of their records go on running.
    pub(super) fn remove(&self, partitions: &[i32]) -> usize {
        let mut assignments = self.assignments();
        assignments.stop_feeding(partitions);
        // No poll of them begins any more, and one under way is about to end.
        while assignments.is_borrowed(partitions) {
            self.settled.wait(&mut assignments);
        }
        let (partition_queues, running) = assignments.remove(partitions, Instant::now());
        drop(assignments);
        // Dropped without the lock of the assignments, as it may take long.
        drop(partition_queues);
        running
    }

    /// Notifies that leases have ended.
    pub(super) fn notify_settled(&self) {
        self.settled.notify_all();
    }

    /// Waits until consumers have no record of these partitions, or the deadline has come.
    pub(super) fn wait_until_settled(&self, partitions: &[i32], deadline: Instant) {
        let mut assignments = self.assignments();
        while assignments.out_count(partitions) > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            self.settled.wait_for(&mut assignments, left);
        }
    }

    /// A partition has no position that librdkafka could begin at.
    pub(super) fn stands(&self, partition: i32) {
        self.unpositioned.add(partition);
        self.health.stands();
    }

    /// Keeps among the unpositioned partitions only those for which `of` holds.
    pub(super) fn stand_at_most(&self, of: impl Fn(i32) -> bool) {
        if self.unpositioned.retain(of) {
            self.health.none_stands();
        }
    }

    /// The assignment has changed: the pool is sized by the number of partitions.
    pub(super) fn rebalanced(&self) {
        let partitions = self.assignments().partitions();
        let useful = u32::try_from(partitions.len()).unwrap_or(u32::MAX);
        let before = self.limit.borrow().useful;
        if before != useful {
            log::info!(
                "queue `{}`: has {useful} partitions of `{}` now, {partitions:?}",
                self.queue,
                self.topic
            );
        }
        self.limit.send_if_modified(|limit| {
            let changed = limit.useful != useful;
            limit.useful = useful;
            limit.ceiling = limit.ceiling.max(useful);
            changed
        });
    }

    /// Notes the number of the topic's partitions.
    pub(super) fn counted_partitions(&self, partitions: usize) {
        let ceiling = u32::try_from(partitions).unwrap_or(u32::MAX);
        self.limit.send_if_modified(|limit| {
            let changed = limit.ceiling != ceiling;
            limit.ceiling = ceiling;
            changed
        });
    }

    /// Logs how many positions the brokers have not taken, at the end of a member that does not wait for them any longer.
    pub(super) fn log_untaken(&self) {
        let positions = self.assignments().uncommitted().len();
        if positions > 0 {
            log::warn!(
                "queue `{}`: Kafka did not confirm the last positions of {positions} partitions in time; records finished since the previous commit run again",
                self.queue
            );
        }
    }

    pub(super) fn client(&self) -> Option<Arc<BaseConsumer<Context>>> {
        self.client.lock().upgrade()
    }

    /// The client. Waits for it, as the first check of the lag may come before it is made.
    pub(super) fn wait_for_client(&self) -> Option<Arc<BaseConsumer<Context>>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let client = self.client();
            if client.is_some() || self.closing() || Instant::now() >= deadline {
                return client;
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    pub(super) fn set_client(&self, client: &Arc<BaseConsumer<Context>>) {
        *self.client.lock() = Arc::downgrade(client);
    }

    pub(super) fn topic_id(&self) -> Option<TopicId> {
        *self.topic_id.lock()
    }

    pub(super) fn set_topic_id(&self, id: TopicId) {
        *self.topic_id.lock() = Some(id);
        self.topic_fence.store(id.fence(), Ordering::Relaxed);
    }

    /// Distinguishes records of topics that had the same name; 0 where the brokers give topics no ids.
    pub(super) fn topic_fence(&self) -> i64 {
        self.topic_fence.load(Ordering::Relaxed)
    }

    /// The member has to join anew before its partitions can be read.
    pub(super) fn leave_unsettled(&self) {
        self.unsettled.store(true, Ordering::Release);
    }

    /// Whether the member has to join anew. Returns true once.
    pub(super) fn take_unsettled(&self) -> bool {
        self.unsettled.swap(false, Ordering::AcqRel)
    }

    /// The guard is not held during a wait.
    pub(super) fn noting(&self) -> MutexGuard<'_, Outage> {
        self.noting.lock()
    }

    /// The database is deleting counts until the returned value is dropped.
    pub(super) fn forgetting(self: &Arc<Self>) -> Forgetting {
        self.forgetting.send_modify(|orders| *orders += 1);
        Forgetting(Arc::clone(self))
    }

    /// Waits until the member has ended and all its writes to the database are done.
    pub(super) async fn until_ended(&self) {
        let (mut ended, mut forgetting) = (self.ended.subscribe(), self.forgetting.subscribe());
        // Neither sender is dropped before `self`.
        let _ = ended.wait_for(|ended| *ended).await;
        let _ = forgetting.wait_for(|orders| *orders == 0).await;
    }

    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    pub(super) fn closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}

/// See [`Shared::forgetting`].
pub(super) struct Forgetting(Arc<Shared>);

impl Drop for Forgetting {
    fn drop(&mut self) {
        self.0.forgetting.send_modify(|orders| *orders -= 1);
    }
}
