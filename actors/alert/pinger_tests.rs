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
}

#[test]
fn pings_of_one_address_come_in_their_order_and_wait_for_no_other() {
    let recorder = Recorder::start(|received| match received.path.starts_with("/hangs") {
        true => Behaviour::Hang,
        false => Behaviour::ok("OK"),
    });
    let pinger = pinger();
    pinger.send(ping(&recorder, "/hangs", Event::Success));
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
