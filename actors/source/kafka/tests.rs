//! The source: its parts without Kafka, and the whole against a real broker.

mod assignments;
mod claim;
mod cut;
mod cut_log;
mod earlier_attempts;
mod group;
mod lag;
mod leaders;
mod mock;
mod partition;
mod survivors;
mod taking;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::time::{Instant, timeout};

use super::{Clusters, Inside, KafkaSource, Subscription};
use crate::config::{Brokers, KafkaSettings, Secret};
use crate::job::Disposition;
use crate::servers::kafka::{self, Kafka};
use crate::source::{Delivery, Fetcher, Settled, Source, Streams};
use crate::stop::StopSignal;
use crate::store::rows::EntryName;
use crate::testing_support::TestDb;

/// For what takes a moment, on a machine that compiles something else.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two polls.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// A pause that nothing should come in.
const DONE: Disposition = Disposition::Complete;

fn one(consumer: u64) -> Fetcher {
    Fetcher {
        consumer,
        streams: Streams::One,
        bytes: u32::MAX,
    }
}

/// Takes from any number of partitions.
const ANY: Fetcher = Fetcher {
    consumer: 99,
    streams: Streams::Many,
    bytes: u32::MAX,
};

/// A topic and a group of one's own, and a database.
struct World {
    server: &'static Kafka,
    topic: String,
    group: String,
    partitions: i32,
    db: TestDb,
    producer: FutureProducer,
}

impl World {
    /// On the broker that all tests share. None where none is installed.
    fn new(partitions: i32) -> Option<Self> {
        Some(Self::on(kafka::shared()?, partitions))
    }

    fn on(server: &'static Kafka, partitions: i32) -> Self {
        Self {
            topic: server.topic(partitions),
            group: server.name(),
            partitions,
            db: TestDb::start(),
            producer: server.client().create().unwrap(),
            server,
        }
    }

    /// A daemon's source, opened.
    fn source(&self) -> Arc<KafkaSource> {
        self.source_with(&[])
    }

    fn source_with(&self, more: &[(&str, &str)]) -> Arc<KafkaSource> {
        let usual = [("topic.metadata.refresh.interval.ms", "500")];
        let properties = usual.iter().chain(more);
        let properties =
            properties.map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned())));
        let settings = KafkaSettings {
            brokers: Brokers::Servers(self.server.brokers()),
            properties: properties.collect(),
        };
        let clusters = Clusters::new(&[("default".to_owned(), settings)].into(), Inside::Daemon);
        source(&clusters, &self.topic, &self.group, &self.db)
    }

    /// One record; answers its offset.
    async fn send(&self, partition: i32, body: &str) -> i64 {
        send(&self.producer, &self.topic, partition, body).await
    }

    /// Sends this many records to each partition, their numbers as bodies.
    async fn fill(&self, records: i64) {
        for partition in 0..self.partitions {
            for number in 0..records {
                self.send(partition, &number.to_string()).await;
            }
        }
    }

    /// The committed offsets, by partition.
    fn committed(&self) -> BTreeMap<i32, i64> {
        let mut config = self.server.client();
        let observer: BaseConsumer = config.set("group.id", &self.group).create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_range(&self.topic, 0, self.partitions - 1);
        let known = observer.committed_offsets(list, PATIENCE).unwrap();
        let elements = known.elements();
        let offset = |offset| match offset {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        elements
            .iter()
            .filter_map(|element| Some((element.partition(), offset(element.offset())?)))
            .collect()
    }

    async fn until_committed(&self, wanted: &[(i32, i64)]) {
        let wanted: BTreeMap<i32, i64> = wanted.iter().copied().collect();
        until("positions to be committed", || self.committed() == wanted).await;
    }
}

async fn send(producer: &FutureProducer, topic: &str, partition: i32, body: &str) -> i64 {
    let record = FutureRecord::<(), str>::to(topic)
        .partition(partition)
        .payload(body);
    let sent = producer.send(record, PATIENCE).await;
    sent.map_err(|(cause, _)| cause).unwrap().offset
}

fn source(clusters: &Clusters, topic: &str, group: &str, db: &TestDb) -> Arc<KafkaSource> {
    let subscription = Subscription {
        entry: EntryName {
            name: "work".to_owned(),
            exec_cmd: "ledger".to_owned(),
        },
        topic: topic.to_owned(),
        group: group.to_owned(),
        cluster: "default".to_owned(),
        partition: "script1".to_owned(),
    };
    let home = tokio::runtime::Handle::current();
    let source = KafkaSource::new(subscription, clusters, db.db.clone(), home).unwrap();
    source.open();
    Arc::new(source)
}

async fn until(what: &str, mut poll: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !poll() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// The next batch.
async fn fetch(source: &KafkaSource, who: Fetcher, max: u32) -> Vec<Delivery> {
    let stop = StopSignal::new();
    let mut listener = stop.listen();
    let fetched = timeout(PATIENCE, source.fetch(who, max, &mut listener)).await;
    fetched.expect("nothing came").unwrap().collect()
}

/// `n` messages, however many batches they come in; no more come.
async fn fetch_all(source: &KafkaSource, n: usize) -> Vec<Delivery> {
    let mut all = Vec::new();
    while all.len() < n {
        let left = u32::try_from(n - all.len()).unwrap();
        all.extend(fetch(source, ANY, left).await);
    }
    all
}

/// Whether nothing is to be had at this moment, and for a while after it.
async fn is_dry(source: &KafkaSource, who: Fetcher) -> bool {
    let stop = StopSignal::new();
    let mut listener = stop.listen();
    let fetched = source.fetch(who, 100, &mut listener);
    timeout(Duration::from_millis(300), fetched).await.is_err()
}

async fn settle(source: &KafkaSource, deliveries: &[Delivery], disposition: &Disposition) {
    let ends = deliveries.iter().map(|delivery| Settled {
        receipt: delivery.receipt,
        disposition: disposition.clone(),
    });
    if !matches!(
        disposition,
        Disposition::Complete | Disposition::DeadLetter { .. }
    ) {
        deliveries
            .iter()
            .for_each(|delivery| source.block(&delivery.receipt));
    }
    source.settle(ends.collect()).await.unwrap();
}

async fn close(source: &KafkaSource) {
    source.close(PATIENCE).await;
    assert!(*source.shared.ended.borrow(), "it ended in time");
}

/// Partition and offset.
fn place(delivery: &Delivery) -> (i32, i64) {
    let receipt = delivery.receipt.of_kafka();
    (receipt.partition, receipt.offset)
}

/// Partition and body of each.
fn bodies(deliveries: &[Delivery]) -> Vec<(i32, String)> {
    let body =
        |delivery: &Delivery| String::from_utf8_lossy(&delivery.message.payload).into_owned();
    deliveries
        .iter()
        .map(|delivery| (place(delivery).0, body(delivery)))
        .collect()
}

/// Of one partition.
fn numbers(deliveries: &[Delivery]) -> Vec<i64> {
    let number = |delivery: &Delivery| {
        str::from_utf8(&delivery.message.payload)
            .unwrap()
            .parse()
            .unwrap()
    };
    deliveries.iter().map(number).collect()
}

fn header<'a>(name: &'a str, value: &'a str) -> Header<'a, &'a str> {
    Header {
        key: name,
        value: Some(value),
    }
}

fn headers(all: &[(&str, &str)]) -> OwnedHeaders {
    let insert =
        |headers: OwnedHeaders, (name, value): &(&str, &str)| headers.insert(header(name, value));
    all.iter().fold(OwnedHeaders::new(), insert)
}

/// A producer with other settings.
fn producer(server: &Kafka, settings: &[(&str, &str)]) -> FutureProducer {
    let mut config: ClientConfig = server.client();
    for (name, value) in settings {
        config.set(*name, *value);
    }
    config.create().unwrap()
}
