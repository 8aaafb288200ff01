//! Gathering, limits and retries, on a paused clock.

use std::time::Duration;

use tokio::time::sleep;

use super::*;

#[tokio::test(start_paused = true)]
async fn what_waits_goes_in_one_message() {
    let fake = Fake::new(WebhookKind::WeCom, []);
    let waiting = fake.serve();
    for n in 0..3 {
        waiting.send(notice(n));
    }
    sleep(Duration::from_secs(2)).await;
    waiting.send(notice(3));
    waiting.send(notice(4));
    sleep(Duration::from_secs(60)).await;
    let sent = fake.sent();
    assert_eq!(sent.len(), 2);
    for n in 0..5 {
        assert_eq!(
            sent[n / 3].body.matches(&format!("alert-{n}")).count(),
            1,
            "{n}"
        );
    }
    assert!(
        sent[1].at - sent[0].at >= 4_000,
        "{}",
        sent[1].at - sent[0].at
    );
}

#[tokio::test(start_paused = true)]
async fn receivers_of_twenty_a_minute_get_no_more_in_a_flood() {
    for kind in [WebhookKind::WeCom, WebhookKind::DingTalk] {
        let fake = Fake::new(kind, []);
        let waiting = fake.serve();
        for n in 0..600 {
            waiting.send(notice(n));
            sleep(Duration::from_millis(300)).await;
        }
        let times: Vec<u128> = fake.sent().iter().map(|sent| sent.at).collect();
        let most = times.iter().map(|from| {
            times
                .iter()
                .filter(|at| (*from..from + 60_000).contains(at))
                .count()
        });
        assert!(most.max().unwrap() <= 20, "{times:?}");
        assert!(times.len() >= 40, "{times:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn more_than_fits_is_left_out_with_its_number() {
    let fake = Fake::new(WebhookKind::Json, []);
    let waiting = fake.serve();
    let put: Vec<Put> = (0..503).map(|n| waiting.send(notice(n))).collect();
    assert_eq!(
        put[499..],
        [Put::Waits, Put::Full, Put::StillFull, Put::StillFull]
    );
    sleep(Duration::from_secs(60)).await;
    let bodies: Vec<serde_json::Value> = fake
        .sent()
        .iter()
        .map(|sent| serde_json::from_str(&sent.body).unwrap())
        .collect();
    let alerts = bodies
        .iter()
        .map(|body| body["alerts"].as_array().unwrap().len());
    assert_eq!(alerts.collect::<Vec<_>>(), [100; 5]);
    assert_eq!(bodies[0]["left_out"], 3);
    assert_eq!(bodies[1]["left_out"], 0);
}

#[tokio::test(start_paused = true)]
async fn other_messages_go_on_after_five_minutes_of_tries() {
    for unknown in [
        Reply::BreaksOff,
        Reply::Says(200, "who are you?"),
        Reply::Says(503, ""),
    ] {
        let fake = Fake::new(WebhookKind::Slack, vec![unknown; 10]);
        let waiting = fake.serve();
        waiting.send(notice(0));
        sleep(Duration::from_secs(200)).await;
        waiting.send(notice(1));
        sleep(Duration::from_secs(300)).await;
        let sent = fake.sent();
        let (last, tries) = sent.split_last().unwrap();
        assert!((8..=10).contains(&tries.len()), "{:?}", fake.seconds());
        assert!(tries.iter().all(|sent| sent.body.contains("alert-0")));
        assert!(tries.last().unwrap().at <= 301_000);
        assert!(last.body.contains("alert-1") && !last.body.contains("alert-0"));
        assert_eq!(waiting.finish(Instant::now()).await.len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn the_pause_that_a_receiver_asks_for_is_kept() {
    let fake = Fake::new(
        WebhookKind::Slack,
        [Reply::AsksFor(30), Reply::AsksFor(400)],
    );
    fake.serve().send(notice(0));
    sleep(Duration::from_secs(1_000)).await;
    let times = fake.seconds();
    assert_eq!(times.len(), 3, "{times:?}");
    assert!((30..32).contains(&(times[1] - times[0])), "{times:?}");
    assert_eq!(times[2] - times[1], 400, "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn dingtalk_is_left_alone_for_ten_minutes_after_too_many_messages() {
    let blocked = Reply::Says(200, "{\"errcode\":130101,\"errmsg\":\"send too fast\"}");
    let fake = Fake::new(WebhookKind::DingTalk, [blocked]);
    let waiting = fake.serve();
    waiting.send(notice(0));
    sleep(Duration::from_secs(60)).await;
    waiting.send(notice(1));
    sleep(Duration::from_secs(1_000)).await;
    let (sent, times) = (fake.sent(), fake.seconds());
    assert_eq!(sent.len(), 3, "{times:?}");
    assert_eq!(times[1] - times[0], 600, "{times:?}");
    assert!(sent[1].body.contains("alert-0") && sent[2].body.contains("alert-1"));
}

/// Ten minutes, and the ones after them, where the second try is turned away too.
#[tokio::test(start_paused = true)]
async fn a_pause_outlasts_a_message_that_is_given_up() {
    let blocked = Reply::Says(200, "{\"errcode\":130101,\"errmsg\":\"send too fast\"}");
    let fake = Fake::new(WebhookKind::DingTalk, [blocked.clone(), blocked]);
    let waiting = fake.serve();
    waiting.send(notice(0));
    sleep(Duration::from_secs(60)).await;
    waiting.send(notice(1));
    sleep(Duration::from_secs(2_000)).await;
    assert_eq!(fake.seconds(), [0, 600, 1_200]);
    assert!(fake.sent()[2].body.contains("alert-1"));
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_no_clock_can_hold_ends_no_task() {
    for kind in ALL {
        let fake = Fake::new(kind, [Reply::AsksFor(u64::MAX), Reply::AsksFor(u64::MAX)]);
        let waiting = fake.serve();
        waiting.send(notice(0));
        sleep(Duration::from_secs(60)).await;
        waiting.send(notice(1));
        sleep(Duration::from_secs(2_000)).await;
        let times = fake.seconds();
        assert!(times[1] - times[0] >= 600, "{kind:?}: {times:?}");
        assert!(
            fake.sent().last().unwrap().body.contains("alert-1"),
            "{kind:?}: {times:?}"
        );
    }
}

/// Each message fails once: the tries count as messages.
#[tokio::test(start_paused = true)]
async fn tries_keep_to_the_limits_as_messages_do() {
    for kind in [
        WebhookKind::WeCom,
        WebhookKind::DingTalk,
        WebhookKind::Feishu,
    ] {
        let every_second = (0..200).map(|n| match n % 2 {
            0 => Reply::BreaksOff,
            _ => Reply::Takes,
        });
        let fake = Fake::new(kind, every_second);
        let waiting = fake.serve();
        for n in 0..300 {
            waiting.send(notice(n));
            sleep(Duration::from_millis(500)).await;
        }
        let sent = fake.sent();
        let gaps = sent.windows(2).map(|pair| pair[1].at - pair[0].at);
        let least = if kind == WebhookKind::Feishu {
            250
        } else {
            4_000
        };
        assert!(
            gaps.min().unwrap() >= least,
            "{kind:?}: {:?}",
            fake.seconds()
        );
        assert!(sent.len() > 20, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_message_is_not_tried_again() {
    let refused = Reply::Says(200, "{\"code\":19024,\"msg\":\"Key Words Not Found\"}");
    let fake = Fake::new(WebhookKind::Feishu, [refused]);
    let waiting = fake.serve();
    waiting.send(notice(0));
    sleep(Duration::from_secs(400)).await;
    assert_eq!(fake.sent().len(), 1);
    waiting.send(notice(1));
    sleep(Duration::from_secs(100)).await;
    let sent = fake.sent();
    assert!(
        sent.len() == 2 && sent[1].body.contains("alert-1"),
        "others are tried"
    );
}

#[tokio::test(start_paused = true)]
async fn a_second_try_is_the_same_message_signed_anew() {
    let key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let receiver = receiver(WebhookKind::Json, Some(key));
    let first = notice(0);
    let message = receiver.message(&[Arc::new(first)], 0, Utc::now());
    let at = |s| Utc.timestamp_opt(s, 0).unwrap();
    let [one, two] = [at(1_000), at(2_000)].map(|at| receiver.request(&message, at).headers);
    let header = |headers: &[(&str, String)], name| {
        let found = headers.iter().find(|(header, _)| *header == name);
        found.unwrap().1.clone()
    };
    assert_eq!(header(&one, "webhook-id"), header(&two, "webhook-id"));
    assert_eq!(header(&two, "webhook-timestamp"), "2000");
    assert_ne!(
        header(&one, "webhook-signature"),
        header(&two, "webhook-signature")
    );
}

#[tokio::test(start_paused = true)]
async fn no_message_is_larger_than_its_receiver_takes() {
    for (kind, most) in [
        (WebhookKind::Feishu, 20 * 1024),
        (WebhookKind::DingTalk, 20_000),
        (WebhookKind::Slack, 40_000),
        (WebhookKind::WeCom, 2_048),
    ] {
        for filler in ["测试", "\"\n", "<&>", "<at", "</at", "\u{1}", "a"] {
            let mut long = notice(0);
            long.summary = filler.repeat(20_000);
            long.details = vec![filler.repeat(1_000); 20];
            let receiver = receiver(kind, Some("secret"));
            let long = Arc::new(long);
            let message = receiver.message(&[Arc::clone(&long), long], 3, Utc::now());
            let request = receiver.request(&message, Utc::now());
            let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            let size = match kind {
                WebhookKind::WeCom => body["text"]["content"].as_str().unwrap().len(),
                _ => request.body.len(),
            };
            assert!(
                size <= most && size > most / 4,
                "{kind:?}: {size} bytes of {filler:?}"
            );
        }
    }
}
