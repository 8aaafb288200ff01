//! A paused queue: what runs ends, the rest is released.

use super::*;
use crate::orders::{PauseKind, Pauses};
use crate::store::rows::PauseRow;

/// A queue `q` that follows the rows of pauses.
fn pausable(work: Work) -> (Pauses, Work) {
    let pauses = Pauses::default();
    let paused = pauses.flag(PauseKind::Queue, "q");
    (pauses, Work { paused, ..work })
}

fn pause_of_q() -> Vec<PauseRow> {
    vec![PauseRow {
        kind: "queue".to_owned(),
        name: "q".to_owned(),
        since_ms: 0,
        until_ms: None,
        ordered_by: "ann".to_owned(),
    }]
}

#[actix::test]
async fn a_pause_releases_what_has_not_started() {
    let (source, seen, barrier) = (FakeSource::new(), Seen::new(), Barrier::closed());
    source.offer([1, 2, 3]);
    source.offer([4, 5]);
    let (pauses, work) = pausable(work(&source, held_up(&seen, &barrier)));
    let consumer = start(work);
    seen.wait_for(1).await;
    source.until(|s| s.out().len() == 5).await;
    pauses.learn(pause_of_q());
    settle_down().await;
    barrier.open();
    source.until_done(1).await;
    all_released(&source, &[2, 3, 4, 5]).await;
    settle_down().await;
    assert_eq!(seen.len(), 1, "nothing starts while it is paused");
    assert_eq!(source.ended(&Disposition::Complete), [1]);
    assert!(
        source.out().is_empty(),
        "nothing is held while it is paused"
    );
    pauses.learn(Vec::new());
    source.until_done(5).await;
    assert_eq!(seen.len(), 5);
    consumer.quiet().await;
}

#[actix::test]
async fn what_is_fetched_while_a_pause_begins_is_released() {
    let (source, seen) = (FakeSource::new(), Seen::new());
    let (pauses, work) = pausable(work(&source, noting(&seen)));
    let consumer = start(work);
    settle_down().await;
    // The fetch that waits now brings it.
    pauses.learn(pause_of_q());
    source.offer([1]);
    settle_down().await;
    assert_eq!(seen.len(), 0);
    pauses.learn(Vec::new());
    source.until_done(1).await;
    consumer.quiet().await;
}

#[actix::test]
async fn a_batch_handler_rests_while_its_queue_is_paused() {
    let (source, seen) = (FakeSource::new(), Seen::new());
    let (pauses, work) = pausable(work(&source, noting_batches(&seen)));
    pauses.learn(pause_of_q());
    source.offer([1, 2, 3]);
    let consumer = start(work);
    settle_down().await;
    assert_eq!(seen.len(), 0);
    pauses.learn(Vec::new());
    source.until_done(3).await;
    assert_eq!(sizes(&seen).iter().sum::<usize>(), 3);
    consumer.quiet().await;
}

#[actix::test]
async fn a_stop_ends_a_consumer_of_a_paused_queue() {
    let (source, seen) = (FakeSource::new(), Seen::new());
    let (pauses, work) = pausable(work(&source, noting(&seen)));
    pauses.learn(pause_of_q());
    let consumer = start(work);
    settle_down().await;
    consumer.quiet().await;
    assert!(!consumer.addr.connected());
}
