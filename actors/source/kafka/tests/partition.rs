//! One partition, without Kafka: what is given out when, and what may be committed.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::super::record::Record;
use super::super::survivors::Survivors;
use crate::job::Disposition;
use crate::source::kafka::drain::{Claim, Polled, RecordQueue};
use crate::source::kafka::partition::{AssignedPartition, EarlierAttempts, Handed};

/// What a script gives next.
#[derive(Debug)]
pub(super) enum Pulled {
    Record(Record),
    /// No record is behind those it gave; the next one has this offset at least.
    End(i64),
}

/// Gives what a test puts in.
#[derive(Debug, Default)]
pub(super) struct Script(pub(super) VecDeque<Pulled>);

impl Script {
    pub(super) fn of(offsets: impl IntoIterator<Item = i64>) -> Self {
        Self(
            offsets
                .into_iter()
                .map(|offset| Pulled::Record(record(offset)))
                .collect(),
        )
    }
}

impl RecordQueue for Script {
    fn poll(&mut self, into: &mut Polled) {
        while !into.is_full()
            && let Some(next) = self.0.pop_front()
        {
            match next {
                Pulled::Record(record) => into.record(record),
                Pulled::End(next) => into.end(next),
            }
        }
    }

    fn filled(&self) -> bool {
        !self.0.is_empty()
    }
}

pub(super) fn record(offset: i64) -> Record {
    Record {
        offset,
        epoch: None,
        payload: Bytes::from(offset.to_string()),
        key: None,
        headers: Vec::new(),
        timestamp_ms: None,
    }
}

/// Without its epoch.
fn to_commit(assigned: &AssignedPartition<Script>) -> Option<i64> {
    assigned.uncommitted().map(|(position, _)| position)
}

pub(super) fn assigned(offsets: impl IntoIterator<Item = i64>) -> AssignedPartition<Script> {
    let mut assigned = AssignedPartition::new(Script::of(offsets), Survivors::default());
    assigned.set_earlier_attempts(HashMap::new());
    assigned
}

/// As a consumer does it.
pub(super) fn take(
    assigned: &mut AssignedPartition<Script>,
    lease: u64,
    consumer: u64,
    max: usize,
    now: Instant,
) -> Vec<Handed> {
    let mut claim = assigned.claim(lease, consumer, max, now);
    claim.poll();
    assigned.fill(claim, now)
}

pub(super) fn offsets(handed: &[Handed]) -> Vec<i64> {
    handed.iter().map(|handed| handed.record.offset).collect()
}

const RETRY: Disposition = Disposition::Retry(Duration::from_secs(10));

#[test]
fn the_position_never_passes_an_unfinished_record() {
    let now = Instant::now();
    let mut assigned = assigned([5, 6, 9, 12]);
    assert_eq!(assigned.position(), None, "nothing came yet");
    assert_eq!(offsets(&take(&mut assigned, 1, 7, 10, now)), [5, 6, 9, 12]);
    assert_eq!(assigned.position(), Some(5));
    assigned.settle(1, 6, &Disposition::Complete, now);
    assigned.settle(1, 12, &Disposition::Complete, now);
    assert_eq!(
        assigned.position(),
        Some(5),
        "what is finished behind it changes nothing"
    );
    assigned.settle(1, 5, &Disposition::Complete, now);
    assert_eq!(assigned.position(), Some(9), "gaps are none of ours");
    assert!(
        assigned.settle(1, 9, &Disposition::Complete, now),
        "the lease is over"
    );
    assert_eq!(assigned.position(), Some(13));
}

#[test]
fn an_end_counts_once_and_only_for_its_own_lease() {
    let now = Instant::now();
    let mut assigned = assigned([1, 2]);
    take(&mut assigned, 1, 7, 10, now);
    assert!(
        !assigned.settle(9, 1, &Disposition::Complete, now),
        "another lease"
    );
    assert!(!assigned.settle(1, 1, &Disposition::Release, now));
    assert!(
        !assigned.settle(1, 1, &Disposition::Complete, now),
        "it was released"
    );
    assert!(assigned.settle(1, 2, &Disposition::Release, now));
    assert_eq!(offsets(&take(&mut assigned, 2, 8, 10, now)), [1, 2]);
    assert!(
        !assigned.settle(1, 1, &Disposition::Complete, now),
        "a stale one"
    );
    assert_eq!(assigned.position(), Some(1));
}

#[test]
fn a_failed_record_keeps_its_place_and_holds_up_those_behind_it() {
    let now = Instant::now();
    let later = now + Duration::from_secs(10);
    let mut assigned = assigned([1, 2, 3, 4]);
    take(&mut assigned, 1, 7, 3, now);
    assigned.settle(1, 1, &Disposition::Complete, now);
    assigned.settle(1, 2, &RETRY, now);
    assert!(
        !assigned.is_open(1) && !assigned.is_extendable(now),
        "nothing of the lease starts or comes any more"
    );
    assert!(assigned.settle(1, 3, &Disposition::Release, now));
    assert!(!assigned.is_free(now), "it waits out its back-off");
    assert_eq!(
        (assigned.due(), assigned.position()),
        (Some(later), Some(2))
    );
    assert!(assigned.is_free(later));
    let again = take(&mut assigned, 2, 8, 10, later);
    assert_eq!(offsets(&again), [2, 3, 4]);
    assert_eq!(
        again
            .iter()
            .map(|handed| handed.attempt)
            .collect::<Vec<_>>(),
        [2, 1, 1]
    );
}

#[test]
fn of_a_batch_only_what_failed_runs_again() {
    let now = Instant::now();
    let later = now + Duration::from_secs(10);
    let mut assigned = assigned([1, 2, 3, 4]);
    take(&mut assigned, 1, 7, 3, now);
    for (offset, end) in [
        (1, Disposition::Complete),
        (2, RETRY),
        (3, Disposition::Complete),
    ] {
        assigned.settle(1, offset, &end, now);
    }
    assert_eq!(assigned.position(), Some(2));
    assert_eq!(offsets(&take(&mut assigned, 2, 7, 10, later)), [2, 4]);
    assigned.settle(2, 2, &Disposition::Complete, later);
    assert_eq!(assigned.position(), Some(4));
}

#[test]
fn the_holder_takes_more_while_nothing_came_back() {
    let now = Instant::now();
    let mut assigned = assigned(1..=9);
    take(&mut assigned, 1, 7, 2, now);
    assert!(assigned.is_extendable(now) && !assigned.is_free(now));
    assert_eq!(offsets(&take(&mut assigned, 1, 7, 2, now)), [3, 4]);
    assigned.block(2);
    assert!(assigned.is_extendable(now), "another lease was blocked");
    assigned.settle(1, 3, &Disposition::Release, now);
    assert!(
        !assigned.is_extendable(now),
        "the next ones would overtake it"
    );
    for offset in [1, 2, 4] {
        assigned.settle(1, offset, &Disposition::Complete, now);
    }
    assert_eq!(offsets(&take(&mut assigned, 2, 7, 3, now)), [3, 5, 6]);
}

#[test]
fn a_crashed_record_counts_its_crashes_and_waits_for_its_predecessors() {
    let now = Instant::now();
    let due = now + Duration::from_secs(3);
    let mut assigned = AssignedPartition::new(Script::of([1, 2, 3]), Survivors::default());
    assert!(!assigned.is_free(now), "its deaths are not known yet");
    let crashed = EarlierAttempts {
        attempts: 2,
        suspect: true,
        due,
    };
    assigned.set_earlier_attempts(HashMap::from([(2, crashed)]));
    assert_eq!(offsets(&take(&mut assigned, 1, 7, 10, now)), [1]);
    assert!(!assigned.is_extendable(now));
    assert!(assigned.settle(1, 1, &Disposition::Complete, now));
    assert!(!assigned.is_free(now));
    let handed = take(&mut assigned, 2, 7, 10, due);
    let seen: Vec<(i64, u32, bool)> = handed
        .iter()
        .map(|handed| (handed.record.offset, handed.attempt, handed.suspect))
        .collect();
    assert_eq!(seen, [(2, 3, true), (3, 1, false)]);
}

#[test]
fn what_the_brokers_know_is_not_committed_again() {
    let now = Instant::now();
    let mut assigned = assigned([1]);
    assert_eq!(to_commit(&assigned), None);
    take(&mut assigned, 1, 7, 10, now);
    assigned.settle(1, 1, &Disposition::Complete, now);
    assert_eq!(to_commit(&assigned), Some(2));
    assigned.committed(1);
    assert_eq!(to_commit(&assigned), Some(2), "an older answer");
    assigned.committed(2);
    assert_eq!(to_commit(&assigned), None);
}

#[test]
fn nothing_is_left_when_the_end_came_and_all_before_it_is_finished() {
    let now = Instant::now();
    let mut assigned = assigned([1]);
    assert!(!assigned.is_exhausted());
    take(&mut assigned, 1, 7, 10, now);
    let mut with_end = Script::of([2]);
    with_end.0.push_back(Pulled::End(3));
    let mut other = AssignedPartition::new(with_end, Survivors::default());
    other.set_earlier_attempts(HashMap::new());
    take(&mut other, 1, 7, 10, now);
    assert!(!other.is_exhausted(), "a record is not finished");
    other.settle(1, 2, &Disposition::Complete, now);
    assert!(other.is_exhausted() && !assigned.is_exhausted());
}

#[test]
fn the_position_moves_over_what_never_comes_when_all_before_it_is_finished() {
    let now = Instant::now();
    let mut script = Script::of([2]);
    script.0.push_back(Pulled::End(9));
    let mut assigned = AssignedPartition::new(script, Survivors::default());
    assigned.set_earlier_attempts(HashMap::new());
    take(&mut assigned, 1, 7, 10, now);
    assert_eq!(assigned.position(), Some(2));
    assigned.settle(1, 2, &Disposition::Complete, now);
    assert_eq!(to_commit(&assigned), Some(9));
    // Nothing but marks, and a partition that never had a record.
    for (end, position) in [(5, Some(5)), (0, None)] {
        let mut assigned =
            AssignedPartition::new(Script([Pulled::End(end)].into()), Survivors::default());
        assigned.set_earlier_attempts(HashMap::new());
        assert!(take(&mut assigned, 1, 7, 10, now).is_empty());
        assert_eq!(to_commit(&assigned), position);
    }
}

#[test]
fn a_partition_that_goes_gives_out_nothing_more() {
    let now = Instant::now();
    let mut assigned = assigned([1, 2, 3]);
    take(&mut assigned, 1, 7, 2, now);
    assert_eq!(assigned.leave(), Some(1));
    assert!(!assigned.is_open(1) && !assigned.is_extendable(now));
    assigned.settle(1, 1, &Disposition::Complete, now);
    assert!(assigned.settle(1, 2, &Disposition::Release, now));
    assert!(!assigned.is_free(now));
    assert_eq!(assigned.position(), Some(2));
}

#[test]
fn a_record_of_the_main_queue_goes_to_its_place_and_counts_for_the_position() {
    let now = Instant::now();
    let mut assigned = assigned([5]);
    take(&mut assigned, 1, 7, 10, now);
    assigned.insert_in_order(record(3));
    assigned.insert_in_order(record(7));
    assigned.settle(1, 5, &Disposition::Complete, now);
    assert_eq!(assigned.position(), Some(3));
    assert_eq!(offsets(&take(&mut assigned, 2, 7, 10, now)), [3, 7]);
}

/// Whatever is done in whatever order: each record is finished once, in order where nothing fails, and the position never
/// passes one that is not.
#[test]
fn nothing_is_lost_doubled_or_overtaken_whatever_happens() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut offset = 0;
        let all: Vec<i64> = (0..60)
            .map(|_| {
                offset += random.i64(1..4);
                offset
            })
            .collect();
        let mut assigned = assigned(all.iter().copied());
        let (mut now, mut number) = (Instant::now(), 0);
        let mut out: VecDeque<Handed> = VecDeque::new();
        let mut polling: Option<Claim<Script>> = None;
        let (mut ran, mut done) = (Vec::new(), Vec::new());
        while done.len() < all.len() {
            now += Duration::from_millis(random.u64(0..200));
            // What is polled is not always entered at once: ends come in between.
            if let Some(mut claim) = polling.take_if(|_| random.bool()) {
                claim.poll();
                out.extend(assigned.fill(claim, now));
            }
            if assigned.is_free(now) || assigned.is_extendable(now) {
                assert!(polling.is_none(), "seed {seed}: one polls at a time");
                number = assigned.lease().map_or(number + 1, |lease| lease.number);
                let mut claim = assigned.claim(number, 1, random.usize(1..9), now);
                // The consumer runs what had come before with what it polls.
                if claim.handed.is_empty() && random.bool() {
                    polling = Some(claim);
                } else {
                    claim.poll();
                    out.extend(assigned.fill(claim, now));
                }
            }
            for _ in 0..random.usize(0..6) {
                let Some(handed) = out.pop_front() else { break };
                let at = handed.record.offset;
                let end = match (assigned.is_open(number), random.u8(0..10)) {
                    (false, _) | (_, 0) => Disposition::Release,
                    (true, 1 | 2) => Disposition::Retry(Duration::from_millis(random.u64(0..300))),
                    (true, _) => Disposition::Complete,
                };
                if !matches!(end, Disposition::Release) {
                    ran.push(at);
                }
                if matches!(end, Disposition::Complete) {
                    done.push(at);
                }
                if !matches!(end, Disposition::Complete) {
                    assigned.block(number);
                }
                assigned.settle(number, at, &end, now);
                let unfinished = all.iter().find(|offset| !done.contains(*offset));
                if let (Some(position), Some(unfinished)) = (assigned.position(), unfinished) {
                    assert!(position <= *unfinished, "seed {seed}");
                }
            }
        }
        assert_eq!(done, all, "seed {seed}: in order, each once");
        assert!(ran.is_sorted(), "seed {seed}: {ran:?}");
        assert_eq!(assigned.position(), Some(offset + 1), "seed {seed}");
    }
}
