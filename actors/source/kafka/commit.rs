//! Commits of positions to the brokers.

use std::sync::Arc;
use std::{ptr, slice};

use rdkafka::bindings::{
    rd_kafka_commit_queue, rd_kafka_queue_destroy, rd_kafka_queue_get_consumer,
};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{IsError, KafkaError, KafkaResult};
use rdkafka::{Offset, TopicPartitionList};

use super::assignments::Position;
use super::callbacks::Context;
use super::shared::Shared;
use super::topic_id::TopicId;
use super::{crashes, resume};

/// Commits all positions that the brokers do not have. The member's poll calls [`answered`] with the answer.
pub(super) fn later(consumer: &BaseConsumer<Context>, shared: &Shared) {
    let positions = shared.assignments().uncommitted();
    let sent =
        list(&shared.topic, &positions, shared.topic_id()).and_then(|list| send(consumer, &list));
    log_failure(shared, sent);
}

/// Commits the positions of some partitions. Waits for the answer: while no broker answers, for most of a minute.
pub(super) fn now(
    consumer: &BaseConsumer<Context>,
    shared: &Arc<Shared>,
    of: impl Fn(i32) -> bool,
) {
    let mut positions = shared.assignments().uncommitted();
    positions.retain(|position| of(position.partition));
    if positions.is_empty() {
        return;
    }
    let list = list(&shared.topic, &positions, shared.topic_id());
    let committed = list.and_then(|list| consumer.commit(&list, CommitMode::Sync));
    if committed.is_ok() {
        shared.health.committed(Ok(()));
        let positions = positions.iter().map(|one| (one.partition, one.offset));
        crashes::committed(shared, &positions.collect::<Vec<_>>());
    }
    log_failure(shared, committed);
}

/// Logs a failed commit. Its positions are not lost: the next commit has them too, or the next owner runs the records again.
fn log_failure(shared: &Shared, result: KafkaResult<()>) {
    if let Err(cause) = result {
        log::debug!("queue `{}`: commit: {cause}", shared.queue);
        shared.health.committed(Err(cause.to_string()));
    }
}

/// Each position carries the id of its topic and the epoch of the record before it, where they are known.
pub(super) fn list(
    topic: &str,
    positions: &[Position],
    of: Option<TopicId>,
) -> KafkaResult<TopicPartitionList> {
    let metadata = of.map(TopicId::metadata);
    let mut list = TopicPartitionList::with_capacity(positions.len());
    for position in positions {
        let mut element = list.add_partition(topic, position.partition);
        element.set_offset(Offset::Offset(position.offset))?;
        if let Some(metadata) = &metadata {
            element.set_metadata(metadata);
        }
    }
    resume::set_epochs(&list, positions);
    Ok(list)
}

/// The topic id of a committed position, where it has one. rdkafka's own function panics where that text is not UTF-8, and
/// any program can write it.
pub(super) fn topic_of(list: &TopicPartitionList, partition: i32) -> Option<TopicId> {
    // SAFETY: the list lives, has `cnt` elements, and each owns its text.
    unsafe {
        let list = &*list.ptr();
        let count = usize::try_from(list.cnt).ok().filter(|count| *count > 0)?;
        let elements = slice::from_raw_parts(list.elems, count);
        let element = elements.iter().find(|one| one.partition == partition)?;
        if element.metadata.is_null() {
            return None;
        }
        let metadata = slice::from_raw_parts(element.metadata.cast(), element.metadata_size);
        TopicId::of_metadata(metadata)
    }
}

/// As `Consumer::commit` with `CommitMode::Async`, but with an answer. For rdkafka's function librdkafka sends the answer
/// only to the callback of the settings, which rdkafka does not set. Here it comes to the queue that the member polls.
fn send(consumer: &BaseConsumer<Context>, list: &TopicPartitionList) -> KafkaResult<()> {
    if list.count() == 0 {
        return Ok(());
    }
    let client = consumer.client().native_ptr();
    // SAFETY: the client lives as long as `consumer`. The queue is a reference of ours, destroyed below; librdkafka keeps
    // one of its own for the answer, and copies the list.
    let error = unsafe {
        let queue = rd_kafka_queue_get_consumer(client);
        let error = rd_kafka_commit_queue(client, list.ptr(), queue, None, ptr::null_mut());
        rd_kafka_queue_destroy(queue);
        error
    };
    match error.is_error() {
        true => Err(KafkaError::ConsumerCommit(error.into())),
        false => Ok(()),
    }
}

/// The brokers answered a commit.
pub(super) fn answered(
    shared: &Arc<Shared>,
    result: &KafkaResult<()>,
    offsets: &TopicPartitionList,
) {
    if let Err(cause) = result {
        log::debug!("queue `{}`: commit: {cause}", shared.queue);
        shared.health.committed(Err(cause.to_string()));
        return;
    }
    shared.health.committed(Ok(()));
    let elements = offsets.elements_for_topic(&shared.topic);
    let committed = elements
        .iter()
        .filter_map(|element| match element.offset() {
            Offset::Offset(position) if element.error().is_ok() => {
                Some((element.partition(), position))
            }
            _ => None,
        });
    let committed: Vec<(i32, i64)> = committed.collect();
    crashes::committed(shared, &committed);
}
