//! What a caller pays when a queue is full.

use std::sync::mpsc::{self, Sender};

use super::*;

const PATIENCE: Duration = Duration::from_millis(200);
/// Longer than any of these pushes may take on a slow machine, far shorter than what they took when they waited on.
const BOUND: Duration = Duration::from_secs(5);
/// Reached only when a test fails.
const LONG: Duration = Duration::from_secs(60);
const QUARTER: usize = CAPACITY_BYTES / 4;

fn line(bytes: usize) -> Line<()> {
    ((), "x".repeat(bytes))
}

/// A queue whose writer ends one write for each word it is sent.
fn queue(when_full: WhenFull) -> (Arc<Queue<()>>, Sender<()>) {
    let (go, gone) = mpsc::channel();
    let write = move |_: &Queue<()>, _| {
        let _ = gone.recv();
    };
    (
        Queue::start("test", "a test", when_full, 0, write).unwrap(),
        go,
    )
}

fn wait_for_pending(queue: &Queue<()>, most: usize) {
    let begun = Instant::now();
    while queue.pending() > most {
        assert!(begun.elapsed() < LONG, "{} are pending", queue.pending());
        thread::yield_now();
    }
}

fn push(queue: &Queue<()>, bytes: usize) -> Pushed {
    queue.push(line(bytes), |_| line(0))
}

#[test]
fn only_a_dropping_queue_waits_for_half_its_room() {
    for (when_full, after_one_write) in [
        (WhenFull::Drop, Pushed::Dropped),
        (WhenFull::Wait(PATIENCE), Pushed::Resumed(1)),
    ] {
        let (queue, go) = queue(when_full);
        for _ in 0..4 {
            assert_eq!(push(&queue, QUARTER), Pushed::Queued);
        }
        assert_eq!(push(&queue, QUARTER), Pushed::Full);
        go.send(()).unwrap();
        wait_for_pending(&queue, 3 * QUARTER);
        assert_eq!(push(&queue, QUARTER), after_one_write, "{when_full:?}");
    }
}

#[test]
fn a_push_waits_no_longer_than_its_patience() {
    let write = |_: &Queue<()>, _| thread::sleep(Duration::from_millis(10));
    let when_full = WhenFull::Wait(PATIENCE);
    let queue = Queue::start("test", "a test", when_full, 0, write).unwrap();
    // These take the disk ten seconds, and make no room for a large line.
    for _ in 0..1_000 {
        assert_eq!(push(&queue, 1), Pushed::Queued);
    }
    assert_eq!(push(&queue, CAPACITY_BYTES - 2_000), Pushed::Queued);
    let begun = Instant::now();
    assert_eq!(push(&queue, QUARTER), Pushed::Full);
    let waited = begun.elapsed();
    assert!((PATIENCE..BOUND).contains(&waited), "{waited:?}");
    assert!(!queue.is_stalled(), "it writes");
}
