//! Counters, histograms and their sums.

use std::time::Duration;

use super::*;
use crate::state::cell::{Counter, Histogram};

#[test]
fn a_value_falls_into_its_bucket() {
    let histogram = Histogram::new(Scale::Fast);
    for us in [0, 100, 101, 300, 1_000_000, 100_000_000, 100_000_001] {
        histogram.note(Duration::from_micros(us));
    }
    let read = histogram.read();
    assert_eq!(read.counts, [2, 2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1]);
    assert_eq!(read.count(), 7);
    assert!((read.sum() - 201.000_502).abs() < 1e-9);
    let bounds: Vec<f64> = Scale::Slow.bounds().collect();
    assert_eq!((bounds[0], bounds[4], bounds[12]), (0.01, 1.0, 10_000.0));
}

#[test]
fn a_sum_of_waits_does_not_overflow() {
    let state = queue_state();
    let consumers = [state.join(), state.join()];
    let age = Duration::from_secs(56 * 365 * 86_400);
    for _ in 0..20_000 {
        consumers[0].waited(age, 1);
        consumers[1].waited(age, 500);
    }
    let waited = state.counts().waited;
    assert_eq!(waited.count(), 20_000 * 501);
    assert_eq!(waited.sum(), age.as_secs_f64() * 20_000.0 * 501.0);
    consumers[0].waited(Duration::MAX, 2);
    assert!(state.counts().waited.sum() > waited.sum());
}

#[test]
fn values_that_are_noted_together_have_their_mean() {
    let histogram = Histogram::new(Scale::Fast);
    histogram.note_alone(Duration::from_micros(1600), 16);
    histogram.note_alone(Duration::from_secs(5), 0);
    let first = histogram.read();
    assert_eq!((first.counts[0], first.count()), (16, 16));
    assert_eq!(first.quantile(0.99), Some(0.0001));
    histogram.note_alone(Duration::from_secs(4), 2);
    let second = histogram.read();
    assert_eq!(second.mean_since(&first), Some(2.0));
    assert_eq!(second.mean_since(&second), None);
    assert_eq!(Distribution::empty(Scale::Fast).quantile(0.5), None);
}

#[test]
fn counts_of_consumers_that_ended_stay() {
    let state = queue_state();
    let (one, two) = (state.join(), state.join());
    two.failed(FailureCause::Timeout);
    one.handled(Duration::from_millis(10), 3);
    two.handled(Duration::from_millis(10), 1);
    drop(one);
    assert_eq!(state.counts().handler.count(), 4);
    drop(two);
    let counts = state.counts();
    assert_eq!((counts.timeouts, counts.failures()), (1, 1));
    assert_eq!(counts.handler.count(), 4);
}

#[test]
fn settled_messages_are_counted_by_disposition() {
    let state = queue_state();
    state.fetched(12);
    let settled = Settlements {
        completed: 5,
        retried: 3,
        dead_lettered: 2,
        released: 1,
    };
    state.settled(settled);
    state.settled(Settlements::default());
    let view = state.view();
    let counts = &view.counts;
    assert_eq!(
        [
            counts.completed,
            counts.retried,
            counts.dead_lettered,
            counts.released
        ],
        [5, 3, 2, 1]
    );
    assert_eq!(view.in_flight, 1);
}

#[test]
fn another_thread_reads_what_one_counts() {
    let counter = Arc::new(Counter::default());
    let read = Arc::clone(&counter);
    let reader = std::thread::spawn(move || {
        let mut last = 0;
        while last < 100_000 {
            let now = read.get();
            assert!(now >= last, "it never goes back");
            last = now;
        }
    });
    (0..100_000).for_each(|_| counter.add_alone(1));
    reader.join().unwrap();
}
