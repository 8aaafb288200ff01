//! Telling the brokers how far we have come.

use std::ptr;
use std::sync::Arc;

use rdkafka::bindings::{
    rd_kafka_commit_queue, rd_kafka_queue_destroy, rd_kafka_queue_get_consumer,
};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{IsError, KafkaError, KafkaResult};
use rdkafka::{Offset, TopicPartitionList};

use super::context::Context;
use super::deaths;
use super::shared::Shared;

/// All positions that the brokers do not know. The answer comes to [`answered`], by the member's poll.
pub(super) fn later(consumer: &BaseConsumer<Context>, shared: &Shared) {
    let positions = shared.board().uncommitted();
    let sent = list(shared, &positions).and_then(|list| send(consumer, &list));
    told(shared, sent);
}

/// Those of some partitions. Waits for the answer: while no broker answers, for most of a minute.
pub(super) fn now(
    consumer: &BaseConsumer<Context>,
    shared: &Arc<Shared>,
    of: impl Fn(i32) -> bool,
) {
    let mut positions = shared.board().uncommitted();
    positions.retain(|(partition, _)| of(*partition));
    if positions.is_empty() {
        return;
    }
    let list = list(shared, &positions);
    let committed = list.and_then(|list| consumer.commit(&list, CommitMode::Sync));
    if committed.is_ok() {
        deaths::committed(shared, &positions);
    }
    told(shared, committed);
}

/// What has not become durable is not lost: the next commit has it too, or the next owner runs it again.
fn told(shared: &Shared, result: KafkaResult<()>) {
    if let Err(cause) = result {
        log::debug!("queue `{}`: commit: {cause}", shared.queue);
    }
}

fn list(shared: &Shared, positions: &[(i32, i64)]) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(positions.len());
    for (partition, position) in positions {
        list.add_partition_offset(&shared.topic, *partition, Offset::Offset(*position))?;
    }
    Ok(list)
}

/// As `Consumer::commit` with `CommitMode::Async`, whose answer never comes: librdkafka sends it to the callback of the
/// settings only, which rdkafka does not set. This sends it to the queue that the member polls.
fn send(consumer: &BaseConsumer<Context>, list: &TopicPartitionList) -> KafkaResult<()> {
    if list.count() == 0 {
        return Ok(());
    }
    let client = consumer.client().native_ptr();
    // SAFETY: the client lives as long as `consumer`. The queue is a reference of ours, given back below; librdkafka keeps
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
        return;
    }
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
    deaths::committed(shared, &committed);
}
