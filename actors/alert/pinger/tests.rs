//! Pings against a server.

use super::*;
use crate::servers::recorder::{Behaviour, Received, Recorder};

fn ping(recorder: &Recorder, path: &str, event: Event) -> Ping {
    Ping {
        url: Secret::new(recorder.url(path)),
        event,
        of: "cron `c`".to_owned(),
        run: None,
        text: "words".to_owned(),
        output: None,
    }
}

fn pinger() -> Pinger {
    Pinger::new(&Courier::default(), "this-host".to_owned())
}

fn ok() -> Recorder {
    Recorder::answering(Behaviour::ok("OK"))
}

fn paths(received: &[Received]) -> Vec<&str> {
    received.iter().map(|one| one.path.as_str()).collect()
}

#[test]
fn the_address_says_what_has_happened() {
    let of = |url: &str, event, run: Option<&str>| {
        called(&Ping {
            url: Secret::new(url),
            event,
            of: String::new(),
            run: run.map(str::to_owned),
            text: String::new(),
            output: None,
        })
    };
    for (event, path) in [
        (Event::Success, "https://h/u"),
        (Event::Start, "https://h/u/start"),
        (Event::Fail, "https://h/u/fail"),
        (Event::Exit(3), "https://h/u/3"),
    ] {
        assert_eq!(of("https://h/u", event, None), path);
    }
    assert_eq!(
        of("https://h/u/?a=b", Event::Fail, Some("1-2")),
        "https://h/u/fail?a=b&rid=1-2"
    );
    assert_eq!(
        of("https://h/u%2Fv#f", Event::Exit(1), Some("1-2")),
        "https://h/u%2Fv/1?rid=1-2#f"
    );
    assert_eq!(of("https://h", Event::Start, None), "https://h/start");
}

#[test]
fn pings_keep_their_order_for_each_address() {
    let recorder = Recorder::answering(Behaviour::Hang);
    let pinger = pinger();
    for n in 0..100 {
        pinger.send(ping(&recorder, &format!("/hangs/{n}"), Event::Success));
    }
    let recorder = ok();
    pinger.send(ping(&recorder, "/a", Event::Start));
    pinger.send(ping(&recorder, "/a", Event::Exit(7)));
    let received = recorder.wait_for(2, |one| one.path.starts_with("/a"));
    assert_eq!(paths(&received), ["/a/start", "/a/7"]);
    assert_eq!(received[1].text(), "words");
}

#[test]
fn a_ping_that_is_not_taken_is_tried_three_times() {
    let recorder = Recorder::answering(Behaviour::Answer(503, String::new()));
    let pinger = pinger();
    pinger.send(ping(&recorder, "/a", Event::Success));
    recorder.wait_for(3, |_| true);
    pinger.send(ping(&recorder, "/b", Event::Start));
    pinger.send(ping(&recorder, "/b", Event::Success));
    let received = recorder.wait_for(4, |one| one.path.starts_with("/b"));
    assert_eq!(
        paths(&received),
        ["/b/start", "/b", "/b", "/b"],
        "a start is of no use any more"
    );
}

#[test]
fn a_check_that_is_not_known_is_no_success() {
    let discretion = Discretion::new("https://h/u", &[], "here");
    let judged = |status, body: &str| {
        let answer = Answer {
            status,
            retry_after: None,
            body: body.to_owned(),
        };
        judge(&answer, &discretion)
            .err()
            .map(|failure| failure.is_passing)
    };
    assert_eq!(judged(200, "OK"), None);
    assert_eq!(judged(204, ""), None);
    assert_eq!(judged(200, "OK (not found)"), Some(false));
    assert_eq!(judged(404, "not found"), Some(false));
    assert_eq!(judged(301, ""), Some(false));
    assert_eq!(judged(500, ""), Some(true));
}

/// As many entries as a crontab has, all due at :00: each start comes before its end, over few connections.
#[test]
fn many_pings_at_once_share_few_connections() {
    let late = Behaviour::Late(
        std::time::Duration::from_millis(20),
        Box::new(Behaviour::ok("OK")),
    );
    let recorder = Recorder::answering(late);
    let pinger = pinger();
    let begun = std::time::Instant::now();
    for event in [Event::Start, Event::Success] {
        for n in 0..1_000 {
            pinger.send(ping(&recorder, &format!("/{n}"), event));
        }
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(10));
    let received = recorder.wait_for(2_000, |_| true);
    eprintln!("2,000 pings took {:?}", begun.elapsed());
    assert!(recorder.most_at_once() <= AT_ONCE_EACH_HOST + 2);
    let place = |path: &str| received.iter().position(|one| one.path == path).unwrap();
    for n in 0..1_000 {
        assert!(place(&format!("/{n}/start")) < place(&format!("/{n}")));
    }
}

#[test]
fn where_too_many_wait_ends_stay_and_starts_go() {
    let mut line = Line::default();
    let recorder = ok();
    for event in [Event::Success, Event::Start, Event::Fail] {
        line.pings.push_back(ping(&recorder, "/a", event));
    }
    let least = || line.least().map(|ping| ping.event);
    let gone: Vec<Option<Event>> = std::iter::repeat_with(least).take(4).collect();
    let (start, success, fail) = (Event::Start, Event::Success, Event::Fail);
    assert_eq!(gone, [Some(start), Some(success), Some(fail), None]);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_an_unstarted_thread() {
    let pinger = Pinger::new(&Courier::without_thread(), String::new());
    for event in [Event::Start, Event::Success] {
        pinger.send(ping(&ok(), "/a", event));
    }
    let begun = Instant::now();
    let until = begun + Duration::from_secs(60);
    pinger.finish(until).await;
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert_eq!(*pinger.0.undecided.borrow(), 0);
}
