//! How a consumer ends: by Quiet, at the deadline of a stop, without its pool.

use super::*;
use crate::consumer::Crash;

#[actix::test]
async fn a_consumer_works_until_it_gets_quiet() {
    let (source, seen) = (FakeSource::new(), Seen::new());
    let consumer = start(work(&source, noting(&seen)));
    source.offer([1, 2, 3]);
    source.until_done(3).await;
    assert_eq!(seen.all(), ["1", "2", "3"]);
    consumer.quiet().await;
    assert!(!consumer.addr.connected());
    source.offer([4]);
    settle_down().await;
    assert_eq!(seen.len(), 3, "nobody works any more");
}

#[actix::test]
async fn quiet_ends_what_runs_and_releases_the_rest() {
    let (source, seen, barrier) = (FakeSource::new(), Seen::new(), Barrier::closed());
    source.offer([1, 2, 3]);
    source.offer([4, 5]);
    let consumer = start(work(&source, held_up(&seen, &barrier)));
    seen.wait_for(1).await;
    source.until(|s| s.out().len() == 5).await;
    consumer.stop.quiet();
    consumer.stop.quiet();
    settle_down().await;
    assert_eq!(consumer.deaths.count(), 0, "message 1 still runs");
    barrier.open();
    consumer.deaths.wait_for(1).await;
    source.until(|s| s.out().is_empty()).await;
    assert_eq!(source.ended(&Disposition::Complete), [1]);
    let mut released = source.ended(&Disposition::Release);
    released.sort_unstable();
    assert_eq!(released, [2, 3, 4, 5]);
    assert_eq!(seen.len(), 1);
}

#[actix::test]
async fn a_stop_releases_what_still_runs_at_its_deadline() {
    let (source, seen) = (FakeSource::new(), Seen::new());
    source.offer([1, 2]);
    let consumer = start(work(&source, held_up(&seen, &Barrier::closed())));
    seen.wait_for(1).await;
    let begun = Instant::now();
    let deadline = begun + Duration::from_secs(5);
    consumer.stop.stop(deadline);
    let later = begun + Duration::from_secs(50);
    consumer.stop.stop(later);
    consumer.deaths.wait_for(1).await;
    assert_eq!(begun.elapsed().as_secs(), 5);
    source.until(|s| s.out().is_empty()).await;
    assert_eq!(source.ended(&Disposition::Release).len(), 2);
}

#[actix::test]
async fn a_stop_before_anything_came_ends_at_once() {
    let source = FakeSource::new();
    let consumer = start(work(&source, noting(&Seen::new())));
    let begun = Instant::now();
    let deadline = begun + Duration::from_secs(25);
    consumer.stop.stop(deadline);
    consumer.deaths.wait_for(1).await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[actix::test]
async fn a_consumer_ends_without_its_pool() {
    let (source, seen, barrier) = (FakeSource::new(), Seen::new(), Barrier::closed());
    source.offer([1, 2]);
    let consumer = start(work(&source, held_up(&seen, &barrier)));
    seen.wait_for(1).await;
    drop(consumer.stop);
    settle_down().await;
    barrier.open();
    consumer.deaths.wait_for(1).await;
    source.until(|s| s.out().is_empty()).await;
    assert_eq!(source.ended(&Disposition::Complete), [1]);
    assert_eq!(source.ended(&Disposition::Release), [2]);
}

#[actix::test]
async fn a_fetch_that_ends_after_the_consumer_is_released() {
    let source = FakeSource::new();
    let consumer = start(work(&source, noting(&Seen::new())));
    settle_down().await;
    consumer.addr.do_send(Crash);
    // The fetch under way finds something before it sees the end.
    source.offer([1]);
    consumer.deaths.wait_for(1).await;
    settle_down().await;
    assert!(source.out().is_empty(), "{:?}", source.out());
}
