//! Receivers over HTTP, against a server that takes, refuses, hangs and breaks off.

use std::time::{Duration, Instant};

use super::*;
use crate::alert::notifier::{Tested, test_each};
use crate::alert::{Courier, Notifier};
use crate::config::AlertSettings;
use crate::servers::recorder::{Behaviour, Recorder};

const PATH: &str = "/hook/t0ken-of-path?key=k3y-of-query";
const HIDDEN: [&str; 4] = ["t0ken-of-path", "k3y-of-query", "127.0.0.1", "this-host"];

fn settings(webhooks: impl IntoIterator<Item = Webhook>) -> AlertSettings {
    AlertSettings {
        webhooks: webhooks.into_iter().collect(),
        ..AlertSettings::default()
    }
}

async fn test_all(recorder: &Recorder) -> Vec<Tested> {
    let all = ALL.map(|kind| webhook(kind, &recorder.url(PATH), None));
    test_each(&settings(all), &origin()).await
}

fn words(tested: &[Tested]) -> Vec<String> {
    let line = |one: &Tested| format!("{} {}", one.label, one.answer);
    let all: Vec<String> = tested.iter().map(line).collect();
    for hidden in HIDDEN {
        assert!(!all.concat().contains(hidden), "{hidden}: {all:#?}");
    }
    all
}

/// As each receiver would, by the form of the message.
fn success_of(received: &crate::servers::recorder::Received) -> Behaviour {
    let json = received.json();
    Behaviour::ok(if json["msg_type"] == "text" {
        success(WebhookKind::Feishu)
    } else if json["msgtype"] == "text" {
        success(WebhookKind::WeCom)
    } else {
        "ok"
    })
}

#[tokio::test]
async fn each_receiver_takes_its_message() {
    let recorder = Recorder::start(success_of);
    let tested = test_all(&recorder).await;
    assert!(
        tested.iter().all(|one| one.is_taken),
        "{:?}",
        words(&tested)
    );
    let received = recorder.received();
    assert_eq!(received.len(), ALL.len());
    for one in &received {
        let text = one.text();
        assert!(text.contains("this is a test of alerts"), "{text}");
        assert!(
            text.contains("release") && text.contains("script1"),
            "{text}"
        );
        assert!(one.header("content-type").starts_with("application/json"));
        let is_alertmanager = one.path == "/hook/t0ken-of-path/api/v2/alerts?key=k3y-of-query";
        assert!(is_alertmanager || one.path == PATH, "{}", one.path);
    }
}

#[tokio::test]
async fn no_other_answer_is_taken_for_success_and_none_shows_what_it_repeats() {
    let echoes = |status| {
        move |received: &crate::servers::recorder::Received| {
            let echo = format!(
                "{} {:?} {}",
                received.path,
                received.headers,
                received.text()
            );
            Behaviour::Answer(status, echo)
        }
    };
    let json = |text: String| move |_: &_| Behaviour::ok(&text);
    let from_ip = "{\"code\":19022,\"msg\":\"Ip 127.0.0.1 Not Allowed\",\"errcode\":310000,\"errmsg\":\"ip 127.0.0.1 not in list\"}";
    let both = |code: i64| {
        format!("{{\"code\":{code},\"errcode\":{code},\"msg\":\"no\",\"errmsg\":\"no\"}}")
    };
    let recorder = Recorder::answering(Behaviour::ok(""));
    let chats = 0..4;
    for status in [
        201, 301, 400, 401, 403, 404, 405, 410, 418, 429, 500, 502, 503,
    ] {
        recorder.behave(echoes(status));
        let tested = test_all(&recorder).await;
        words(&tested);
        assert!(
            tested[chats.clone()].iter().all(|one| !one.is_taken),
            "{status}"
        );
        assert!(
            status == 201 || tested.iter().all(|one| !one.is_taken),
            "{status}"
        );
    }
    for code in [
        -1, 19021, 19022, 19024, 9499, 11232, 45009, 93000, 40058, 130_101, 410_100, 310_000,
        300_005, 7,
    ] {
        recorder.behave(json(both(code)));
        let tested = test_all(&recorder).await;
        let words = words(&tested);
        assert!(
            tested[chats.clone()].iter().all(|one| !one.is_taken),
            "{code}: {words:?}"
        );
        assert!(
            words[..3]
                .iter()
                .all(|line| line.contains(&code.to_string())),
            "{words:?}"
        );
    }
    recorder.behave(json(from_ip.to_owned()));
    let words = words(&test_all(&recorder).await);
    assert!(
        words[0].contains("this machine's address is not on the robot's list"),
        "{words:?}"
    );
    for behaviour in [
        Behaviour::ok(""),
        Behaviour::ok("<html>ok</html>"),
        Behaviour::BreakOff,
    ] {
        let is_broken = matches!(behaviour, Behaviour::BreakOff);
        recorder.behave(move |_| behaviour.clone());
        let tested = test_all(&recorder).await;
        assert!(tested[chats.clone()].iter().all(|one| !one.is_taken));
        assert!(
            !is_broken || tested.iter().all(|one| one.answer.contains("broke")),
            "{:?}",
            tested[4].answer
        );
    }
}

#[tokio::test]
async fn one_that_is_not_there_and_one_that_hangs_are_said_in_words() {
    let nobody = Recorder::nobody(PATH);
    let hangs = Recorder::answering(Behaviour::Hang);
    let urls = [
        nobody,
        hangs.url(PATH),
        "http://no-such-host.invalid/t0ken-of-path".to_owned(),
    ];
    let all = urls.map(|url| webhook(WebhookKind::Json, &url, None));
    let begun = Instant::now();
    let tested = test_each(&settings(all), &origin()).await;
    let words = words(&tested);
    assert!(
        words[0].contains("cannot be reached: Connection refused"),
        "{words:?}"
    );
    assert!(words[1].contains("no answer within 10 s"), "{words:?}");
    assert!(words[2].contains("cannot be reached"), "{words:?}");
    assert!(!words[2].contains("no-such-host"), "{words:?}");
    assert!(begun.elapsed() < Duration::from_secs(30), "all at once");
}

#[tokio::test]
async fn a_receiver_that_hangs_delays_no_other() {
    let hangs = Recorder::answering(Behaviour::Hang);
    let takes = Recorder::start(success_of);
    let mut elsewhere = webhook(WebhookKind::Slack, &takes.url("/elsewhere"), None);
    elsewhere.environments = vec![Environment::Dev];
    let all = [
        webhook(WebhookKind::Json, &hangs.url("/"), None),
        webhook(WebhookKind::Slack, &takes.url("/slack"), None),
        elsewhere,
    ];
    let notifier = Notifier::start(&settings(all), origin(), &Courier::default());
    let begun = Instant::now();
    notifier.notify(notice(7));
    assert!(begun.elapsed() < Duration::from_secs(1));
    let received = takes.wait_for(1, |_| true);
    assert!(
        received[0].at - begun < Duration::from_secs(9),
        "{received:?}"
    );
    assert_eq!(received[0].path, "/slack");
    let stop = tokio::time::Instant::now() + Duration::from_secs(1);
    notifier.finish(stop).await;
    assert!(
        stop.elapsed() < Duration::from_secs(5),
        "{:?}",
        stop.elapsed()
    );
    assert_eq!(
        takes.received().len(),
        1,
        "the one of another environment gets nothing"
    );
}
