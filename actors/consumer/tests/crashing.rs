//! A consumer that panics loses nothing.

use super::*;
use crate::consumer::Crash;

#[actix::test]
async fn a_crash_releases_everything_that_was_held() {
    let (source, seen) = (FakeSource::new(), Seen::new());
    source.offer([1, 2, 3]);
    source.offer([4, 5]);
    let consumer = start(work(&source, held_up(&seen, &Barrier::closed())));
    seen.wait_for(1).await;
    source.until(|s| s.out().len() == 5).await;
    consumer.addr.do_send(Crash);
    consumer.deaths.wait_for(1).await;
    source.until(|s| s.out().is_empty()).await;
    assert_eq!(source.ended(&Disposition::Release).len(), 5);
}

#[actix::test]
async fn a_crash_loses_no_unwritten_disposition() {
    let (source, seen) = (FakeSource::new(), Seen::new());
    source.settling.close();
    // More than may wait to be written: the last ones are in the loop's own hands.
    for portion in 0..6 {
        source.offer(portion * 200..(portion + 1) * 200);
    }
    let consumer = start(work(&source, noting(&seen)));
    seen.wait_for(501).await;
    settle_down().await;
    let ran = seen.len();
    consumer.addr.do_send(Crash);
    consumer.deaths.wait_for(1).await;
    source.settling.open();
    source.until(|s| s.out().is_empty()).await;
    let done = source.ended(&Disposition::Complete).len();
    assert!(
        done + 1 >= ran,
        "{ran} ran, {done} are done: at most the last one runs again"
    );
}

#[actix::test]
async fn a_crash_releases_a_filling_batch() {
    let (source, seen) = (FakeSource::new(), Seen::new());
    source.offer([1, 2, 3]);
    let mut work = work(&source, noting_batches(&seen));
    work.batch.wait = Duration::from_secs(60);
    let consumer = start(work);
    source.until(|s| s.out().len() == 3).await;
    settle_down().await;
    assert_eq!(seen.len(), 0, "it waits for more");
    consumer.addr.do_send(Crash);
    consumer.deaths.wait_for(1).await;
    all_released(&source, &[1, 2, 3]).await;
}

#[actix::test]
async fn a_crash_while_the_ownership_is_uncertain_releases() {
    tokio::time::pause();
    for handler in [noting(&Seen::new()), noting_batches(&Seen::new())] {
        let source = FakeSource::new();
        source.set_ownership(Ownership::Uncertain);
        source.offer([1, 2]);
        let mut work = work(&source, handler);
        work.batch.wait = Duration::ZERO;
        let consumer = start_another(work);
        source.until(|s| s.out().len() == 2).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        consumer.addr.do_send(Crash);
        consumer.deaths.wait_for(1).await;
        all_released(&source, &[1, 2]).await;
    }
}
