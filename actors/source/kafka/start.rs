//! `"auto.offset.reset": "latest"`: where a new group begins.
//!
//! A group that has no position in any partition is new. Then the present end of *each* partition is committed, also of
//! partitions of other members, which then find that the group is not new any more. So a partition without a position, in
//! a group that has others, was added later. It begins at its first record: no record that came before it was noticed is
//! skipped.
//!
//! Only the member with the first partition commits the ends, and the others wait for it. If each member did, the ends of
//! a slower one would be committed over the positions of a faster one, above records that are not finished, and the next
//! owner of the partition would skip them. The coordinator refuses a late commit of a member that had the first partition
//! in an earlier generation of the group.

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

/// The time for one query to the brokers.
const PATIENCE: Duration = Duration::from_secs(5);
/// The time for the member with the first partition to commit the ends. After it that member is considered one of another
/// program.
const FIRST_MEMBER: Duration = Duration::from_secs(30);
/// The longest that the beginnings are tried for. Then the member joins the group anew.
const LONGEST: Duration = Duration::from_secs(120);
/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// Decides where partitions begin, before records are fetched: a wrong beginning could not be corrected later. Returns
/// whether it is decided; otherwise the member has to join the group anew.
pub(super) fn resolve(consumer: &BaseConsumer<Context>, shared: &Shared, assigned: &[i32]) -> bool {
    if shared.start == Start::Earliest || assigned.is_empty() {
        return true;
    }
    let (begun, mut was_new) = (Instant::now(), false);
    // Bounded, as this thread does not poll for the group meanwhile.
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

/// The partitions whose ends this member commits in a new group.
fn its_ends<'a>(all: &'a [i32], assigned: &'a [i32], first_is_silent: bool) -> Option<&'a [i32]> {
    let first = all.iter().min()?;
    if assigned.contains(first) {
        return Some(all);
    }
    // The first partition has a member of another program. Only this member commits the ends of its own partitions.
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
        // The group was new when these partitions came. Another member has committed its own ends, and only this member
        // commits those of these partitions.
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
        "queue `{}`: its group is new and begins at the present end of each partition",
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
