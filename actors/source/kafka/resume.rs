//! Assigned partitions go on at the group's positions, once the brokers have confirmed that their logs still have the
//! records before those positions.
//!
//! librdkafka requests that confirmation after a change of the leader, and when it seeks, but not when it begins at a
//! committed position. Where a log was cut while no member read it, it would go on at an offset that has another record,
//! or none. So each partition is sought to its position, with the epoch that was committed beside it, before a record of
//! it is given out. Where the log was cut, librdkafka goes back to the cut, and `partition/cut.rs` notices it.

use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::bindings::{
    rd_kafka_topic_partition_get_leader_epoch, rd_kafka_topic_partition_set_leader_epoch,
    rd_kafka_topic_partition_t,
};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};

use super::assignments::Position;
use super::callbacks::Context;
use super::commit;
use super::shared::Shared;

/// The time for librdkafka to begin to fetch, which it needs before it seeks. It takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(5);

/// The elements of a list, for fields that rdkafka does not wrap.
fn elements(list: &TopicPartitionList) -> impl Iterator<Item = *mut rd_kafka_topic_partition_t> {
    // SAFETY: the list lives, and has `cnt` elements.
    let (first, count) = unsafe { ((*list.ptr()).elems, (*list.ptr()).cnt) };
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: as above.
    (0..count).map(move |at| unsafe { first.add(at) })
}

/// Writes the epoch of each position beside its offset, where the list has its partition.
pub(super) fn set_epochs(list: &TopicPartitionList, positions: &[Position]) {
    for element in elements(list) {
        // SAFETY: it lives, and no other reference to it exists.
        unsafe {
            let mut positions = positions.iter();
            let position = positions.find(|one| one.partition == (*element).partition);
            if let Some(epoch) = position.and_then(|position| position.epoch) {
                rd_kafka_topic_partition_set_leader_epoch(element, epoch);
            }
        }
    }
}

/// Sets the positions of partitions before librdkafka is given them. Where a partition has none, librdkafka decides.
pub(super) fn begin_at(list: &TopicPartitionList, positions: &[Position]) {
    for element in elements(list) {
        // SAFETY: as above.
        unsafe {
            let mut positions = positions.iter();
            if let Some(position) = positions.find(|one| one.partition == (*element).partition) {
                (*element).offset = position.offset;
            }
        }
    }
    set_epochs(list, positions);
}

/// Seeks to the positions, after that: librdkafka asks the brokers whether the logs have the records before them, and drops
/// the records that it has fetched by then. Returns the positions for which that failed.
pub(super) fn validate(
    consumer: &BaseConsumer<Context>,
    shared: &Shared,
    positions: &[Position],
) -> Vec<Position> {
    let with_epoch = |one: &&Position| one.epoch.is_some() && one.offset > 0;
    let mut left: Vec<Position> = positions.iter().filter(with_epoch).copied().collect();
    let deadline = Instant::now() + PATIENCE;
    while !left.is_empty() && !shared.closing() {
        match seek(consumer, shared, &left) {
            Ok(not_yet) => left.retain(|one| not_yet.contains(&one.partition)),
            Err(cause) => log::debug!("queue `{}`: {cause}", shared.queue),
        }
        if Instant::now() >= deadline {
            break;
        }
        if !left.is_empty() {
            std::thread::sleep(PAUSE);
        }
    }
    left
}

/// Returns the positions of partitions that librdkafka has not begun to fetch.
fn seek(
    consumer: &BaseConsumer<Context>,
    shared: &Shared,
    positions: &[Position],
) -> KafkaResult<Vec<i32>> {
    let list = commit::list(&shared.topic, positions, None)?;
    let sought = consumer.seek_partitions(list, PATIENCE)?;
    let mut not_yet = Vec::new();
    for element in sought.elements() {
        match element.error() {
            Ok(()) => {}
            Err(KafkaError::OffsetFetch(Code::State)) => not_yet.push(element.partition()),
            Err(cause) => return Err(cause),
        }
    }
    Ok(not_yet)
}

/// The group's positions in these partitions, each with the id of its topic.
pub(super) fn committed<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    shared: &Shared,
    partitions: &[i32],
    patience: Duration,
) -> KafkaResult<TopicPartitionList> {
    let mut asked = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        asked.add_partition(&shared.topic, *partition);
    }
    let committed = consumer.committed_offsets(asked, patience)?;
    for element in committed.elements() {
        element.error()?;
    }
    Ok(committed)
}

/// The positions that there are.
pub(super) fn positions(committed: &TopicPartitionList) -> Vec<Position> {
    let position = |element: *mut rd_kafka_topic_partition_t| {
        // SAFETY: it lives as long as its list.
        let (partition, offset, epoch) = unsafe {
            let epoch = rd_kafka_topic_partition_get_leader_epoch(element);
            ((*element).partition, (*element).offset, epoch)
        };
        (offset >= 0).then_some(Position {
            partition,
            offset,
            epoch: (epoch >= 0).then_some(epoch),
        })
    };
    elements(committed).filter_map(position).collect()
}
