//! What becomes of each alert: of those that share a message with one that is refused, and of those whose task dies.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::sleep;

use super::*;
use crate::alert::{Courier, Delivered, Notifier};
use crate::config::AlertSettings;

/// Refuses a message that has this word in it, and takes the others.
struct Censor {
    fake: Arc<Fake>,
    word: &'static str,
    refusal: &'static str,
}

impl Transport for Censor {
    fn post(&self, request: Request) -> BoxFuture<'_, Result<Answer, String>> {
        let is_refused = String::from_utf8_lossy(&request.body).contains(self.word);
        let reply = match is_refused {
            true => Reply::Says(200, self.refusal),
            false => Reply::Takes,
        };
        self.fake.replies.lock().unwrap().push_back(reply);
        self.fake.post(request)
    }
}

fn censored(kind: WebhookKind, word: &'static str, refusal: &'static str) -> (Arc<Fake>, Waiting) {
    let fake = Fake::new(kind, []);
    let censor = Censor {
        fake: Arc::clone(&fake),
        word,
        refusal,
    };
    (fake, serve(kind, Arc::new(censor)))
}

const UNFIT: &str = "{\"errcode\":430104,\"errmsg\":\"inappropriate content\"}";
const GONE: &str = "{\"errcode\":300005,\"errmsg\":\"token is not exist\"}";

#[tokio::test(start_paused = true)]
async fn a_refused_alert_takes_no_other_with_it() {
    let (fake, waiting) = censored(WebhookKind::DingTalk, "alert-13\\n", UNFIT);
    let all: Vec<Delivery> = (0..40).map(|n| waiting.send_watched(notice(n)).1).collect();
    for (n, delivery) in all.into_iter().enumerate() {
        let expected = match n {
            13 => Delivered::NotEverywhere,
            _ => Delivered::Everywhere,
        };
        assert_eq!(delivery.ended().await, expected, "{n}");
    }
    let sent = fake.sent();
    assert!(sent.len() <= 14, "{} messages", sent.len());
    let gaps = sent.windows(2).map(|pair| pair[1].at - pair[0].at);
    assert!(gaps.min().unwrap() >= 4_000, "{:?}", fake.seconds());
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_refuses_everything_is_not_asked_for_each_alert() {
    for (refusal, most) in [(GONE, 2), (UNFIT, 50)] {
        let (fake, waiting) = censored(WebhookKind::DingTalk, "", refusal);
        let all: Vec<Delivery> = (0..200)
            .map(|n| waiting.send_watched(notice(n)).1)
            .collect();
        for delivery in all {
            assert_eq!(delivery.ended().await, Delivered::NotEverywhere);
        }
        assert!(fake.sent().len() <= most, "{} messages", fake.sent().len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_delivery_says_what_became_of_its_alert() {
    for kind in ALL {
        for (replies, expected) in [
            (vec![], Delivered::Everywhere),
            (vec![Reply::BreaksOff; 50], Delivered::NotEverywhere),
            (vec![Reply::Says(404, "")], Delivered::NotEverywhere),
        ] {
            let fake = Fake::new(kind, replies);
            let (_, delivery) = fake.serve().send_watched(notice(0));
            let begun = Instant::now();
            assert_eq!(delivery.ended().await, expected, "{kind:?}");
            assert!(begun.elapsed() < Duration::from_secs(400), "{kind:?}");
        }
        let fake = Fake::new(kind, [Reply::Hangs]);
        let waiting = fake.serve();
        let (_, under_way) = waiting.send_watched(notice(0));
        sleep(Duration::from_secs(30)).await;
        let (_, behind) = waiting.send_watched(notice(1));
        waiting.finish(Instant::now()).await;
        for delivery in [under_way, behind] {
            let ended = delivery.ended().now_or_never();
            assert_eq!(ended, Some(Delivered::CutShort), "{kind:?}");
        }
        let (put, after) = waiting.send_watched(notice(2));
        let ended = after.ended().now_or_never();
        assert_eq!((put, ended), (Put::StillFull, Some(Delivered::CutShort)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_unsendable_alert_is_logged_at_once() {
    let waiting = Fake::new(WebhookKind::Slack, []).serve();
    let all: Vec<Delivery> = (0..501)
        .map(|n| waiting.send_watched(notice(n)).1)
        .collect();
    let last = all.into_iter().last().unwrap();
    let ended = last.ended().now_or_never();
    assert_eq!(ended, Some(Delivered::NotEverywhere));
    let nobody = Notifier::silent().notify(notice(0));
    assert_eq!(nobody.ended().now_or_never(), Some(Delivered::Everywhere));
    let settings = AlertSettings {
        webhooks: vec![webhook(WebhookKind::Slack, "http://slack.example", None)],
        ..AlertSettings::default()
    };
    let notifier = Notifier::start(&settings, origin(), &Courier::without_thread());
    let ended = notifier.notify(notice(0)).ended().now_or_never();
    assert_eq!(ended, Some(Delivered::Everywhere), "as without a receiver");
}

#[test]
fn a_count_that_only_an_alertmanager_could_take_says_so() {
    let settings = AlertSettings {
        webhooks: vec![webhook(
            WebhookKind::Alertmanager,
            "http://alertmanager.example",
            None,
        )],
        ..AlertSettings::default()
    };
    let notifier = Notifier::start(&settings, origin(), &Courier::default());
    assert!(!notifier.takes_counts());
    assert_eq!(
        notifier.nobody(),
        "sent to nobody, as no receiver of this environment takes counts"
    );
    let without = Notifier::start(&settings, origin(), &Courier::without_thread());
    assert!(
        without
            .nobody()
            .ends_with("thread that sends them did not start")
    );
    assert!(Notifier::silent().nobody().ends_with("names no receiver"));
}

#[tokio::test(start_paused = true)]
async fn a_delivery_task_that_panics_takes_the_next_message() {
    let fake = Fake::new(WebhookKind::Slack, [Reply::Panics]);
    let waiting = fake.serve();
    let (_, lost) = waiting.send_watched(notice(0));
    assert_eq!(lost.ended().await, Delivered::NotEverywhere);
    let (_, next) = waiting.send_watched(notice(1));
    assert_eq!(next.ended().await, Delivered::Everywhere);
    assert_eq!(waiting.finish(Instant::now()).await.len(), 0);
}

/// With the longest alerts that there are.
#[test]
fn a_message_of_all_that_waits_is_made_in_a_moment() {
    let mut long = notice(0);
    long.details = vec!["测".repeat(200); 100];
    let long = Arc::new(long);
    let all = vec![long; 500];
    for kind in ALL {
        let receiver = receiver(kind, None);
        let begun = std::time::Instant::now();
        let message = receiver.message(&all, 0, Utc::now());
        assert!(message.alerts >= 1);
        let lasted = begun.elapsed();
        assert!(
            lasted < std::time::Duration::from_secs(20),
            "{kind:?}: {lasted:?}"
        );
    }
}
