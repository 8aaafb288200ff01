//! A topic of Kafka, read as a member of a consumer group.
//!
//! At least once: a position is committed only when every polled record before it is finished (`partition/mod.rs`). It is
//! committed each second, when a partition goes to another member, and at the end. Records that were in flight when the
//! process ended run again. Nothing but the committed position is kept, except for the attempts of records that failed or
//! ended a process.
//!
//! Each pool of each process has one member of the group (`member.rs`), whose partitions its consumers take in turn
//! (`assignments.rs`): the group does not notice the number of consumers.

mod assignments;
mod callbacks;
mod client;
mod clusters;
mod commit;
mod crashes;
mod drain;
mod epochs;
mod health;
mod lag;
mod leases;
mod made_again;
mod member;
mod native;
mod partition;
mod partition_queue;
mod probe;
mod produce;
mod record;
mod remedy;
mod resume;
mod shared;
mod start;
mod survivors;
#[cfg(test)]
mod tests;
mod topic_id;
mod unpositioned;
mod watching;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rdkafka::ClientConfig;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot, watch};

use self::assignments::Batch;
use self::client::Start;
pub(crate) use self::clusters::{ClusterError, Clusters, Inside};
use self::health::Health;
pub(crate) use self::probe::{Reached, probe, reach};
use self::shared::Shared;
use super::{
    Delivery, Fetched, Fetcher, KafkaReceipt, Limit, Locality, Receipt, Settled, Source,
    SourceError, nothing,
};
use crate::clock::now_ms;
use crate::db::Db;
use crate::job::{Disposition, Message, MessageSource, SourceKind};
use crate::membership::Ownership;
use crate::poison::{Identity, Kind, QueueName};
use crate::stop::StopListener;
use crate::store::rows::{EntryName, NewDeadLetter};
use crate::store::write::InsertDeadLetters;
use crate::task::{panic_point, restart_on_panic};

/// The topic, and the group that reads it.
#[derive(Debug, Clone)]
pub(crate) struct Subscription {
    pub(crate) entry: EntryName,
    pub(crate) topic: String,
    pub(crate) group: String,
    /// The name of the cluster in the settings.
    pub(crate) cluster: String,
    /// The daemon's partition, for dead letters.
    pub(crate) partition: String,
}

impl Subscription {
    /// Its name in slots and recorded crashes. It is unambiguous, as a topic has no `/` and cluster names are unique.
    pub(crate) fn slot_name(&self) -> QueueName {
        let text = format!("{}/{}/{}", self.topic, self.cluster, self.group);
        QueueName::new(Kind::Kafka, &text)
    }
}

/// See the module's header.
pub(crate) struct KafkaSource {
    subscription: Subscription,
    config: ClientConfig,
    shared: Arc<Shared>,
    opened: OnceLock<()>,
}

impl KafkaSource {
    /// Makes a source that has no connection yet.
    ///
    /// # Errors
    ///
    /// When the cluster's settings do not make a client.
    pub(crate) fn new(
        subscription: Subscription,
        clusters: &Clusters,
        db: Db,
        home: Handle,
    ) -> Result<Self, ClusterError> {
        let cluster = &subscription.cluster;
        let start = Start::of(&clusters.settings(cluster)?.properties);
        let config = clusters.member_config(cluster, &subscription.group)?;
        config
            .create_native_config()
            .map_err(|cause| ClusterError::Client(cluster.clone(), cause))?;
        let queue = &subscription.entry.name;
        let place = format!(
            "topic `{}` for group `{}`",
            subscription.topic, subscription.group
        );
        let health = Health::new(queue, cluster, &place);
        let names = (&**queue, &*subscription.topic, &*subscription.group);
        let shared = Shared::new(names, subscription.slot_name(), start, db, home, health);
        Ok(Self {
            subscription,
            config,
            shared: Arc::new(shared),
            opened: OnceLock::new(),
        })
    }

    fn start(&self) {
        let (shared, config) = (Arc::clone(&self.shared), self.config.clone());
        let member = std::thread::Builder::new().name("kafka-member".to_owned());
        if let Err(cause) = member.spawn(move || member::run(&shared, &config)) {
            log::error!(
                "queue `{}` is not consumed: no thread for it: {cause}",
                self.shared.queue
            );
        }
        let shared = Arc::clone(&self.shared);
        self.shared.home.spawn(async move {
            let wake = || wake_consumers(Arc::clone(&shared));
            restart_on_panic("the waking of consumers", wake).await;
        });
    }

    fn deliveries(&self, batch: Batch) -> Fetched {
        let Batch {
            partition,
            lease,
            handed,
        } = batch;
        let shared = &self.shared;
        // Unshared clones of the names for this batch: a count that all threads raise and lower would move to and fro between
        // their caches.
        let (queue, topic): (Arc<str>, Arc<str>) = ((*shared.queue).into(), (*shared.topic).into());
        let (of, mut digits) = (format!("{partition}/"), itoa::Buffer::new());
        let delivery = move |handed: partition::Handed| {
            let record = handed.record;
            Delivery {
                receipt: Receipt::Kafka(KafkaReceipt {
                    partition,
                    offset: record.offset,
                    lease,
                }),
                suspect: handed.suspect,
                arrived_ms: record
                    .timestamp_ms
                    .filter(|&ms| handed.attempt == 1 && ms > 0),
                message: Message {
                    id: [&of, digits.format(record.offset)].concat(),
                    payload: record.payload.clone(),
                    key: record.key.clone(),
                    headers: record.headers.clone(),
                    source: MessageSource {
                        queue: Arc::clone(&queue),
                        kind: SourceKind::Kafka {
                            topic: Arc::clone(&topic),
                            partition,
                            offset: record.offset,
                            timestamp_ms: record.timestamp_ms,
                        },
                    },
                    attempt: handed.attempt,
                },
            }
        };
        Box::new(handed.into_iter().map(delivery))
    }

    /// The dead letters of these ends. A record whose partition has gone gets none: its attempt has failed, and its present
    /// owner decides. If the partition comes back before the end is noted, the record has no attempt left, and becomes a
    /// dead letter then.
    fn dead_letters(&self, ends: &mut [Settled]) -> Vec<NewDeadLetter> {
        let assignments = self.shared.assignments();
        let mut dead_letters = Vec::new();
        for settled in ends {
            let Disposition::DeadLetter { error, attempts } = &settled.disposition else {
                continue;
            };
            let receipt = settled.receipt.of_kafka();
            let Some(record) = assignments.out(receipt) else {
                settled.disposition = Disposition::Retry(Duration::ZERO);
                continue;
            };
            dead_letters.push(NewDeadLetter {
                kind: "kafka",
                source: self.subscription.topic.clone(),
                entry: self.subscription.entry.clone(),
                original_id: format!("{}/{}", receipt.partition, receipt.offset),
                payload: record.payload.clone(),
                key: record.key.clone(),
                headers: record.headers.clone(),
                error: error.clone(),
                attempts: *attempts,
                partition: self.subscription.partition.clone(),
                first_ms: record.timestamp_ms.unwrap_or_else(now_ms),
            });
        }
        dead_letters
    }
}

impl Source for KafkaSource {
    fn open(&self) {
        self.opened.get_or_init(|| self.start());
    }

    fn hindrance(&self) -> Option<String> {
        self.shared.health.hindrance()
    }

    fn limit(&self) -> Option<watch::Receiver<Limit>> {
        Some(self.shared.limit.subscribe())
    }

    fn locality(&self) -> Locality {
        Locality::InProcess
    }

    fn fetch<'a>(
        &'a self,
        who: Fetcher,
        max: u32,
        stop: &'a mut StopListener,
    ) -> BoxFuture<'a, Result<Fetched, SourceError>> {
        async move {
            let max = usize::try_from(max).unwrap_or(usize::MAX);
            while !stop.begun() {
                let wake = Arc::<Notify>::default();
                let claimed = {
                    let (mut assignments, now) = (self.shared.assignments(), Instant::now());
                    let claimed = assignments.claim(who, max, now);
                    match claimed {
                        // There may be records for other consumers.
                        Some(_) => assignments.wake(now),
                        None => assignments.wait(who, Arc::clone(&wake)),
                    }
                    self.shared.ring_in_time(&assignments, now);
                    claimed
                };
                if let Some((partition, mut claim)) = claimed {
                    claim.poll();
                    match self.shared.fill((partition, claim)) {
                        Some(batch) => return Ok(self.deliveries(batch)),
                        None => continue,
                    }
                }
                let turn = Turn::new(&self.shared, wake);
                tokio::select! {
                    () = turn.come() => {}
                    () = stop.quiet() => {}
                }
            }
            Ok(nothing())
        }
        .boxed()
    }

    fn ownership(&self, receipt: &Receipt) -> Ownership {
        match self.shared.open.has(receipt.of_kafka().lease) {
            true => Ownership::Held,
            false => Ownership::Blocked,
        }
    }

    fn block(&self, receipt: &Receipt) {
        self.shared.assignments().block(receipt.of_kafka());
    }

    fn identity<'a>(&'a self, message: &'a Message, _: &Receipt) -> Identity<'a> {
        // As `crashes::identity` makes it.
        let fence = self.shared.topic_fence();
        self.shared.name.message(&message.id, fence)
    }

    fn settle(&self, mut ends: Vec<Settled>) -> BoxFuture<'_, Result<Vec<Settled>, SourceError>> {
        async move {
            // The dead letters are durable before the position may pass their records. A crash in between makes a dead letter
            // twice.
            let dead_letters = self.dead_letters(&mut ends);
            if !dead_letters.is_empty() {
                let insert = InsertDeadLetters { dead_letters };
                self.shared.db.write(insert).await?;
            }
            crashes::note_failures(&self.shared, &ends).await;
            self.shared.settle(&ends);
            Ok(Vec::new())
        }
        .boxed()
    }

    fn settle_now(&self, mut ends: Vec<Settled>) -> Vec<Settled> {
        // Failures are written to the database first.
        let failed = |settled: &mut Settled| {
            matches!(
                settled.disposition,
                Disposition::DeadLetter { .. } | Disposition::Retry(_)
            )
        };
        let failed = ends.extract_if(.., failed).collect();
        self.shared.settle(&ends);
        failed
    }

    fn lag(&self) -> BoxFuture<'_, Result<u64, SourceError>> {
        async move {
            let (shared, config) = (Arc::clone(&self.shared), self.config.clone());
            let lag = |shared: &Shared| {
                let client = shared.wait_for_client().ok_or(SourceError::NotYet)?;
                Ok(lag::lag(&client, shared)?)
            };
            // librdkafka's queries block their thread, for half a minute where a broker hangs. So they have a thread of their
            // own: the end of the process would wait for one of the runtime.
            let (reply, answer) = oneshot::channel();
            let thread = std::thread::Builder::new().name("kafka-lag".to_owned());
            let asked = thread.spawn(move || {
                let lag = lag(&shared);
                let leaders_answer = lag.is_ok();
                drop(reply.send(lag));
                watching::probe_leaders(&shared, &config, leaders_answer);
            });
            if let Err(cause) = asked {
                log::debug!("no thread to ask for a lag: {cause}");
            }
            answer.await.unwrap_or(Err(SourceError::NotYet))
        }
        .boxed()
    }

    fn close(&self, within: Duration) -> BoxFuture<'_, ()> {
        async move {
            if self.opened.get().is_none() {
                return;
            }
            self.shared.close();
            let ended = self.shared.until_ended();
            if tokio::time::timeout(within, ended).await.is_err() {
                self.shared.log_untaken();
            }
        }
        .boxed()
    }
}

/// A waiting fetch. If it was woken and is dropped, another consumer is woken.
struct Turn<'a> {
    shared: &'a Shared,
    wake: Arc<Notify>,
    came: AtomicBool,
}

impl<'a> Turn<'a> {
    fn new(shared: &'a Shared, wake: Arc<Notify>) -> Self {
        Self {
            shared,
            wake,
            came: AtomicBool::new(false),
        }
    }

    async fn come(&self) {
        self.wake.notified().await;
        self.came.store(true, Ordering::Relaxed);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.came.load(Ordering::Relaxed) {
            self.shared.assignments().leave(&self.wake, Instant::now());
        }
    }
}

/// Wakes consumers when partitions have filled, and when waiting records may run.
async fn wake_consumers(shared: Arc<Shared>) {
    let mut ended = shared.ended.subscribe();
    loop {
        panic_point("kafka waking", &shared.topic);
        let due = shared.assignments().ring(Instant::now());
        let due = async {
            match due {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shared.news.notified() => {}
            () = due => {}
            _ = ended.wait_for(|ended| *ended) => return,
        }
    }
}
