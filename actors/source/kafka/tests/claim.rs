//! A partition whose partition queue is borrowed: what may be done to it during a poll.

use std::time::{Duration, Instant};

use super::partition::{assigned, offsets, record, take};
use crate::job::Disposition;

#[test]
fn one_draws_at_a_time_and_the_lease_lasts_until_then() {
    let now = Instant::now();
    let mut assigned = assigned([1, 2, 3]);
    assert_eq!(offsets(&take(&mut assigned, 1, 7, 1, now)), [1]);
    let mut claim = assigned.claim(1, 7, 10, now);
    assert!(assigned.is_borrowed() && !assigned.is_extendable(now) && !assigned.is_free(now));
    assert!(!assigned.is_exhausted());
    // The last that was out ends meanwhile: another consumer must not begin before the records that are being polled.
    assert!(!assigned.settle(1, 1, &Disposition::Complete, now));
    assert!(!assigned.is_free(now));
    assert_eq!(assigned.position(), Some(2));
    claim.poll();
    assert_eq!(offsets(&assigned.fill(claim, now)), [2, 3]);
    assert!(!assigned.is_borrowed());
    assert_eq!((assigned.unsettled(), assigned.position()), (2, Some(2)));
}

#[test]
fn what_is_drawn_under_a_lease_that_was_closed_waits_at_its_place() {
    let now = Instant::now();
    let mut assigned = assigned([1, 2, 3]);
    take(&mut assigned, 1, 7, 1, now);
    let mut claim = assigned.claim(1, 7, 10, now);
    claim.poll();
    assigned.block(1);
    assigned.settle(1, 1, &Disposition::Retry(Duration::from_secs(9)), now);
    assert!(assigned.fill(claim, now).is_empty());
    assert!(assigned.lease().is_none(), "nothing of it is out");
    assert!(!assigned.is_free(now));
    let later = now + Duration::from_secs(9);
    assert_eq!(offsets(&take(&mut assigned, 2, 8, 10, later)), [1, 2, 3]);
}

#[test]
fn what_waits_for_its_next_try_keeps_no_memory_of_others() {
    let now = Instant::now();
    let mut assigned = assigned([1, 2]);
    let handed = take(&mut assigned, 1, 7, 10, now);
    let payload = handed[1].record.payload.clone();
    drop(handed);
    assigned.settle(1, 2, &Disposition::Complete, now);
    assert!(!payload.is_unique(), "they were polled together");
    assigned.settle(1, 1, &Disposition::Retry(Duration::from_secs(9)), now);
    assert!(payload.is_unique());
    assert_eq!(assigned.position(), Some(1));
}

#[test]
fn a_lease_of_which_nothing_came_is_over() {
    let now = Instant::now();
    let mut assigned = assigned([1]);
    take(&mut assigned, 1, 7, 10, now);
    assigned.settle(1, 1, &Disposition::Complete, now);
    let mut claim = assigned.claim(2, 8, 10, now);
    claim.poll();
    assert!(assigned.fill(claim, now).is_empty());
    assert!(assigned.lease().is_none() && !assigned.is_borrowed());
    assert_eq!(assigned.position(), Some(2));
}

#[test]
fn a_record_of_the_main_queue_that_comes_while_others_are_drawn_counts_for_the_position() {
    let now = Instant::now();
    let mut assigned = assigned([5, 6]);
    let mut claim = assigned.claim(1, 7, 10, now);
    assigned.insert_in_order(record(4));
    claim.poll();
    assert_eq!(offsets(&assigned.fill(claim, now)), [5, 6]);
    for offset in [5, 6] {
        assigned.settle(1, offset, &Disposition::Complete, now);
    }
    assert_eq!(assigned.position(), Some(4));
    assert_eq!(offsets(&take(&mut assigned, 2, 7, 10, now)), [4]);
}

#[test]
fn a_partition_that_goes_while_it_is_drawn_from_gives_out_nothing() {
    let now = Instant::now();
    let mut assigned = assigned([1, 2]);
    let mut claim = assigned.claim(1, 7, 10, now);
    assert_eq!(assigned.leave(), Some(1));
    assert!(assigned.is_borrowed(), "its removal waits");
    claim.poll();
    assert!(assigned.fill(claim, now).is_empty());
    assert!(!assigned.is_borrowed() && !assigned.is_free(now));
    assert_eq!(assigned.position(), Some(1));
}

#[test]
fn no_more_bytes_are_drawn_than_fit_or_one_record() {
    let now = Instant::now();
    // Of three bytes each.
    let mut assigned = assigned([100, 101, 102, 103]);
    for (bytes, wanted) in [(6, &[100, 101][..]), (1, &[102]), (100, &[103])] {
        let mut claim = assigned.claim(1, 7, 10, now).within(bytes);
        claim.poll();
        assert_eq!(offsets(&assigned.fill(claim, now)), wanted);
    }
}
