//! The lag: the records of the topic that the group has not finished.
//!
//! It is the sum over all partitions of the topic, whichever member has them, of the end less the committed position.
//! Deleted records do not count: a partition counts from the start of its log at least. For assigned partitions the
//! position here counts, as it is younger than the committed one. Where the last offsets are no records (marks of
//! transactions, aborted records), the owner's position moves over them and is committed, so they do not count for other
//! members either.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::callbacks::Context;
use super::client::Start;
use super::shared::Shared;

/// The time for each of the four queries. A pool that waits for the answer keeps its size.
const PATIENCE: Duration = Duration::from_secs(10);

/// The lag. Blocks its thread.
pub(super) fn lag(consumer: &BaseConsumer<Context>, shared: &Shared) -> KafkaResult<u64> {
    let topic = &*shared.topic;
    let all = partitions(consumer, topic, PATIENCE)?;
    shared.counted_partitions(all.len());
    let ends = ends(consumer, topic, &all, Offset::End, PATIENCE)?;
    let committed = committed(consumer, topic, &all)?;
    // Read after the ends, so that no record which came since then is missed.
    let here = shared.assignments().progress();
    let of = |partition: &i32| here.get(partition).copied().unwrap_or_default();
    let known = |partition: &i32| {
        committed
            .get(partition)
            .copied()
            .max(of(partition).position)
    };
    let is_behind = |(partition, end): &(&i32, &i64)| {
        !of(partition).exhausted && known(partition).is_none_or(|known| known < **end)
    };
    let behind: Vec<i32> = ends.iter().filter(is_behind).map(|(p, _)| *p).collect();
    let begins = match shared.start {
        // A new group begins at the end.
        Start::Latest if committed.is_empty() => ends.clone(),
        _ if behind.is_empty() => BTreeMap::new(),
        _ => self::ends(consumer, topic, &behind, Offset::Beginning, PATIENCE)?,
    };
    let of_partition = |partition: &i32| {
        // Records that have been deleted, or are about to be, never come.
        let from = known(partition).max(begins.get(partition).copied());
        let end = ends.get(partition).copied().unwrap_or(0);
        let left = from.map_or(0, |from| end.saturating_sub(from));
        let unfinished = u64::try_from(of(partition).unfinished).unwrap_or(u64::MAX);
        u64::try_from(left).unwrap_or(0).max(unfinished)
    };
    Ok(behind.iter().map(of_partition).sum())
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

/// The first or the last offset of each partition.
pub(super) fn ends<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
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
