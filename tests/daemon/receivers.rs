//! `alert test`, and what may not be seen of a receiver.

use serde_json::{Value, json};

use crate::servers::recorder::{Behaviour, Received, Recorder};
use crate::world::World;

const SECRET: &str = "SEChunter2hunter2";
const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// Nothing that anybody may read has one of them in it.
const HIDDEN: [&str; 5] = [
    "t0ken-of-path",
    "k3y-of-query",
    "hunter2",
    "MfKQ9r8GKY",
    "passw0rd",
];

/// One of each kind, in the environment `dev`, all at the recorder.
fn webhooks(recorder: &Recorder) -> Vec<Value> {
    let url = |kind: &str| recorder.url(&format!("/{kind}/t0ken-of-path?key=k3y-of-query"));
    let of = |kind: &str, more: Value| {
        let mut webhook = json!({ "url": url(kind), "kind": kind, "environments": ["dev"] });
        let more = more.as_object().unwrap().clone();
        webhook.as_object_mut().unwrap().extend(more);
        webhook
    };
    vec![
        of("feishu", json!({ "secret": SECRET })),
        of("wecom", json!({})),
        of("dingtalk", json!({ "secret": SECRET })),
        of("slack", json!({})),
        of("json", json!({ "secret": WHSEC })),
        of(
            "alertmanager",
            json!({ "basic": { "user": "u", "password": "passw0rd" } }),
        ),
    ]
}

fn takes(received: &Received) -> Behaviour {
    Behaviour::ok(match received.path.split('/').nth(1) {
        Some("feishu") => "{\"code\":0,\"msg\":\"success\"}",
        Some("wecom" | "dingtalk") => "{\"errcode\":0,\"errmsg\":\"ok\"}",
        _ => "ok",
    })
}

#[track_caller]
fn nothing_is_seen(what: &str, text: &str) {
    for hidden in HIDDEN {
        assert!(!text.contains(hidden), "`{hidden}` in {what}: {text}");
    }
}

#[test]
fn alert_test_prints_what_each_receiver_answers() {
    let recorder = Recorder::start(takes);
    let mut all = webhooks(&recorder);
    all[3]["environments"] = json!(["release", "pre"]);
    let world = World::new(json!({ "alert": { "webhooks": all } }));
    let output = world.output(&["alert", "test"]);
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), 6, "{output}");
    for (index, kind) in [
        "feishu",
        "wecom",
        "dingtalk",
        "slack",
        "json",
        "alertmanager",
    ]
    .iter()
    .enumerate()
    {
        let expected = format!("alert.webhooks[{index}] ({kind}) took the message");
        assert!(lines[index].starts_with(&expected), "{output}");
    }
    assert!(
        lines[3].ends_with("sends it nothing in dev, its `environments` are release, pre)"),
        "{output}"
    );
    let received = recorder.received();
    assert_eq!(received.len(), 6);
    let of = |kind: &str| {
        let start = format!("/{kind}/");
        received
            .iter()
            .find(|one| one.path.starts_with(&start))
            .unwrap()
    };
    assert!(of("feishu").json()["sign"].is_string());
    assert!(of("dingtalk").path.contains("&sign="));
    assert!(of("json").header("webhook-signature").starts_with("v1,"));
    assert!(
        of("alertmanager")
            .header("authorization")
            .starts_with("Basic ")
    );
    assert!(
        of("slack")
            .text()
            .contains("environment dev, partition script1")
    );

    recorder.behave(|received| match received.path.starts_with("/slack") {
        true => Behaviour::Answer(404, "no_service".to_owned()),
        false => takes(received),
    });
    let refused = world.run(&["alert", "test"]);
    let text = String::from_utf8(refused.stdout).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(
        text.contains("alert.webhooks[3] (slack) REFUSED IT: HTTP 404, \"no_service\"; there is no such webhook"),
        "{text}"
    );
}

#[test]
fn alert_test_without_receivers_says_so() {
    let output = World::new(json!({})).run(&["alert", "test"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("etc/dev.json` names no receiver"), "{text}");
}

/// Each answers with all that it was sent, as a success that is none and as every error.
#[test]
fn no_output_and_no_log_shows_an_address_or_a_secret() {
    let recorder = Recorder::start(takes);
    let all = webhooks(&recorder);
    let cron = json!({ "cron": "* * * * * *", "name": "c", "exec_cmd": "noop", "status": 1,
        "ping": recorder.url("/cron/t0ken-of-path?key=k3y-of-query") });
    let world = World::new(json!({
        "logger": { "level": "trace" },
        "alert": { "webhooks": all, "ping": recorder.url("/daemon/t0ken-of-path?key=k3y-of-query") },
    }));
    world.partition("script1", &json!([]), &json!([cron]));
    nothing_is_seen("check", &world.output(&["check"]));
    nothing_is_seen("check --json", &world.output(&["check", "--json"]));
    for status in [200, 302, 400, 404, 429, 500] {
        recorder.behave(move |received| {
            let all = format!(
                "{} {:?} {}",
                received.path,
                received.headers,
                received.text()
            );
            let escaped = serde_json::to_string(&all).unwrap();
            let body = format!(
                "{{\"code\":19021,\"errcode\":310000,\"msg\":{escaped},\"errmsg\":{escaped}}}"
            );
            Behaviour::Answer(status, body)
        });
        let output = world.run(&["alert", "test"]);
        assert_eq!(output.status.code(), Some(1), "{status}");
        nothing_is_seen("alert test", &String::from_utf8_lossy(&output.stdout));
        nothing_is_seen("alert test", &String::from_utf8_lossy(&output.stderr));
    }
    let mut daemon = world.start();
    daemon.wait_log("cron `c`: its ping is not taken: HTTP 500");
    daemon.wait_log("this daemon (`alert.ping`): its ping is not taken: HTTP 500");
    daemon.wait_log("alerts are sent to alert.webhooks[0] (feishu), ");
    daemon.stop();
    nothing_is_seen("the log", &world.all_logs());
    for file in std::fs::read_dir(world.path("logs")).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.contains("its ping is not taken"), "{}", path.display());
            nothing_is_seen("the log file", &text);
        }
    }
}

#[test]
fn certificates_are_checked_against_the_authorities_of_the_system() {
    let (recorder, certificate) = Recorder::start_tls(takes);
    let webhook = json!({ "url": recorder.url("/json/t0ken-of-path"), "environments": ["dev"] });
    let world = World::new(json!({ "alert": { "webhooks": [webhook] } }));
    let unknown = world.run(&["alert", "test"]);
    let text = String::from_utf8(unknown.stdout).unwrap();
    assert_eq!(unknown.status.code(), Some(1), "{text}");
    assert!(
        text.contains("of an authority that this machine does not know"),
        "{text}"
    );
    assert!(recorder.received().is_empty());
    std::fs::write(world.path("ca.pem"), certificate).unwrap();
    let mut command = world.command(&["alert", "test"]);
    let output = command.env("SSL_CERT_FILE", "ca.pem").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, "alert.webhooks[0] (json) took the message\n");
    assert_eq!(recorder.received().len(), 1);
}

#[test]
fn the_proxy_of_the_environment_is_used_but_for_this_machine_and_no_proxy() {
    let proxy = Recorder::answering(Behaviour::Answer(403, "no".to_owned()));
    let direct = Recorder::start(takes);
    let world = World::new(json!({ "alert": { "webhooks": [
        { "url": "https://alerts.example.invalid/t0ken-of-path", "environments": ["dev"] },
        { "url": direct.url("/json"), "environments": ["dev"] },
        { "url": "https://alone.example.invalid/t0ken-of-path", "environments": ["dev"] },
    ] } }));
    let mut command = world.command(&["alert", "test"]);
    command
        .env("HTTPS_PROXY", proxy.url(""))
        .env("HTTP_PROXY", proxy.url(""))
        .env("NO_PROXY", "alone.example.invalid");
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("[0] (json) DID NOT TAKE IT: it cannot be reached"),
        "{text}"
    );
    assert!(text.contains("[1] (json) took the message"), "{text}");
    assert!(
        text.contains("[2] (json) DID NOT TAKE IT: it cannot be reached"),
        "{text}"
    );
    nothing_is_seen("alert test", &text);
    let asked: Vec<String> = proxy.received().into_iter().map(|one| one.path).collect();
    assert_eq!(asked, ["alerts.example.invalid:443"]);
}
