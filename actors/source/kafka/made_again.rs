//! A topic that was deleted and made again begins at its first records.
//!
//! The brokers forget a topic's positions when it is deleted; positions that members commit after that, without having
//! noticed, name the deleted topic (`topic_id.rs`). The deletion is noticed when partitions come, and by a check every
//! 5 s: the member is then made anew, without a commit. Records of the new topic that had run until then run again;
//! none is skipped.

use std::time::Duration;

use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};

use super::assignments::Position;
use super::callbacks::Context;
use super::lag::ends;
use super::shared::Shared;
use super::topic_id::{TopicId, ask};
use super::{commit, resume};

/// The time for one query to the brokers when partitions are assigned.
const PATIENCE: Duration = Duration::from_secs(5);
/// The time for one query while partitions are consumed.
const SHORT_PATIENCE: Duration = Duration::from_secs(1);
/// Attempts when partitions are assigned. After that the next check finds a topic that was made again.
const TRIES: u32 = 3;

/// Whether the topic was deleted and made again since its partitions were assigned.
pub(super) fn is_noticed(consumer: &BaseConsumer<Context>, shared: &Shared) -> bool {
    let client = consumer.client().native_ptr();
    let Some(present) = ask(client, &shared.topic, SHORT_PATIENCE) else {
        return false;
    };
    let is_other = match shared.topic_id() {
        Some(known) => present != known,
        // The id could not be read when the partitions were assigned. The committed positions have their topic's id.
        None => match is_committed_of_another(consumer, shared, present) {
            Ok(false) => {
                shared.set_topic_id(present);
                false
            }
            Ok(true) => true,
            Err(_) => false,
        },
    };
    if is_other {
        log::warn!(
            "queue `{}`: topic `{}` was deleted and made again; its partitions are taken anew, from their first records",
            shared.queue,
            shared.topic
        );
    }
    is_other
}

fn is_committed_of_another(
    consumer: &BaseConsumer<Context>,
    shared: &Shared,
    present: TopicId,
) -> KafkaResult<bool> {
    let partitions = shared.assignments().partitions();
    let committed = resume::committed(consumer, shared, &partitions, SHORT_PATIENCE)?;
    let mut ids = partitions
        .iter()
        .filter_map(|partition| commit::topic_of(&committed, *partition));
    Ok(ids.any(|of| of != present))
}

/// The positions at which assigned partitions begin.
#[derive(Debug, Default)]
pub(super) struct Beginnings {
    /// Partitions that begin at their first records.
    pub(super) anew: Vec<i32>,
    /// The group's positions in the other partitions, where it has any.
    pub(super) positions: Vec<Position>,
}

/// Decides where partitions begin, before records are fetched.
pub(super) fn resolve(
    consumer: &BaseConsumer<Context>,
    shared: &Shared,
    assigned: &[i32],
) -> Beginnings {
    if assigned.is_empty() {
        return Beginnings::default();
    }
    let client = consumer.client().native_ptr();
    let present = ask(client, &shared.topic, PATIENCE);
    // Partitions that this member keeps are those of the topic that it knows. The next check compares them.
    let knows_for_kept = !shared.assignments().partitions().is_empty();
    let mut fault = String::new();
    for _ in 0..TRIES {
        match begin_anew(consumer, shared, assigned, present) {
            Ok(beginnings) => {
                if !knows_for_kept && let Some(present) = present {
                    shared.set_topic_id(present);
                }
                return beginnings;
            }
            Err(cause) => fault = cause.to_string(),
        }
    }
    log::warn!(
        "queue `{}`: partitions {assigned:?} of `{}` come without knowing whether their topic was made again or their logs were cut off: {fault}",
        shared.queue,
        shared.topic
    );
    Beginnings::default()
}

fn begin_anew(
    consumer: &BaseConsumer<Context>,
    shared: &Shared,
    assigned: &[i32],
    present: Option<TopicId>,
) -> KafkaResult<Beginnings> {
    let topic = &*shared.topic;
    let committed = resume::committed(consumer, shared, assigned, PATIENCE)?;
    let mut positions = resume::positions(&committed);
    let Some(present) = present else {
        let anew = Vec::new();
        return Ok(Beginnings { anew, positions });
    };
    let was_other = shared.topic_id().is_some_and(|known| known != present);
    let mut anew = Vec::new();
    for element in committed.elements() {
        let is_known = matches!(element.offset(), Offset::Offset(_));
        match commit::topic_of(&committed, element.partition()) {
            Some(of) if is_known && of != present => {
                // Until this is done, the records here belong to that topic, and the next check notices it.
                shared.set_topic_id(of);
                anew.push(element.partition());
            }
            // The beginning of a new group does not apply here.
            None if !is_known && was_other => anew.push(element.partition()),
            _ => {}
        }
    }
    positions.retain(|one| !anew.contains(&one.partition));
    if anew.is_empty() {
        return Ok(Beginnings { anew, positions });
    }
    let starts = ends(consumer, topic, &anew, Offset::Beginning, PATIENCE)?;
    if starts.len() < anew.len() {
        return Err(KafkaError::MetadataFetch(
            rdkafka::error::RDKafkaErrorCode::UnknownPartition,
        ));
    }
    let list = commit::list(topic, &Position::without_epochs(starts), Some(present))?;
    consumer.commit(&list, CommitMode::Sync)?;
    log::warn!(
        "queue `{}`: topic `{topic}` was deleted and made again; partitions {anew:?} begin at their first records, and what of them ran before this was noticed runs again",
        shared.queue
    );
    Ok(Beginnings { anew, positions })
}
