//! A partition whose log loses its end while records of it are here, without Kafka.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use super::assignments::{World, one};
use super::partition::{Pulled, Script, offsets, record};
use crate::job::Disposition;
use crate::source::kafka::assignments::Position;

/// Records of an epoch.
fn records(offsets: Range<i64>, epoch: i32) -> impl Iterator<Item = Pulled> {
    offsets.map(move |offset| {
        let mut record = record(offset);
        record.epoch = Some(epoch);
        Pulled::Record(record)
    })
}

impl World {
    /// One partition, which gives this.
    fn giving(pulled: impl IntoIterator<Item = Pulled>) -> Self {
        let mut world = Self::of(&[]);
        world
            .assignments
            .assign(0, Script(pulled.into_iter().collect()));
        world
            .assignments
            .set_earlier_attempts(HashMap::new(), &[0], world.now);
        world
    }

    /// It goes, and comes again with this, at the group's position.
    fn comes_again(&mut self, position: (i64, i32), pulled: impl IntoIterator<Item = Pulled>) {
        self.assignments.remove(&[0], self.now);
        self.assignments
            .assign(0, Script(pulled.into_iter().collect()));
        self.assignments.resume(&[Position {
            partition: 0,
            offset: position.0,
            epoch: Some(position.1),
        }]);
        self.assignments
            .set_earlier_attempts(HashMap::new(), &[0], self.now);
    }

    /// Where logs were cut, and how far they had been read.
    fn cuts(&mut self) -> Vec<(i64, i64)> {
        let cuts = self.assignments.take_cuts().into_iter();
        cuts.map(|(_, cut, _)| (cut.at, cut.read_to)).collect()
    }

    fn all(&mut self, consumer: u64) -> (crate::source::kafka::assignments::Batch, Vec<i64>) {
        let batch = self.take(one(consumer), 99).unwrap();
        let all = offsets(&batch.handed);
        (batch, all)
    }

    fn to_commit(&self) -> Vec<(i64, Option<i32>)> {
        let positions = self.assignments.uncommitted().into_iter();
        positions.map(|one| (one.offset, one.epoch)).collect()
    }
}

#[test]
fn a_position_goes_back_with_its_log_and_what_is_there_now_runs() {
    let mut world = World::giving(records(0..5, 3).chain(records(2..4, 7)));
    let (old, got) = world.all(1);
    assert_eq!(got, [0, 1, 2, 3, 4], "others start behind these");
    assert_eq!(world.cuts(), [(2, 5)]);
    assert!(world.take(one(2), 99).is_none());
    world.settle(&old, &Disposition::Complete);
    assert_eq!(world.to_commit(), [(2, Some(3))]);
    let (new, got) = world.all(1);
    assert_eq!(got, [2, 3]);
    world.settle(&new, &Disposition::Complete);
    assert_eq!(world.to_commit(), [(4, Some(7))]);
    assert_eq!(world.cuts(), []);
}

#[test]
fn what_is_left_of_a_log_that_was_cut_is_tried_again_before_the_others() {
    let mut world = World::giving(records(0..3, 3).chain(records(1..2, 7)));
    let (old, _) = world.all(1);
    world.settle(&old, &Disposition::Retry(Duration::from_secs(9)));
    assert_eq!(world.to_commit(), [(0, None)]);
    assert!(world.take(one(1), 99).is_none());
    world.now += Duration::from_secs(9);
    let (again, got) = world.all(1);
    assert_eq!(got, [0, 1, 2]);
    world.settle(&again, &Disposition::Complete);
    assert_eq!(world.all(1).1, [1]);
}

#[test]
fn a_log_that_ends_before_the_position_was_cut_though_nothing_came_since() {
    let mut world = World::giving(records(0..5, 3).chain([Pulled::End(5), Pulled::End(2)]));
    let (old, _) = world.all(1);
    world.settle(&old, &Disposition::Complete);
    assert_eq!(
        (world.cuts(), world.to_commit()),
        (vec![(2, 5)], vec![(2, Some(3))])
    );
}

#[test]
fn an_end_that_records_came_behind_of_is_no_cut() {
    let gives = records(0..2, 3).chain([Pulled::End(2)]);
    let mut world = World::giving(gives.chain(records(2..4, 3)));
    assert_eq!(world.all(1).1, [0, 1, 2, 3]);
    assert_eq!(world.cuts(), []);
}

#[test]
fn a_log_that_was_cut_while_the_partition_was_away_is_noticed_when_it_comes() {
    let mut world = World::giving(records(0..5, 3));
    let (old, _) = world.all(1);
    world.settle(&old, &Disposition::Complete);
    world.assignments.committed(0, 5);
    world.comes_again((5, 3), records(2..4, 7));
    assert_eq!(world.all(1).1, [2, 3]);
    assert_eq!(world.cuts(), [(2, 5)]);
    // And where it has nothing there.
    world.comes_again((4, 7), [Pulled::End(1)]);
    assert!(world.take(one(1), 9).is_none());
    assert_eq!(
        (world.cuts(), world.to_commit()),
        (vec![(1, 4)], vec![(1, None)])
    );
}

#[test]
fn records_of_a_later_epoch_are_none_of_those_that_were_finished_at_their_offsets() {
    let mut world = World::giving(records(0..5, 3));
    let (old, _) = world.all(1);
    world.settle(&old, &Disposition::Complete);
    // Nobody took its last positions, and the log was cut behind the one that is known.
    world.assignments.committed(0, 1);
    world.comes_again((1, 3), records(1..3, 3).chain(records(3..6, 7)));
    assert_eq!(world.all(1).1, [3, 4, 5]);
    assert_eq!(world.cuts(), [(3, 5)]);
}

#[test]
fn a_run_of_a_record_that_is_gone_is_not_taken_for_one_of_the_record_in_its_place() {
    let mut world = World::giving(records(0..1, 3));
    let (old, _) = world.all(1);
    world.comes_again((0, 3), records(0..1, 7));
    assert_eq!(world.all(1).1, [0]);
    world.settle(&old, &Disposition::Complete);
    assert_eq!(
        world.to_commit(),
        [(0, None)],
        "its end is none of the other's"
    );
}

#[test]
fn attempts_of_records_that_are_gone_are_forgotten() {
    let mut world = World::of(&[]);
    world.assignments.assign(
        0,
        Script(records(0..3, 3).chain(records(1..2, 7)).collect()),
    );
    let crashed = |offset| {
        (
            offset,
            crate::source::kafka::partition::EarlierAttempts {
                attempts: 2,
                suspect: false,
                due: world.now,
            },
        )
    };
    let crashed = HashMap::from([(0, [0, 1, 9].map(crashed).into())]);
    world
        .assignments
        .set_earlier_attempts(crashed, &[0], world.now);
    let (old, _) = world.all(1);
    assert_eq!(old.handed[1].attempt, 3);
    let gone: Vec<Vec<i64>> = world
        .assignments
        .take_cuts()
        .into_iter()
        .map(|(.., gone)| gone)
        .collect();
    assert_eq!(gone, [[1, 9]]);
    world.settle(&old, &Disposition::Complete);
    let (new, _) = world.all(1);
    assert_eq!(new.handed[0].attempt, 1);
}

#[test]
fn a_gap_between_two_epochs_is_read_again_from_before_it() {
    // What follows in librdkafka's queue, and its end, come too early.
    let early = records(5..9, 7).chain([Pulled::End(9)]);
    let mut world = World::giving(
        records(0..2, 3)
            .chain(early)
            .chain(records(2..5, 3))
            .chain(records(5..7, 7)),
    );
    let (got, all) = world.all(1);
    assert_eq!(all, [0, 1, 2, 3, 4, 5, 6]);
    let rereads = world.assignments.take_rereads();
    let wanted = Position {
        partition: 0,
        offset: 2,
        epoch: Some(3),
    };
    assert_eq!(rereads, [wanted]);
    world.settle(&got, &Disposition::Complete);
    assert_eq!(world.to_commit(), [(7, Some(7))]);
    assert_eq!(world.cuts(), []);
}

#[test]
fn a_gap_that_is_still_there_when_it_is_read_again_is_one() {
    let mut world = World::giving(
        records(0..2, 3)
            .chain(records(5..9, 7))
            .chain(records(5..9, 7)),
    );
    assert_eq!(world.all(1).1, [0, 1, 5, 6, 7, 8]);
    assert_eq!(world.assignments.take_rereads().len(), 1);
    // Within an epoch it is one in any case.
    let mut world = World::giving(records(0..2, 3).chain(records(5..9, 3)));
    assert_eq!(world.all(1).1, [0, 1, 5, 6, 7, 8]);
    assert!(world.assignments.take_rereads().is_empty());
}
