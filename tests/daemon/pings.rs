//! Dead man's switches: what is called when a run starts and ends, and while the daemon lives.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::engine::{Engine, on_each_database};
use crate::process::signal_pid;
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

on_each_database! { bare_world =>
    each_run_of_a_dead_daemon_is_pinged_once_by_the_next_ones,
}

fn bare_world(engine: Engine) -> Option<World> {
    World::on(engine, json!({ "heartbeat_interval": "300ms" }))
}

/// One ends while no daemon lives, one is killed then, and one goes on in the lives of the next two.
fn each_run_of_a_dead_daemon_is_pinged_once_by_the_next_ones(world: World) {
    let recorder = ok();
    let names = ["ends", "killed", "lives"];
    let entries = [3_000, 600_000, 15_000].into_iter().zip(names);
    let entries = entries.map(|(ms, name)| {
        json!({ "cron": "* * * * * *", "name": name, "exec_cmd": "ledger", "params": format!("sleep:{ms}:x"), "status": 1,
            "overlap": "forbid", "ping": recorder.url(&format!("/{name}")) })
    });
    world.partition("script1", &json!([]), &json!(entries.collect::<Vec<_>>()));
    let mut daemon = world.start();
    let runs = names.map(|name| {
        let starts = recorder.wait_for(1, of(&format!("/{name}/start")));
        parts(&starts[0]).1.to_owned()
    });
    let pids = names.map(|name| {
        let fired = format!("cron `{name}` fired, pid ");
        let log = daemon.wait_log(&fired);
        let pid = log.split(&fired).nth(1).unwrap();
        pid.split(':').next().unwrap().parse::<u32>().unwrap()
    });
    daemon.kill();
    signal_pid(pids[1], Signal::KILL);
    wait_until("the end of two runs", PATIENCE, || {
        let mut ended = pids[..2].iter();
        ended.all(|pid| !std::fs::exists(format!("/proc/{pid}")).unwrap())
    });
    let next = [world.start(), world.start()];
    for (end, run, words) in [
        ("/ends", &runs[0], ""),
        ("/killed/fail", &runs[1], "lost: "),
        ("/lives", &runs[2], ""),
    ] {
        let received = recorder.wait_for(1, |one| parts(one) == (end, run.as_str()));
        assert!(received[0].text().starts_with(words), "{received:?}");
    }
    for daemon in next {
        daemon.stop();
    }
    for run in &runs {
        let all = recorder.received();
        let of_run: Vec<&str> = all
            .iter()
            .map(parts)
            .filter_map(|(path, of)| (of == run).then_some(path))
            .collect();
        assert_eq!(of_run.len(), 2, "its start and its end: {of_run:?}");
    }
}

#[test]
fn a_run_that_exceeds_its_timeout_is_pinged_as_a_failure() {
    let recorder = ok();
    let mut entry = entry(&recorder, "* * * * * *", "sleep:600000:x");
    entry["timeout"] = json!("1s");
    let world = world(&[entry]);
    let daemon = world.start();
    let received = recorder.wait_for(1, of("/sleep/fail"));
    assert!(received[0].text().starts_with("timeout: "), "{received:?}");
    daemon.stop();
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
