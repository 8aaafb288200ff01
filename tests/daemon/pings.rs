//! Dead man's switches: what is called when a run starts and ends, and while the daemon lives.

use std::time::Duration;

use serde_json::{Value, json};

use crate::servers::recorder::{Behaviour, Received, Recorder};
use crate::wait::{PATIENCE, wait_until};
use crate::world::World;

fn entry(recorder: &Recorder, cron: &str, params: &str) -> Value {
    let path = format!("/{}", params.split(':').next().unwrap());
    json!({ "cron": cron, "name": params, "exec_cmd": "ledger", "params": params, "status": 1,
        "ping": recorder.url(&path) })
}

fn world(crontab: &[Value]) -> World {
    let world = World::new(json!({ "heartbeat_interval": "300ms" }));
    world.partition("script1", &json!([]), &json!(crontab));
    world
}

fn ok() -> Recorder {
    Recorder::answering(Behaviour::ok("OK"))
}

/// Without the number of the run, and that number.
fn parts(received: &Received) -> (&str, &str) {
    received
        .path
        .split_once("?rid=")
        .unwrap_or((&received.path, ""))
}

fn of<'a>(path: &'a str) -> impl Fn(&Received) -> bool + 'a {
    move |received| received.path.starts_with(path)
}

#[test]
fn a_run_is_pinged_at_its_start_and_at_its_end() {
    let recorder = ok();
    let entries =
        ["plain", "fail:x", "abort:x"].map(|params| entry(&recorder, "* * * * * *", params));
    let world = world(&entries);
    let daemon = world.start();
    for (path, end, words) in [
        ("/plain", "/plain", ""),
        ("/fail", "/fail/1", "the body says fail"),
        ("/abort", "/abort/fail", "killed: "),
    ] {
        let received = recorder.wait_for(6, of(path));
        let ends: Vec<&Received> = received.iter().filter(|one| parts(one).0 == end).collect();
        assert!(!ends.is_empty(), "{received:?}");
        for one in ends {
            assert!(one.text().contains(words), "{one:?}");
            assert!(words.is_empty() == one.body.is_empty(), "{one:?}");
            let start = received.iter().find(|start| {
                parts(start).0 == format!("{path}/start") && parts(start).1 == parts(one).1
            });
            assert!(start.unwrap().at <= one.at, "{received:?}");
            assert_eq!(parts(one).1.len(), 36, "{one:?}");
        }
    }
    daemon.stop();
}

#[test]
fn the_last_lines_of_the_output_go_along_with_a_failure() {
    let recorder = ok();
    let entry = json!({ "cron": "* * * * * *", "name": "c", "exec_cmd": "ledger", "params": "one", "status": 1,
        "ping": recorder.url("/c") });
    let world = World::new(json!({ "cron_command": "./prints" }));
    std::fs::write(
        world.path("prints"),
        "#!/bin/sh\nseq 1 100\necho \"run of $4\"\nexit 7\n",
    )
    .unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(world.path("prints"), mode).unwrap();
    world.partition("script1", &json!([]), &json!([entry]));
    let daemon = world.start();
    let received = recorder.wait_for(2, of("/c/7"));
    daemon.stop();
    let text = received[1].text();
    assert!(text.starts_with("failed: {"), "{text}");
    assert!(text.contains("exit status 7"), "{text}");
    let output = text.split_once("\n\n").unwrap().1;
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), 40, "{text}");
    assert_eq!(
        (lines[0], lines[38]),
        ("62", "100"),
        "of this run alone: {text}"
    );
}

#[test]
fn a_ping_that_hangs_delays_no_fire() {
    let recorder = Recorder::answering(Behaviour::Hang);
    let world = world(&[entry(&recorder, "* * * * * *", "plain")]);
    let daemon = world.start();
    wait_until("fires", PATIENCE, || world.ledger_len() >= 8);
    daemon.stop();
    let ledger = world.ledger();
    let mut seconds: Vec<i64> = ledger
        .lines
        .iter()
        .map(|line| (line.at_us - line.late_us.unwrap()) / 1_000_000)
        .collect();
    seconds.sort_unstable();
    let all = seconds[0]..=*seconds.last().unwrap();
    assert_eq!(seconds, all.collect::<Vec<_>>(), "each second once");
    assert!(!recorder.received().is_empty());
}

#[test]
fn a_run_that_outlives_its_daemon_is_pinged_by_the_next_one() {
    let recorder = ok();
    let world = world(&[entry(&recorder, "* * * * * *", "sleep:4000:x")]);
    let daemon = world.start();
    let starts = recorder.wait_for(1, of("/sleep/start"));
    daemon.kill();
    let second = world.start();
    let run = parts(&starts[0]).1;
    let is_its_end = |one: &Received| parts(one) == ("/sleep", run);
    let received = recorder.wait_for(1, is_its_end);
    assert!(received[0].at - starts[0].at >= Duration::from_secs(3));
    second.stop();
}

#[test]
fn a_run_that_ended_while_no_daemon_lived_is_pinged_by_the_next_one() {
    let recorder = ok();
    let world = world(&[entry(&recorder, "* * * * * *", "sleep:1500:x")]);
    let daemon = world.start();
    let starts = recorder.wait_for(1, of("/sleep/start"));
    daemon.kill();
    world.wait_empty();
    let run = parts(&starts[0]).1;
    let is_its_end = |one: &Received| parts(one) == ("/sleep", run);
    assert!(!recorder.received().iter().any(is_its_end));
    let second = world.start();
    recorder.wait_for(1, is_its_end);
    second.stop();
    assert_eq!(
        recorder.received().into_iter().filter(is_its_end).count(),
        1
    );
}

#[test]
fn a_program_that_cannot_be_started_is_pinged_as_a_failure() {
    let recorder = ok();
    let world = World::new(json!({ "cron_command": "./is-not-there" }));
    world.partition(
        "script1",
        &json!([]),
        &json!([entry(&recorder, "* * * * * *", "plain")]),
    );
    let daemon = world.start();
    let received = recorder.wait_for(1, |_| true);
    assert_eq!(parts(&received[0]).0, "/plain/fail");
    assert!(received[0].text().contains("cannot start"), "{received:?}");
    daemon.stop();
}

#[test]
fn the_daemon_is_pinged_once_it_is_ready_and_only_where_it_is_to_be() {
    let recorder = ok();
    let world = World::new(json!({ "alert": { "ping": recorder.url("/daemon") } }));
    let daemon = world.start();
    let received = recorder.wait_for(1, |_| true);
    assert_eq!(received[0].path, "/daemon");
    daemon.stop();
    let elsewhere = json!({ "url": recorder.url("/elsewhere"), "environments": ["release"] });
    let marker = recorder.url("/marker");
    let cron = json!({ "cron": "* * * * * *", "name": "c", "exec_cmd": "noop", "status": 1, "ping": marker });
    let world = World::new(json!({ "alert": { "ping": elsewhere } }));
    world.partition("script1", &json!([]), &json!([cron]));
    let daemon = world.start();
    recorder.wait_for(2, of("/marker"));
    daemon.stop();
    assert!(!recorder.received().iter().any(of("/elsewhere")));
}
