//! An Alertmanager, on a paused clock.

use std::time::Duration;

use chrono::DateTime;
use serde_json::Value;
use tokio::time::sleep;

use super::*;
use crate::alert::Delivered;
use crate::clock::now_utc;

fn bodies(fake: &Fake) -> Vec<Vec<Value>> {
    let all = fake.sent();
    let bodies = all
        .iter()
        .map(|sent| serde_json::from_str(&sent.body).unwrap());
    bodies.collect()
}

#[tokio::test(start_paused = true)]
async fn only_a_firing_alert_is_resent() {
    let fake = Fake::new(WebhookKind::Alertmanager, []);
    let waiting = fake.serve();
    waiting.send(notice_of(NoticeKind::Firing, "a"));
    waiting.send(notice_of(NoticeKind::Firing, "b"));
    sleep(Duration::from_secs(130)).await;
    assert_eq!(fake.seconds(), [0, 60, 120]);
    assert!(fake.sent()[0].url.ends_with("/api/v2/alerts?key=k3y"));
    let ends: Vec<String> = bodies(&fake)
        .iter()
        .map(|body| body[0]["endsAt"].to_string())
        .collect();
    assert!(ends[0] < ends[1], "it goes on: {ends:?}");
    waiting.send(notice_of(NoticeKind::Resolved, "a"));
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
async fn a_receiver_that_is_away_gets_all_when_it_is_back() {
    let fake = Fake::new(WebhookKind::Alertmanager, vec![Reply::BreaksOff; 12]);
    let waiting = fake.serve();
    waiting.send(notice_of(NoticeKind::Firing, "a"));
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
    waiting.send(notice_of(NoticeKind::Firing, "a"));
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

#[tokio::test(start_paused = true)]
async fn a_receiver_in_a_pause_gets_nothing_new() {
    let fake = Fake::new(WebhookKind::Alertmanager, [Reply::AsksFor(120)]);
    let waiting = fake.serve();
    for n in 0..100 {
        waiting.send(notice(n));
        sleep(Duration::from_secs(1)).await;
    }
    sleep(Duration::from_secs(40)).await;
    assert_eq!(fake.sent().len(), 2, "{:?}", fake.seconds());
    assert_eq!(bodies(&fake)[1].len(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_dies_forgets_nothing_that_fires() {
    let fake = Fake::new(
        WebhookKind::Alertmanager,
        [Reply::Takes, Reply::Panics, Reply::Panics],
    );
    let waiting = fake.serve();
    waiting.send(notice_of(NoticeKind::Firing, "a"));
    sleep(Duration::from_secs(50)).await;
    let (_, delivery) = waiting.send_watched(notice_of(NoticeKind::Firing, "b"));
    assert_eq!(delivery.ended().await, Delivered::Everywhere);
    let bodies = bodies(&fake);
    assert_eq!(bodies.last().unwrap().len(), 2, "{bodies:?}");
}

/// The labels are what an Alertmanager knows an alert by, and it refuses one that ends before it starts.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_makes_no_alert_that_is_refused() {
    let fake = Fake::new(WebhookKind::Alertmanager, []);
    let waiting = fake.serve();
    let mut firing = notice_of(NoticeKind::Firing, "a");
    firing.started_at = now_utc() + chrono::TimeDelta::hours(1);
    let mut resolved = notice_of(NoticeKind::Resolved, "a");
    resolved.started_at = firing.started_at;
    resolved.severity = Severity::Critical;
    waiting.send(firing);
    sleep(Duration::from_secs(5)).await;
    waiting.send(resolved);
    sleep(Duration::from_secs(5)).await;
    let bodies = bodies(&fake);
    assert_eq!(bodies.len(), 2);
    for body in &bodies {
        let [starts, ends] = ["startsAt", "endsAt"].map(|key| body[0][key].as_str().unwrap());
        let [starts, ends] = [starts, ends].map(|at| at.parse::<DateTime<Utc>>().unwrap());
        assert!(starts <= ends && starts <= now_utc(), "{body:?}");
    }
    assert_eq!(bodies[0][0]["labels"], bodies[1][0]["labels"]);
}
