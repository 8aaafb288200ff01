//! Several partitions and consumers, without Kafka: which consumer is given what, and which is woken.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::Notify;

use super::super::leases::OpenLeases;
use super::partition::{Pulled, Script, record};
use crate::job::Disposition;
use crate::source::kafka::assignments::{Assignments, Batch};
use crate::source::kafka::partition::EarlierAttempts;
use crate::source::{Fetcher, KafkaReceipt, Receipt, Settled, Streams};

pub(super) fn one(consumer: u64) -> Fetcher {
    Fetcher {
        consumer,
        streams: Streams::One,
        bytes: u32::MAX,
    }
}

pub(super) struct World {
    pub(super) assignments: Assignments<Script>,
    pub(super) open: Arc<OpenLeases>,
    pub(super) now: Instant,
}

impl World {
    /// Partitions 0, 1, 2, … with these numbers of records.
    pub(super) fn of(records: &[i64]) -> Self {
        let open = Arc::<OpenLeases>::default();
        let mut world = Self {
            assignments: Assignments::new(Arc::clone(&open)),
            open,
            now: Instant::now(),
        };
        for (partition, records) in (0..).zip(records) {
            world.assignments.assign(partition, Script::of(0..*records));
        }
        let partitions = world.assignments.partitions();
        world
            .assignments
            .set_earlier_attempts(HashMap::new(), &partitions, world.now);
        world
    }

    pub(super) fn take(&mut self, who: Fetcher, max: usize) -> Option<Batch> {
        loop {
            let (partition, mut claim) = self.assignments.claim(who, max, self.now)?;
            claim.poll();
            let batch = self.assignments.fill((partition, claim), self.now);
            if batch.is_some() {
                return batch;
            }
        }
    }

    fn partition(&mut self, who: Fetcher, max: usize) -> Option<i32> {
        self.take(who, max).map(|batch| batch.partition)
    }

    /// Positions that the brokers do not know, by partition.
    pub(super) fn uncommitted(&self) -> Vec<(i32, i64)> {
        let positions = self.assignments.uncommitted().into_iter();
        positions.map(|one| (one.partition, one.offset)).collect()
    }

    pub(super) fn settle(&mut self, batch: &Batch, disposition: &Disposition) {
        let ends: Vec<Settled> = receipts(batch)
            .map(|receipt| Settled {
                receipt: Receipt::Kafka(receipt),
                disposition: disposition.clone(),
            })
            .collect();
        self.assignments.settle(&ends, self.now);
    }

    fn waits(&mut self, who: Fetcher) -> Arc<Notify> {
        let wake = Arc::<Notify>::default();
        self.assignments.wait(who, Arc::clone(&wake));
        self.assignments.wake(self.now);
        wake
    }
}

pub(super) fn receipts(batch: &Batch) -> impl Iterator<Item = KafkaReceipt> {
    batch.handed.iter().map(|handed| KafkaReceipt {
        partition: batch.partition,
        offset: handed.record.offset,
        lease: batch.lease,
    })
}

fn woken(wake: &Notify) -> bool {
    wake.notified().now_or_never().is_some()
}

#[test]
fn each_consumer_has_a_partition_of_its_own() {
    let mut world = World::of(&[9, 9, 9]);
    assert_eq!(world.partition(one(1), 2), Some(0));
    assert_eq!(world.partition(one(2), 2), Some(1));
    assert_eq!(
        world.partition(one(1), 2),
        Some(0),
        "it goes on with its own"
    );
    assert_eq!(world.partition(one(3), 2), Some(2));
    assert_eq!(world.partition(one(4), 2), None);
}

#[test]
fn a_consumer_takes_no_second_partition_before_the_first_is_through() {
    let mut world = World::of(&[2, 9]);
    let first = world.take(one(1), 5).unwrap();
    assert_eq!(
        world.partition(one(1), 5),
        None,
        "another may have time for it"
    );
    world.settle(&first, &Disposition::Complete);
    assert_eq!(world.partition(one(1), 5), Some(1));
}

#[test]
fn batches_are_filled_from_several_partitions() {
    let mut world = World::of(&[2, 2, 2]);
    let any = Fetcher {
        consumer: 1,
        streams: Streams::Many,
        bytes: u32::MAX,
    };
    let taken: Vec<_> = (0..4).map(|_| world.partition(any, 5)).collect();
    assert_eq!(taken, [Some(0), Some(1), Some(2), None]);
}

#[test]
fn partitions_have_their_turns() {
    let mut world = World::of(&[99, 99, 99]);
    let mut order = Vec::new();
    for _ in 0..6 {
        let batch = world.take(one(1), 2).unwrap();
        order.push(batch.partition);
        world.settle(&batch, &Disposition::Complete);
    }
    assert_eq!(order, [0, 1, 2, 0, 1, 2]);
    // One that is fetched ahead of goes on, but not for ever.
    let first = world.take(one(1), 2).unwrap();
    assert_eq!(world.partition(one(1), 2), Some(first.partition));
    world.now += Duration::from_secs(1);
    assert_eq!(world.partition(one(1), 2), None, "others wait");
}

#[test]
fn a_turn_goes_on_while_nobody_waits() {
    let mut world = World::of(&[99, 0]);
    world.take(one(1), 2).unwrap();
    world.now += Duration::from_secs(60);
    assert_eq!(world.partition(one(1), 2), Some(0));
}

#[test]
fn only_open_leases_may_start() {
    let mut world = World::of(&[3]);
    let batch = world.take(one(1), 3).unwrap();
    assert!(world.open.has(batch.lease) && !world.open.has(batch.lease + 1));
    let first = receipts(&batch).next().unwrap();
    world.assignments.block(first);
    assert!(!world.open.has(batch.lease));
    world.settle(&batch, &Disposition::Release);
    let again = world.take(one(2), 3).unwrap();
    assert!(world.open.has(again.lease) && !world.open.has(batch.lease));
    world.settle(&again, &Disposition::Complete);
    assert!(!world.open.has(again.lease), "it is over");
}

#[test]
fn a_partition_in_back_off_leaves_its_consumer_to_the_others() {
    let mut world = World::of(&[3, 3]);
    let batch = world.take(one(1), 1).unwrap();
    world.settle(&batch, &Disposition::Retry(Duration::from_secs(5)));
    let due = world.now + Duration::from_secs(5);
    assert_eq!(world.assignments.ring(world.now), Some(due));
    let other = world.take(one(1), 9).unwrap();
    assert_eq!(other.partition, 1);
    world.settle(&other, &Disposition::Complete);
    assert_eq!(world.partition(one(1), 9), None);
    world.now = due;
    let again = world.take(one(1), 9).unwrap();
    assert_eq!((again.partition, again.handed[0].attempt), (0, 2));
}

#[test]
fn each_partition_wakes_one_that_waits() {
    let mut world = World::of(&[0, 0]);
    let waits: Vec<_> = (1..=3).map(|consumer| world.waits(one(consumer))).collect();
    assert!(!waits.iter().any(|wake| woken(wake)));
    // Both are filled.
    for partition in [0, 1] {
        world.assignments.remove(&[partition], world.now);
        world
            .assignments
            .assign(partition, Script([Pulled::Record(record(1))].into()));
    }
    world
        .assignments
        .set_earlier_attempts(HashMap::new(), &[0, 1], world.now);
    let seen: Vec<bool> = waits.iter().map(|wake| woken(wake)).collect();
    assert_eq!(seen, [true, true, false]);
    // The first goes without having taken anything.
    world.assignments.leave(&waits[0], world.now);
    assert!(woken(&waits[2]));
}

#[test]
fn who_waits_for_its_own_partition_is_woken_when_that_is_over() {
    let mut world = World::of(&[1, 1]);
    let first = world.take(one(1), 1).unwrap();
    let second = world.take(one(2), 1).unwrap();
    let wake = world.waits(one(1));
    world.settle(&second, &Disposition::Retry(Duration::ZERO));
    assert!(!woken(&wake), "it has a partition");
    world.settle(&first, &Disposition::Complete);
    assert!(woken(&wake));
}

#[test]
fn before_its_deaths_are_known_nothing_of_a_partition_is_given_out() {
    let mut world = World::of(&[]);
    world.assignments.assign(4, Script::of(0..3));
    assert_eq!(world.partition(one(1), 3), None);
    world
        .assignments
        .set_earlier_attempts(HashMap::new(), &[4], world.now);
    assert_eq!(world.partition(one(1), 3), Some(4));
}

#[test]
fn deaths_are_known_until_the_brokers_know_that_their_records_are_finished() {
    let mut world = World::of(&[3, 3]);
    let crashed = |offset| crashed(offset, world.now);
    let all = HashMap::from([(0, crashed(1)), (1, crashed(2))]);
    world
        .assignments
        .set_earlier_attempts(all, &[0, 1], world.now);
    assert!(world.assignments.committed(0, 1).is_empty());
    // Its answer comes when the partition has gone.
    world.assignments.remove(&[0], world.now);
    assert_eq!(world.assignments.committed(0, 2), [1]);
    assert!(world.assignments.committed(0, 3).is_empty());
    assert_eq!(world.assignments.committed(1, 3), [2]);
}

#[test]
fn a_partition_that_nobody_took_is_announced_again() {
    let mut world = World::of(&[3]);
    let waiters = [1, 2, 3].map(|consumer| {
        let wake = Arc::<Notify>::default();
        world.assignments.wait(one(consumer), Arc::clone(&wake));
        wake
    });
    let notified = || [0, 1, 2].map(|n: usize| woken(&waiters[n]));
    world.assignments.wake(world.now);
    assert_eq!(notified(), [true, false, false]);
    // The woken consumer is on a blocked thread.
    assert!(world.assignments.rings_too_late(world.now));
    let again = world.assignments.ring(world.now).unwrap();
    assert!(again > world.now && !world.assignments.rings_too_late(world.now));
    assert_eq!(notified(), [false, true, false]);
    assert_eq!(
        world.assignments.ring(again),
        None,
        "there is no other waiter"
    );
    assert_eq!(notified(), [false, false, true]);
}

#[test]
fn a_partition_is_not_announced_to_one_whose_own_is_not_over() {
    let mut world = World::of(&[9, 9]);
    assert_eq!(world.partition(one(1), 1), Some(0));
    world.now += Duration::from_secs(1);
    assert_eq!(world.partition(one(1), 1), None, "its turn is over");
    world.assignments.wait(one(1), Arc::default());
    assert!(
        !world.assignments.rings_too_late(world.now),
        "it would go round"
    );
    world.assignments.wait(one(2), Arc::default());
    assert!(world.assignments.rings_too_late(world.now));
}

#[test]
fn a_borrowed_partition_is_not_announced_until_its_polled_records_are_entered() {
    let mut world = World::of(&[3]);
    let (partition, mut claim) = world.assignments.claim(one(1), 2, world.now).unwrap();
    claim.poll();
    let (own, other) = (world.waits(one(1)), world.waits(one(2)));
    assert!(!woken(&own) && !woken(&other));
    assert!(world.assignments.is_borrowed(&[partition]));
    let batch = world
        .assignments
        .fill((partition, claim), world.now)
        .unwrap();
    assert_eq!(batch.handed.len(), 2);
    assert!(woken(&own), "there is one more for it");
    assert!(!woken(&other) && !world.assignments.is_borrowed(&[partition]));
}

fn crashed(offset: i64, due: Instant) -> HashMap<i64, EarlierAttempts> {
    let crashed = EarlierAttempts {
        attempts: 2,
        suspect: true,
        due,
    };
    HashMap::from([(offset, crashed)])
}

#[test]
fn the_clock_is_set_for_a_crashed_record_wherever_it_is() {
    let mut world = World::of(&[3, 3]);
    let (soon, later) = (Duration::from_secs(1), Duration::from_secs(2));
    let due = [world.now + later, world.now + soon];
    let all = HashMap::from([(0, crashed(0, due[0])), (1, crashed(1, due[1]))]);
    world
        .assignments
        .set_earlier_attempts(all, &[0, 1], world.now);
    assert_eq!(
        world.assignments.ring(world.now),
        None,
        "nothing has come yet"
    );
    assert!(!world.assignments.rings_too_late(world.now));

    // The first of its partition: found by a fetch that takes nothing of it.
    let batch = world.take(one(1), 3).unwrap();
    assert_eq!((batch.partition, batch.handed.len()), (1, 1));
    assert!(world.assignments.rings_too_late(world.now));
    assert_eq!(world.assignments.ring(world.now), Some(due[0]));
    assert!(!world.assignments.rings_too_late(world.now));

    // Behind another, which ends.
    world.settle(&batch, &Disposition::Complete);
    assert!(world.assignments.rings_too_late(world.now));
    assert_eq!(world.assignments.ring(world.now), Some(due[1]));
    world.now = due[1];
    assert_eq!(world.assignments.ring(world.now), Some(due[0]));
    assert_eq!(world.partition(one(1), 3), Some(1));
}
