//! `"auto.offset.reset": "latest"`: where a new group begins.
//!
//! A group that has no position in any partition is new: the present end of *each* partition is committed, those of other
//! members too, which then find that the group is not new any more. So a partition without a position in a group that
//! has others was added later, and begins at its first record: those that came before it was noticed are not skipped.
//!
//! One member does so, the one that has the first partition; the others wait until it has. If each might, the slower
//! one's ends would come after the positions of the faster one, and stand above records that this one has not finished:
//! the next owner of the partition would skip them. A member that had the first partition in an earlier generation of
//! the group and comes late is refused by the coordinator.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::{Offset, TopicPartitionList};

use super::assignments::Position;
use super::callbacks::Context;
use super::client::Start;
use super::commit;
use super::lag::{ends, partitions};
use super::shared::Shared;

/// For one question to the brokers.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the member with the first partition may take to commit where a new group begins. After this time it is
/// taken for a member of another program.
const FIRST_MEMBER: Duration = Duration::from_secs(30);
/// Then the group shares out its partitions anew.
const LONGEST: Duration = Duration::from_secs(120);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(500);

/// Before the partitions are fetched from. Until it is known where they begin nothing can be done with them: at their
/// first record would be wrong for good. Answers whether it is; otherwise the group has to share them out anew.
pub(super) fn resolve(consumer: &BaseConsumer<Context>, shared: &Shared, assigned: &[i32]) -> bool {
    if shared.start == Start::Earliest || assigned.is_empty() {
        return true;
    }
    let (begun, mut was_new) = (Instant::now(), false);
    // Not longer: while this thread is here, the group is not polled.
    while !shared.closing() && begun.elapsed() < LONGEST {
        let first_is_silent = begun.elapsed() >= FIRST_MEMBER;
        match begin_at_the_end(consumer, shared, assigned, first_is_silent, &mut was_new) {
            Ok(Begins::IsKnown) => return true,
            Ok(Begins::FirstMemberSays) => {}
            Err(cause) if is_of_another_generation(&cause) => {
                log::debug!("queue `{}`: its group has gone on: {cause}", shared.queue);
                return false;
            }
            Err(cause) => {
                let code = cause.rdkafka_error_code();
                shared.health.does_not_begin(code, &cause.to_string());
            }
        }
        std::thread::sleep(PAUSE);
    }
    false
}

/// The coordinator takes no commits of a generation that is over.
fn is_of_another_generation(cause: &KafkaError) -> bool {
    matches!(
        cause.rdkafka_error_code(),
        Some(
            Code::IllegalGeneration
                | Code::UnknownMemberId
                | Code::RebalanceInProgress
                | Code::StaleMemberEpoch
        )
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begins {
    IsKnown,
    /// The member with the first partition is about to commit it.
    FirstMemberSays,
}

/// In a new group: of which partitions this member commits the ends.
fn its_ends<'a>(all: &'a [i32], assigned: &'a [i32], first_is_silent: bool) -> Option<&'a [i32]> {
    let first = all.iter().min()?;
    if assigned.contains(first) {
        return Some(all);
    }
    // It is a member of another program, which does as it likes. Nobody but us commits those that are ours.
    first_is_silent.then_some(assigned)
}

fn begin_at_the_end(
    consumer: &BaseConsumer<Context>,
    shared: &Shared,
    assigned: &[i32],
    first_is_silent: bool,
    was_new: &mut bool,
) -> KafkaResult<Begins> {
    let topic = &*shared.topic;
    let all = partitions(consumer, topic, PATIENCE)?;
    let mut asked = TopicPartitionList::with_capacity(all.len());
    for partition in &all {
        asked.add_partition(topic, *partition);
    }
    let known = consumer.committed_offsets(asked, PATIENCE)?;
    let mut unknown = Vec::with_capacity(all.len());
    for element in known.elements() {
        element.error()?;
        if !matches!(element.offset(), Offset::Offset(_)) {
            unknown.push(element.partition());
        }
    }
    let its = if unknown.len() == all.len() {
        *was_new = true;
        match its_ends(&all, assigned, first_is_silent) {
            Some(its) => its.to_vec(),
            None => return Ok(Begins::FirstMemberSays),
        }
    } else if *was_new {
        // The group was new when these partitions came. Another member has committed where its own begin, and only this
        // member commits it for these.
        unknown.retain(|partition| assigned.contains(partition));
        unknown
    } else {
        Vec::new()
    };
    if its.is_empty() {
        return Ok(Begins::IsKnown);
    }
    let ends = ends(consumer, topic, &its, Offset::End, PATIENCE)?;
    if ends.len() < its.len() {
        return Err(KafkaError::MetadataFetch(Code::UnknownPartition));
    }
    let list = commit::list(topic, &Position::without_epochs(ends), shared.topic_id())?;
    consumer.commit(&list, CommitMode::Sync)?;
    log::info!(
        "queue `{}`: its group is new and begins with what comes from now on",
        shared.queue
    );
    Ok(Begins::IsKnown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_new_group_one_member_commits_where_it_begins() {
        let all = [2, 0, 1, 3];
        assert_eq!(its_ends(&all, &[0, 3], false), Some(&all[..]));
        assert_eq!(its_ends(&all, &[1, 2], false), None);
        // Never a partition that another member may have committed.
        assert_eq!(its_ends(&all, &[1, 2], true), Some(&[1, 2][..]));
        assert_eq!(its_ends(&[], &[], true), None);
    }
}
