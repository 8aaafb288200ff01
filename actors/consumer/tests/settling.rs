//! Dispositions become durable.

use super::*;

#[actix::test]
async fn dispositions_are_durable_beside_a_slow_handler() {
    let (source, barrier) = (FakeSource::new(), Barrier::closed());
    source.offer([1, 2, 3, 4]);
    let slow = barrier.clone();
    let consumer = start(work(
        &source,
        single(move |message| {
            let slow = slow.clone();
            async move {
                if message.id == "3" {
                    slow.pass().await;
                }
                Ok(())
            }
        }),
    ));
    source.until_done(2).await;
    assert_eq!(source.out(), [3, 4], "message 3 still runs");
    barrier.open();
    source.until_done(4).await;
    consumer.quiet().await;
}

#[actix::test]
async fn dispositions_outlast_failures_of_settling() {
    let source = FakeSource::new();
    source.fail(3, 3);
    source.offer([1, 2]);
    let consumer = start(work(&source, noting(&Seen::new())));
    source.until_done(2).await;
    consumer.quiet().await;
    assert!(source.out().is_empty());
}

#[actix::test]
async fn a_consumer_ends_after_its_dispositions_are_durable() {
    let (source, seen) = (FakeSource::new(), Seen::new());
    source.settling.close();
    source.offer([1]);
    let consumer = start(work(&source, noting(&seen)));
    seen.wait_for(1).await;
    consumer.stop.quiet();
    settle_down().await;
    assert_eq!(consumer.deaths.count(), 0);
    source.settling.open();
    consumer.deaths.wait_for(1).await;
    assert_eq!(source.ended(&Disposition::Complete), [1]);
}
