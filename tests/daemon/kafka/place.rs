//! A world with a Kafka queue: its topic, its group, and what others see of them.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{Value, json};

use crate::ledger::{Ledger, Line};
use crate::servers::kafka::Kafka;
use crate::wait::{LONG_PATIENCE, wait_for, wait_until};
use crate::world::World;

/// For what the broker is asked.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a daemon that was killed keeps its partitions.
pub const SESSION: Duration = Duration::from_secs(3);

/// A world with one Kafka queue, `work`.
pub struct Place<'a> {
    pub world: World,
    pub server: &'a Kafka,
    pub topic: String,
    pub group: String,
    pub partitions: i32,
}

/// Of the cluster: a dead member is found out soon, new topics and partitions too.
pub fn properties() -> Value {
    json!({
        "session.timeout.ms": u64::try_from(SESSION.as_millis()).unwrap(),
        "heartbeat.interval.ms": 500,
        "topic.metadata.refresh.interval.ms": 1000,
    })
}

impl<'a> Place<'a> {
    /// A fresh topic; the entry has more keys than the usual ones.
    pub fn new(server: &'a Kafka, partitions: i32, more: &Value) -> Self {
        let topic = server.topic(partitions);
        Self::of(server, topic, partitions, &properties(), more)
    }

    pub fn of(
        server: &'a Kafka,
        topic: String,
        partitions: i32,
        properties: &Value,
        more: &Value,
    ) -> Self {
        let world = World::new(json!({
            "heartbeat_interval": "300ms",
            "shutdown_deadline": 20,
            "kafka": { "default": { "brokers": server.brokers(), "properties": properties } },
        }));
        let place = Self {
            world,
            server,
            group: server.name(),
            topic,
            partitions,
        };
        place.queue_of("script1", more);
        place
    }

    /// The queue of a daemon's partition.
    pub fn queue_of(&self, partition: &str, more: &Value) {
        let mut entry = json!({
            "name": "work", "exec_cmd": "ledger", "topic": self.topic, "group_id": self.group,
            "progress": 4, "progress_lag_limit": 1_000_000_000, "progress_avg_msgcount": 1000, "status": 1,
        });
        let more = more.as_object().unwrap().clone();
        entry.as_object_mut().unwrap().extend(more);
        self.world.partition(partition, &json!([entry]), &json!([]));
    }

    /// The daemon's settings as they stand.
    pub fn settings(&self) -> Value {
        let file = std::fs::read(self.world.path("etc/dev.json")).unwrap();
        serde_json::from_slice(&file).unwrap()
    }

    /// The daemon reaches the cluster by another address, with more properties.
    pub fn reach_by(&self, brokers: &str, more: &Value) {
        let mut settings = self.settings();
        let cluster = &mut settings["kafka"]["default"];
        cluster["brokers"] = brokers.into();
        let more = more.as_object().unwrap().clone();
        cluster["properties"].as_object_mut().unwrap().extend(more);
        self.world.etc("dev.json", &settings);
    }

    /// Records, one after the other on the partitions in turn; durable when this returns.
    #[track_caller]
    pub fn produce(&self, bodies: &[String]) {
        self.producer().produce(bodies);
    }

    /// Records on one partition.
    #[track_caller]
    pub fn produce_to(&self, partition: i32, bodies: &[&str]) {
        let producer = self.producer();
        bodies
            .iter()
            .for_each(|body| producer.send(partition, body));
        producer.flush();
    }

    pub fn producer(&self) -> Producer {
        Producer {
            client: self.server.client().create().unwrap(),
            topic: self.topic.clone(),
            partitions: self.partitions,
        }
    }

    /// A client that sees what the group has committed, without being of it.
    pub fn observer(&self) -> BaseConsumer {
        self.server
            .client()
            .set("group.id", &self.group)
            .create()
            .unwrap()
    }

    /// The committed offset of each partition; those without one are not there.
    pub fn committed(&self, observer: &BaseConsumer) -> BTreeMap<i32, i64> {
        let mut list = TopicPartitionList::new();
        list.add_partition_range(&self.topic, 0, self.partitions - 1);
        // The group may be on its way to another broker, or to one that has only just started.
        let ask = || observer.committed_offsets(list.clone(), PATIENCE).ok();
        let known = wait_for("the group's coordinator to answer", PATIENCE, ask);
        let of = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| match element
            .offset()
        {
            Offset::Offset(offset) => Some((element.partition(), offset)),
            _ => None,
        };
        known.elements().iter().filter_map(of).collect()
    }

    /// The sum of all ends less all committed offsets.
    pub fn uncommitted(&self, observer: &BaseConsumer) -> i64 {
        let committed = self.committed(observer);
        let left = |partition: i32| {
            // A broker that stood still for long learns from its controller only then that it leads.
            let ask = || {
                let watermarks = observer.fetch_watermarks(&self.topic, partition, PATIENCE);
                watermarks.ok()
            };
            let (_, end) = wait_for("the partition's leader to answer", PATIENCE, ask);
            end - committed.get(&partition).copied().unwrap_or(0)
        };
        (0..self.partitions).map(left).sum()
    }

    /// Waits until all there is has been committed.
    #[track_caller]
    pub fn wait_drained(&self) {
        let observer = self.observer();
        wait_until("all records to be committed", LONG_PATIENCE, || {
            self.uncommitted(&observer) == 0
        });
    }
}

/// Another program, which fills the topic.
pub struct Producer {
    client: ThreadedProducer<DefaultProducerContext>,
    topic: String,
    partitions: i32,
}

impl Producer {
    /// Durable when this returns.
    #[track_caller]
    pub fn produce(&self, bodies: &[String]) {
        for (n, body) in bodies.iter().enumerate() {
            self.send(i32::try_from(n).unwrap() % self.partitions, body);
        }
        self.flush();
    }

    fn send(&self, partition: i32, body: &str) {
        let record: BaseRecord<'_, (), str> = BaseRecord::to(&self.topic).partition(partition);
        let mut record = record.payload(body);
        // Its queue is full from time to time.
        while let Err((_, back)) = self.client.send(record) {
            record = back;
            self.client.poll(Duration::from_millis(10));
        }
    }

    #[track_caller]
    fn flush(&self) {
        self.client.flush(PATIENCE).unwrap();
    }
}

/// The first runs of each partition's records, in the order in which they were written.
pub fn first_runs(ledger: &Ledger) -> BTreeMap<String, Vec<i64>> {
    let mut firsts: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for line in &ledger.lines {
        let (partition, offset) = place_of(line);
        let of_partition = firsts.entry(partition).or_default();
        if !of_partition.contains_at_end(offset) {
            of_partition.push(offset);
        }
    }
    firsts
}

/// Partition and offset.
pub fn place_of(line: &Line) -> (String, i64) {
    let id = line.id.as_str().unwrap();
    let (partition, offset) = id.split_once('/').unwrap();
    (partition.to_owned(), offset.parse().unwrap())
}

trait ContainsAtEnd {
    /// Whether an ascending list has it: searched for from its end.
    fn contains_at_end(&self, offset: i64) -> bool;
}

impl ContainsAtEnd for Vec<i64> {
    fn contains_at_end(&self, offset: i64) -> bool {
        self.iter()
            .rev()
            .take_while(|have| **have >= offset)
            .any(|have| *have == offset)
    }
}
