//! How many records of the topic the group has not finished.
//!
//! Over all partitions that the topic really has, whoever of the group has them: their end less the committed position.
//! A partition without a position counts from where it will begin. Of our own partitions the position here is younger
//! than the committed one, and tells where the last offsets are no records (the marks of transactions).

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::client::Start;
use super::context::Context;
use super::shared::Shared;

/// For each of the three questions: a pool that waits for the answer keeps its size.
const PATIENCE: Duration = Duration::from_secs(10);

/// Blocks its thread.
pub(super) fn lag(consumer: &BaseConsumer<Context>, shared: &Shared) -> KafkaResult<u64> {
    let topic = &*shared.topic;
    let all = partitions(consumer, topic, PATIENCE)?;
    shared.counted_partitions(all.len());
    let ends = ends(consumer, topic, &all, Offset::End, PATIENCE)?;
    let committed = committed(consumer, topic, &all)?;
    // Asked after the ends: what came here since then is not missed.
    let here = shared.board().positions();
    let without = |partition: &i32| {
        let here = here.get(partition).and_then(|(position, _)| *position);
        !committed.contains_key(partition) && here.is_none()
    };
    let new: Vec<i32> = all.into_iter().filter(without).collect();
    let begins = match shared.start {
        // A new group begins at the end.
        Start::Latest if committed.is_empty() => ends.clone(),
        _ if new.is_empty() => BTreeMap::new(),
        _ => self::ends(consumer, topic, &new, Offset::Beginning, PATIENCE)?,
    };
    let of_partition = |(partition, end): (&i32, &i64)| {
        let (position, exhausted) = here.get(partition).copied().unwrap_or_default();
        if exhausted {
            return 0;
        }
        let known = committed.get(partition).copied().max(position);
        let from = known.or_else(|| begins.get(partition).copied());
        let left = end.saturating_sub(from.unwrap_or(*end));
        u64::try_from(left).unwrap_or(0)
    };
    Ok(ends.iter().map(of_partition).sum())
}

/// The partitions that the topic has.
pub(super) fn partitions(
    consumer: &BaseConsumer<Context>,
    topic: &str,
    patience: Duration,
) -> KafkaResult<Vec<i32>> {
    let metadata = consumer.fetch_metadata(Some(topic), patience)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let found = found.ok_or(KafkaError::MetadataFetch(
        RDKafkaErrorCode::UnknownTopicOrPartition,
    ))?;
    if let Some(error) = found.error() {
        return Err(KafkaError::MetadataFetch(error.into()));
    }
    Ok(found
        .partitions()
        .iter()
        .map(|partition| partition.id())
        .collect())
}

/// One end of each partition.
pub(super) fn ends(
    consumer: &BaseConsumer<Context>,
    topic: &str,
    partitions: &[i32],
    which: Offset,
    patience: Duration,
) -> KafkaResult<BTreeMap<i32, i64>> {
    let mut asked = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        asked.add_partition_offset(topic, *partition, which)?;
    }
    known(&consumer.offsets_for_times(asked, patience)?)
}

fn committed(
    consumer: &BaseConsumer<Context>,
    topic: &str,
    partitions: &[i32],
) -> KafkaResult<BTreeMap<i32, i64>> {
    let mut asked = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        asked.add_partition(topic, *partition);
    }
    known(&consumer.committed_offsets(asked, PATIENCE)?)
}

fn known(list: &TopicPartitionList) -> KafkaResult<BTreeMap<i32, i64>> {
    let mut known = BTreeMap::new();
    for element in list.elements() {
        element.error()?;
        if let Offset::Offset(offset) = element.offset() {
            known.insert(element.partition(), offset);
        }
    }
    Ok(known)
}
