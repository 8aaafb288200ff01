//! Receivers over HTTP, against a server that takes, refuses, hangs and breaks off.

use std::time::{Duration, Instant};

use super::*;
use crate::alert::notifier::{Tested, test_each};
use crate::alert::{Courier, Delivered, Notifier};
use crate::config::{AlertSettings, WebhookAuth};
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
async fn only_a_success_counts_and_no_answer_leaks_secrets() {
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
async fn missing_and_hanging_receivers_are_reported_in_words() {
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
    let delivery = notifier.notify(notice(7));
    assert!(begun.elapsed() < Duration::from_secs(1));
    let received = takes.wait_for(1, |_| true);
    assert!(
        received[0].at - begun < Duration::from_secs(9),
        "{received:?}"
    );
    assert_eq!(received[0].path, "/slack");
    let stop = tokio::time::Instant::now() + Duration::from_secs(1);
    notifier.finish(stop).await;
    assert_eq!(delivery.ended().await, Delivered::CutShort);
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

/// With the secret of the address in its path, and the alert in its body.
#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Recorder::start(success_of);
    let recorder = Recorder::answering(Behaviour::ok(""));
    for status in [300, 301, 302, 303, 307, 308] {
        let url = elsewhere.url("/elsewhere");
        recorder.behave(move |_| Behaviour::AnswerWith(status, "location", url.clone()));
        for line in words(&test_all(&recorder).await) {
            assert!(
                line.contains("REFUSED IT: it answers with a redirect"),
                "{line}"
            );
        }
    }
    assert_eq!(elsewhere.received().len(), 0);
    assert_eq!(recorder.received().len(), 6 * ALL.len());
}

#[tokio::test]
async fn an_answer_that_comes_slowly_is_not_waited_for() {
    let recorder = Recorder::start(|received| match success_of(received) {
        Behaviour::Answer(_, body) => Behaviour::Drip(body + &" ".repeat(1_000)),
        other => other,
    });
    let begun = Instant::now();
    let tested = test_all(&recorder).await;
    assert!(
        begun.elapsed() < Duration::from_secs(25),
        "{:?}",
        begun.elapsed()
    );
    for line in words(&tested) {
        assert!(line.contains("no answer within 10 s"), "{line}");
    }
}

/// Only its beginning is read: the status is enough.
#[tokio::test]
async fn an_answer_without_end_is_read_in_part() {
    let recorder = Recorder::answering(Behaviour::Endless);
    let tested = test_all(&recorder).await;
    let taken: Vec<bool> = tested.iter().map(|one| one.is_taken).collect();
    assert_eq!(taken, [false, false, false, false, true, true]);
    for line in words(&tested) {
        assert!(!line.contains("no answer within"), "{line}");
    }
}

#[tokio::test]
async fn a_pause_of_any_form_is_understood() {
    let recorder = Recorder::answering(Behaviour::ok(""));
    for (value, said) in [
        ("7", "; it asks to wait 7 s"),
        ("18446744073709551615", "; it asks to wait 86400 s"),
        ("Fri, 31 Dec 9999 23:59:59 GMT", "; it asks to wait 86400 s"),
        ("Wed, 21 Oct 2015 07:28:00 GMT", "; it asks to wait 0 s"),
        ("-7", "without a word"),
        ("soon", "without a word"),
    ] {
        recorder.behave(move |_| Behaviour::AnswerWith(429, "retry-after", value.to_owned()));
        let all = [
            WebhookKind::Slack,
            WebhookKind::Json,
            WebhookKind::Alertmanager,
        ];
        let all = all.map(|kind| webhook(kind, &recorder.url(PATH), None));
        let tested = test_each(&settings(all), &origin()).await;
        for line in words(&tested) {
            assert!(line.ends_with(said), "{value}: {line}");
        }
    }
}

/// Each answers with the header that shows who we are, and nothing else.
#[tokio::test]
async fn an_encoded_password_is_not_shown_either() {
    let recorder = Recorder::start(|received| {
        Behaviour::Answer(400, received.header("authorization").to_owned())
    });
    let auth = [
        WebhookAuth::Bearer(Secret::new("t0ken-of-header")),
        WebhookAuth::Basic {
            user: "user".to_owned(),
            password: Secret::new("passw0rd"),
        },
    ];
    let mut all: Vec<Webhook> = auth
        .into_iter()
        .map(|auth| Webhook {
            auth: Some(auth),
            ..webhook(WebhookKind::Json, &recorder.url("/a"), None)
        })
        .collect();
    let in_url = recorder.url("/b").replace("://", "://user:passw%30rd@");
    all.push(webhook(WebhookKind::Json, &in_url, None));
    let lines = words(&test_each(&settings(all), &origin()).await);
    let received = recorder.received();
    for (line, received) in lines.iter().zip(&received) {
        let header = received.header("authorization");
        let secret = header.split_once(' ').unwrap().1;
        assert!(!line.contains(secret), "{header}: {line}");
        assert!(line.contains("its words are not shown"), "{line}");
    }
    let basic = received
        .iter()
        .filter(|one| one.header("authorization") == "Basic dXNlcjpwYXNzdzByZA==");
    assert_eq!(basic.count(), 2);
}
