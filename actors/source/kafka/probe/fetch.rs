//! Fetches at the end of each partition: its leader can be reached at its advertised address, and this user may read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::metadata::{Metadata, MetadataPartition};
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::lack::some_of;
use super::{Lack, Listener};

const POLL: Duration = Duration::from_millis(100);

/// Returns the number of partitions.
pub(super) fn all(
    client: &BaseConsumer<Listener>,
    metadata: &Metadata,
    topic: &str,
    patience: Duration,
) -> Result<usize, Lack> {
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let partitions = found.map_or(&[][..], |found| found.partitions());
    let without_leader = partitions.iter().filter(|partition| partition.leader() < 0);
    let without_leader: Vec<i32> = without_leader.map(MetadataPartition::id).collect();
    if !without_leader.is_empty() {
        return Err(Lack::Leader(some_of(&without_leader)));
    }
    let mut silent: BTreeSet<i32> = partitions.iter().map(MetadataPartition::id).collect();
    let refused = |cause: KafkaError| Lack::Other(cause.to_string());
    let mut list = TopicPartitionList::with_capacity(silent.len());
    for partition in &silent {
        list.add_partition_offset(topic, *partition, Offset::End)
            .map_err(refused)?;
    }
    // Without the group, so that no member is disturbed.
    client.assign(&list).map_err(refused)?;
    let deadline = Instant::now() + patience;
    while !silent.is_empty() && Instant::now() < deadline {
        match client.poll(POLL) {
            None => {}
            Some(Ok(record)) => drop(silent.remove(&record.partition())),
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(silent.remove(&partition)),
            Some(Err(cause)) => match cause.rdkafka_error_code() {
                Some(Code::TopicAuthorizationFailed) => return Err(Lack::TopicRight),
                // An error of one connection, which librdkafka opens again.
                _ => log::debug!("a fetch from `{topic}`: {cause}"),
            },
        }
    }
    match silent.is_empty() {
        true => Ok(partitions.len()),
        false => Err(away(client, metadata, partitions, &silent)),
    }
}

/// The leader of most silent partitions.
fn away(
    client: &BaseConsumer<Listener>,
    metadata: &Metadata,
    partitions: &[MetadataPartition],
    silent: &BTreeSet<i32>,
) -> Lack {
    let mut by_leader: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for partition in partitions.iter().filter(|one| silent.contains(&one.id())) {
        by_leader
            .entry(partition.leader())
            .or_default()
            .push(partition.id());
    }
    let most = by_leader.iter().max_by_key(|(_, led)| led.len());
    let (leader, led) = most.map_or((-1, &[][..]), |(leader, led)| (*leader, led.as_slice()));
    let broker = metadata.brokers().iter().find(|one| one.id() == leader);
    let address = broker.map_or_else(
        || "?".to_owned(),
        |one| format!("{}:{}", one.host(), one.port()),
    );
    Lack::LeaderAway {
        broker: leader,
        address,
        partitions: some_of(led),
        reason: client.context().reason(),
    }
}
