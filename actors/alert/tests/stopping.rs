//! What waits when the daemon stops.

use std::time::Duration;

use tokio::time::sleep;

use super::*;

#[tokio::test(start_paused = true)]
async fn what_waits_is_sent_at_a_stop_at_once() {
    let fake = Fake::new(WebhookKind::WeCom, []);
    let waiting = fake.serve();
    waiting.send(notice(0));
    sleep(Duration::from_secs(1)).await;
    waiting.send(notice(1));
    sleep(Duration::from_secs(1)).await;
    let left = waiting
        .finish(Instant::now() + Duration::from_secs(1))
        .await
        .len();
    assert_eq!(left, 0);
    let sent = fake.sent();
    assert!(
        sent[1].body.contains("alert-1") && sent[1].at < 2_500,
        "{:?}",
        fake.seconds()
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_turned_away_is_tried_once_more_at_a_stop() {
    let fake = Fake::new(
        WebhookKind::Slack,
        [Reply::AsksFor(200), Reply::AsksFor(200), Reply::Takes],
    );
    let waiting = fake.serve();
    waiting.send(notice(0));
    sleep(Duration::from_secs(10)).await;
    let begun = Instant::now();
    assert_eq!(
        waiting.finish(begun + Duration::from_secs(2)).await.len(),
        0,
        "given up"
    );
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(fake.sent().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_hangs_does_not_keep_a_stop() {
    for kind in ALL {
        let fake = Fake::new(kind, [Reply::Hangs]);
        let waiting = fake.serve();
        waiting.send(notice(0));
        sleep(Duration::from_secs(30)).await;
        let begun = Instant::now();
        let left = waiting.finish(begun + Duration::from_secs(2)).await.len();
        assert_eq!((left, begun.elapsed().as_secs()), (1, 2), "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_in_a_flood_keeps_the_limit_of_a_minute() {
    let fake = Fake::new(WebhookKind::DingTalk, []);
    let waiting = fake.serve();
    for n in 0..400 {
        let mut long = notice(n);
        long.details = vec!["d".repeat(200); 20];
        long.summary = "s".repeat(8_000);
        waiting.send(long);
    }
    sleep(Duration::from_secs(10)).await;
    let begun = Instant::now();
    let left = waiting.finish(begun + Duration::from_secs(2)).await.len();
    assert!(begun.elapsed() <= Duration::from_secs(2));
    let sent = fake.sent().len();
    assert_eq!(sent, 15, "what is left is in the log: {left}");
    assert!(left > 300, "{left}");
}
