//! Where partitions go on when they come: at the group's positions, once the brokers have confirmed that their logs
//! still have the records before those.
//!
//! librdkafka asks for that when it sees a leader change, and when it seeks; not when it begins at a committed
//! position. A log that was cut while no member read it would be read on at an offset at which other records are, or
//! none. So each partition is sought to its position before anything is given out of it: with the epoch that was
//! committed beside the offset. Where the log was cut librdkafka goes back to the cut, and `partition/cut.rs` notices.

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

/// librdkafka begins to fetch within milliseconds, and seeks after that.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(5);

/// The elements of a list, for what rdkafka has no way to.
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

/// Before librdkafka is given the partitions: they begin at these positions, and those without one where librdkafka finds
/// that they should.
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

/// After that: has the brokers asked whether the logs have what comes before the positions. What was fetched until then is
/// dropped by librdkafka. Answers those for which it could not be done.
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

/// Answers those that librdkafka has not begun to fetch.
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

/// The group's positions of these partitions, and for each the topic that it is of.
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

/// Those that there are.
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
