//! `"auto.offset.reset": "latest"`: where a new group begins.
//!
//! A group that has no position in any partition is new: the present end of *each* partition is committed, those of other
//! members too, which then find that the group is not new any more. So a partition without a position in a group that
//! has others was added later, and begins at its first record: those that came before it was noticed are not skipped.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{Offset, TopicPartitionList};

use super::client::Start;
use super::context::Context;
use super::lag::{ends, partitions};
use super::shared::Shared;

/// For one question to the brokers.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// Before the partitions are fetched from. Until it is known where they begin nothing can be done with them: at their
/// first record would be wrong for good.
pub(super) fn resolve(consumer: &BaseConsumer<Context>, shared: &Shared, assigned: &[i32]) {
    if shared.start == Start::Earliest || assigned.is_empty() {
        return;
    }
    while let Err(cause) = begin_at_the_end(consumer, shared) {
        log::warn!(
            "queue `{}`: where its group begins is not known yet, trying again: {cause}",
            shared.queue
        );
        if shared.closing() {
            return;
        }
        std::thread::sleep(PAUSE);
    }
}

fn begin_at_the_end(consumer: &BaseConsumer<Context>, shared: &Shared) -> KafkaResult<()> {
    let topic = &*shared.topic;
    let all = partitions(consumer, topic, PATIENCE)?;
    let mut asked = TopicPartitionList::with_capacity(all.len());
    for partition in &all {
        asked.add_partition(topic, *partition);
    }
    let known = consumer.committed_offsets(asked, PATIENCE)?;
    let is_known = |offset: Offset| matches!(offset, Offset::Offset(_));
    for element in known.elements() {
        element.error()?;
        if is_known(element.offset()) {
            return Ok(());
        }
    }
    let mut list = TopicPartitionList::with_capacity(all.len());
    for (partition, end) in ends(consumer, topic, &all, Offset::End, PATIENCE)? {
        list.add_partition_offset(topic, partition, Offset::Offset(end))?;
    }
    if list.count() < all.len() {
        return Err(KafkaError::MetadataFetch(
            rdkafka::error::RDKafkaErrorCode::UnknownPartition,
        ));
    }
    consumer.commit(&list, CommitMode::Sync)?;
    log::info!(
        "queue `{}`: its group is new and begins with what comes from now on",
        shared.queue
    );
    Ok(())
}
