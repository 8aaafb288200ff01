//! Partitions that go and come back while their records run, without Kafka.

use std::collections::HashMap;
use std::time::Duration;

use super::assignments::{World, one, receipts};
use super::partition::Script;
use crate::job::Disposition;

impl World {
    fn goes(&mut self, partition: i32) -> usize {
        let (partition_queues, running) = self.assignments.remove(&[partition], self.now);
        assert_eq!(partition_queues.len(), 1);
        running
    }

    /// With its records from this one on.
    fn comes(&mut self, partition: i32, from: i64) {
        self.assignments.assign(partition, Script::of(from..3));
        self.assignments
            .set_earlier_attempts(HashMap::new(), &[partition], self.now);
    }
}

const RETRY: Disposition = Disposition::Retry(Duration::from_secs(10));

#[test]
fn what_still_runs_when_its_partition_comes_back_is_not_started_again_and_its_end_counts() {
    let mut world = World::of(&[3]);
    let batch = world.take(one(1), 1).unwrap();
    world.assignments.stop_feeding(&[0]);
    assert!(!world.open.has(batch.lease));
    assert_eq!(world.assignments.out_count(&[0]), 1);
    // Twice, and with an end in the middle of the second time that another may take for its own.
    for _ in 0..2 {
        assert_eq!(world.goes(0), 1);
        world.comes(0, 0);
        assert!(world.take(one(2), 3).is_none(), "those behind it wait");
        assert_eq!(world.uncommitted(), [(0, 0)]);
        assert_eq!(world.assignments.out_count(&[0]), 1, "it is waited for");
    }
    let receipt = receipts(&batch).next().unwrap();
    assert!(
        world.assignments.out(receipt).is_some(),
        "a dead letter can be made"
    );
    world.settle(&batch, &Disposition::Complete);
    assert_eq!(world.uncommitted(), [(0, 1)]);
    let next = world.take(one(2), 3).unwrap();
    assert_eq!(offsets(&next), [1, 2]);
    // Once.
    world.settle(&batch, &Disposition::Complete);
    assert_eq!(world.uncommitted(), [(0, 1)]);
}

#[test]
fn what_ended_while_its_partition_was_away_is_not_run_again() {
    let mut world = World::of(&[3]);
    let batch = world.take(one(1), 2).unwrap();
    assert_eq!(world.goes(0), 2);
    world.settle(&batch, &Disposition::Complete);
    assert!(world.uncommitted().is_empty());
    world.comes(0, 0);
    let rest = world.take(one(2), 3).unwrap();
    assert_eq!(offsets(&rest), [2]);
    assert_eq!(world.uncommitted(), [(0, 2)]);
}

#[test]
fn what_was_finished_and_could_not_be_committed_is_not_run_again() {
    let mut world = World::of(&[3]);
    let first = world.take(one(1), 1).unwrap();
    world.settle(&first, &Disposition::Complete);
    let second = world.take(one(1), 1).unwrap();
    world.settle(&second, &Disposition::Complete);
    // Its session is over before the next commit, twice.
    world.assignments.committed(0, 1);
    for _ in 0..2 {
        assert_eq!(world.goes(0), 0);
        world.comes(0, 1);
    }
    let rest = world.take(one(2), 3).unwrap();
    assert_eq!(offsets(&rest), [2]);
    assert_eq!(world.uncommitted(), [(0, 2)]);
    // Records that the brokers knew as finished run again where the position was set back.
    world.settle(&rest, &Disposition::Release);
    world.goes(0);
    world.comes(0, 0);
    assert_eq!(offsets(&world.take(one(2), 3).unwrap()), [0, 2]);
}

#[test]
fn what_failed_while_its_partition_was_away_goes_on_with_its_next_attempt_after_its_back_off() {
    let mut world = World::of(&[3]);
    let batch = world.take(one(1), 1).unwrap();
    world.goes(0);
    let receipt = receipts(&batch).next().unwrap();
    assert!(
        world.assignments.out(receipt).is_none(),
        "no dead letter is made of it"
    );
    assert_eq!(world.assignments.note_failure(receipt), Some(1));
    world.settle(&batch, &RETRY);
    assert_eq!(
        world.assignments.note_failure(receipt),
        None,
        "it has ended"
    );
    world.comes(0, 0);
    assert!(world.take(one(2), 3).is_none());
    world.now += Duration::from_secs(10);
    let again = world.take(one(2), 3).unwrap();
    assert_eq!(
        (offsets(&again), again.handed[0].attempt),
        (vec![0, 1, 2], 2)
    );
    assert_eq!(
        world.assignments.committed(0, 1),
        [0],
        "it is known no longer"
    );
}

#[test]
fn a_run_that_fails_when_its_partition_is_back_is_tried_again_at_its_place() {
    let mut world = World::of(&[3]);
    let batch = world.take(one(1), 1).unwrap();
    world.goes(0);
    world.comes(0, 0);
    assert!(world.take(one(2), 3).is_none());
    world.settle(&batch, &RETRY);
    assert!(world.take(one(2), 3).is_none());
    assert!(world.assignments.ring(world.now).is_some());
    world.now += Duration::from_secs(10);
    let again = world.take(one(2), 3).unwrap();
    assert_eq!(
        (offsets(&again), again.handed[0].attempt),
        (vec![0, 1, 2], 2)
    );
}

#[test]
fn what_was_handed_out_and_had_not_begun_begins_when_it_is_released() {
    let mut world = World::of(&[3]);
    let batch = world.take(one(1), 3).unwrap();
    world.goes(0);
    world.comes(0, 0);
    assert!(world.take(one(2), 3).is_none());
    world.settle(&batch, &Disposition::Release);
    let again = world.take(one(2), 3).unwrap();
    assert_eq!(
        (offsets(&again), again.handed[0].attempt),
        (vec![0, 1, 2], 1)
    );
}

#[test]
fn a_late_end_means_nothing_where_others_have_moved_the_position() {
    let mut world = World::of(&[3]);
    let batch = world.take(one(1), 1).unwrap();
    world.goes(0);
    world.comes(0, 1);
    let rest = world.take(one(2), 3).unwrap();
    assert_eq!(offsets(&rest), [1, 2]);
    world.settle(&batch, &Disposition::Complete);
    assert_eq!(world.uncommitted(), [(0, 1)]);
    assert_eq!(world.goes(0), 2, "the late one is forgotten");
}

fn offsets(batch: &crate::source::kafka::assignments::Batch) -> Vec<i64> {
    super::partition::offsets(&batch.handed)
}
