//! An Alertmanager, on a paused clock.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::*;

fn bodies(fake: &Fake) -> Vec<Vec<Value>> {
    let all = fake.sent();
    let bodies = all
        .iter()
        .map(|sent| serde_json::from_str(&sent.body).unwrap());
    bodies.collect()
}

#[tokio::test(start_paused = true)]
async fn what_fires_is_sent_each_minute_and_what_has_ended_once() {
    let fake = Fake::new(WebhookKind::Alertmanager, []);
    let waiting = fake.serve();
    waiting.put(notice_of(NoticeKind::Firing, "a"));
    waiting.put(notice_of(NoticeKind::Firing, "b"));
    sleep(Duration::from_secs(130)).await;
    assert_eq!(fake.seconds(), [0, 60, 120]);
    assert!(fake.sent()[0].url.ends_with("/api/v2/alerts?key=k3y"));
    let ends: Vec<String> = bodies(&fake)
        .iter()
        .map(|body| body[0]["endsAt"].to_string())
        .collect();
    assert!(ends[0] < ends[1], "it goes on: {ends:?}");
    waiting.put(notice_of(NoticeKind::Resolved, "a"));
    sleep(Duration::from_secs(70)).await;
    let bodies = bodies(&fake);
    assert_eq!(
        bodies.iter().map(Vec::len).collect::<Vec<_>>(),
        [2, 2, 2, 2, 1]
    );
    let ended = &bodies[3][0];
    assert_eq!(ended["endsAt"], "2026-11-29T08:05:00.000Z");
    assert_eq!(ended["labels"], bodies[0][0]["labels"], "the same alert");
    assert_eq!(ended["labels"]["alertname"], "lag");
    assert_eq!(ended["annotations"]["summary"], "alert-a");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_away_hears_all_when_it_is_back() {
    let fake = Fake::new(WebhookKind::Alertmanager, vec![Reply::BreaksOff; 12]);
    let waiting = fake.serve();
    waiting.put(notice_of(NoticeKind::Firing, "a"));
    sleep(Duration::from_secs(900)).await;
    let tries = fake.seconds();
    assert!(tries.len() >= 16, "{tries:?}");
    let last = bodies(&fake).pop().unwrap();
    assert_eq!(last[0]["labels"]["subject"], "a");
    assert_eq!(waiting.finish(Instant::now()).await.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_not_kept_by_one_that_is_away() {
    let fake = Fake::new(WebhookKind::Alertmanager, vec![Reply::BreaksOff; 1_000]);
    let waiting = fake.serve();
    waiting.put(notice_of(NoticeKind::Firing, "a"));
    sleep(Duration::from_secs(5)).await;
    let tries = fake.sent().len();
    assert_eq!(
        waiting
            .finish(Instant::now() + Duration::from_secs(2))
            .await
            .len(),
        0
    );
    sleep(Duration::from_secs(5)).await;
    assert!((1..=2).contains(&(fake.sent().len() - tries)));
}
