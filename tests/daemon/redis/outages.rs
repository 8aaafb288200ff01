//! A server that is away, hangs, crashes, or is no server for us: what the daemon logs about it.

use std::time::Duration;

use serde_json::json;

use super::{List, entry, settings};
use crate::process::Daemon;
use crate::servers::redis::Redis;
use crate::wait::{LONG_PATIENCE, PATIENCE, wait_until};
use crate::world::World;

/// Consumers of the pool: each of them meets the outage, and one logs it.
const CONSUMERS: u32 = 5;

fn dedicated_world() -> Option<(Redis, World, List)> {
    let server = Redis::dedicated()?;
    let list = List::on(&server, server.key());
    let world = World::new(settings(&server));
    let entry = entry(&list.key, json!({ "progress": CONSUMERS }));
    world.partition("script1", &json!([entry]), &json!([]));
    Some((server, world, list))
}

/// Lines at warn and error.
fn complaints(log: &str) -> Vec<&str> {
    log.lines()
        .filter(|line| line.contains("WARN") || line.contains("ERROR"))
        .collect()
}

fn lines<'a>(log: &'a str, text: &str) -> Vec<&'a str> {
    log.lines().filter(|line| line.contains(text)).collect()
}

fn bodies(from: usize, n: usize) -> Vec<String> {
    (from..from + n).map(|n| format!("plain-{n}")).collect()
}

#[test]
fn a_server_that_is_away_at_the_start_and_hangs_later_is_two_lines_each_time() {
    let Some((server, world, _)) = dedicated_world() else {
        return;
    };
    server.kill();
    let mut daemon = world.start();
    daemon.wait_log("redis `default` is away");
    server.start();
    let mut list = List::on(&server, "test_0".to_owned());
    daemon.wait_log("redis `default` is back after");
    list.push(&bodies(0, 1000));
    list.wait_empty();
    let first = complaints(&daemon.log()).len();
    assert_eq!(first, 1, "{}", daemon.log());

    server.pause();
    wait_until("the second outage", PATIENCE, || {
        lines(&daemon.log(), "redis `default` is away").len() == 2
    });
    server.resume();
    list.push(&bodies(1000, 1000));
    list.wait_empty();
    wait_until("all to run", LONG_PATIENCE, || world.ledger_len() >= 2000);
    let log = daemon.log();
    assert_eq!(lines(&log, "redis `default` is away").len(), 2, "{log}");
    assert_eq!(
        lines(&log, "redis `default` is back after").len(),
        2,
        "{log}"
    );
    let others = complaints(&log);
    let expected = |line: &&&str| {
        line.contains("is away")
            || line.contains("is still away")
            || line.contains("silent for too long")
            || line.contains("had taken over")
    };
    assert_eq!(
        others.iter().filter(|line| !expected(line)).count(),
        0,
        "{log}"
    );
    daemon.stop();
    assert_eq!(world.ledger().missing(&bodies(0, 2000)), [""; 0]);
}

#[test]
fn a_server_that_crashes_under_load_and_comes_back_empty_is_worked_on_and_reported() {
    let Some((server, world, mut list)) = dedicated_world() else {
        return;
    };
    let slow: Vec<String> = (0..2000).map(|n| format!("sleep:5:{n}")).collect();
    list.push(&slow);
    let mut daemon = world.start();
    wait_until("work to flow", PATIENCE, || world.ledger_len() > 100);
    server.kill();
    daemon.wait_log("redis `default` is away");
    server.start();
    let said = daemon.wait_log("has lost its data");
    assert!(said.contains("queue `work`"), "{said}");
    let mut list = List::on(&server, list.key);
    list.push(&bodies(0, 100));
    list.wait_empty();
    daemon.stop();
    assert_eq!(world.ledger().missing(&bodies(0, 100)), [""; 0]);
}

/// A daemon that the server's snapshot knows, and nothing that it takes from here on.
fn snapshot(world: &World, list: &mut List) -> Daemon {
    let daemon = world.start();
    list.push(&bodies(0, 1));
    list.wait_empty();
    let _: () = list.ask(&["SAVE"]);
    daemon
}

#[test]
fn a_message_that_runs_while_the_server_goes_back_to_an_older_state_is_tried_again() {
    let Some((server, world, mut list)) = dedicated_world() else {
        return;
    };
    let more = json!({ "timeout": "3s", "backoff": "100ms", "max_attempts": 2 });
    world.partition("script1", &json!([entry(&list.key, more)]), &json!([]));
    let mut daemon = snapshot(&world, &mut list);
    list.push(&["hang:x".to_owned()]);
    list.wait_sent();
    // What the daemon receives behind it shows that it has received it.
    list.push(&bodies(1, 1));
    wait_until("what was pushed next to end", PATIENCE, || {
        world.ledger_len() == 2 && list.taken().len() == 1
    });
    server.kill();
    server.start();
    let said = daemon.wait_log("is back at an older state");
    assert!(
        said.contains("the 1 messages that this daemon held"),
        "{said}"
    );
    wait_until("the dead letter", LONG_PATIENCE, || {
        world.dead_letters().len() == 1
    });
    let log = daemon.log();
    assert!(!log.contains("had taken over"), "{log}");
    daemon.stop();
}

#[test]
fn a_stop_after_a_crash_to_an_older_state_loses_nothing_that_was_taken() {
    let Some((server, world, mut list)) = dedicated_world() else {
        return;
    };
    let mut daemon = snapshot(&world, &mut list);
    let slow: Vec<String> = (0..300).map(|n| format!("sleep:20:{n}")).collect();
    list.push(&slow);
    list.wait_sent();
    let done = world.ledger_len();
    // Its consumers go on, and so it has received what it was sent.
    wait_until("more to be done", PATIENCE, || {
        world.ledger_len() >= done + 2 * CONSUMERS as usize
    });
    assert!(world.ledger_len() < 290, "most was done already");
    server.kill();
    server.start();
    daemon.signal(rustix::process::Signal::TERM);
    let (status, _) = daemon.wait_end(PATIENCE);
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    let mut list = List::on(&server, list.key);
    let next = world.start();
    list.wait_empty();
    next.stop();
    assert_eq!(world.ledger().missing(&slow), [""; 0], "{}", daemon.log());
}

#[test]
fn a_stop_while_the_server_is_away_ends_in_time_and_logs_what_it_could_not_write() {
    let Some((server, world, mut list)) = dedicated_world() else {
        return;
    };
    list.push(&bodies(0, 10));
    let mut daemon = world.start();
    list.wait_empty();
    server.kill();
    daemon.wait_log("redis `default` is away");
    daemon.signal(rustix::process::Signal::TERM);
    let (status, took) = daemon.wait_end(PATIENCE);
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    assert!(took < Duration::from_secs(25), "{took:?}");
    assert!(
        daemon.log().contains("its server is away"),
        "{}",
        daemon.log()
    );
}

#[test]
fn a_key_of_another_type_is_this_queues_own_trouble_with_its_remedy() {
    let Some((server, world, mut list)) = dedicated_world() else {
        return;
    };
    let other = entry("other", json!({ "name": "other" }));
    let work = entry(&list.key, json!({}));
    world.partition("script1", &json!([work, other]), &json!([]));
    let _: () = list.ask(&["SET", "other", "text"]);
    let mut daemon = world.start();
    let said = daemon.wait_log("WRONGTYPE");
    assert!(
        said.contains("queue `other`") && said.contains("choose another `key`"),
        "{said}"
    );
    list.push(&bodies(0, 100));
    list.wait_empty();
    let _: u64 = list.ask(&["DEL", "other"]);
    let mut other = List::on(&server, "other".to_owned());
    other.push(&bodies(100, 10));
    other.wait_empty();
    daemon.wait_log("queue `other` is back after");
    let log = daemon.log();
    assert_eq!(lines(&log, "queue `other` is away").len(), 1, "{log}");
    daemon.stop();
    assert_eq!(world.ledger().missing(&bodies(0, 110)), [""; 0]);
}

#[test]
fn a_cluster_a_replica_and_a_server_that_wants_a_password_are_reported_with_their_remedy() {
    let Some((server, world, mut list)) = dedicated_world() else {
        return;
    };
    let _: () = list.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    let mut daemon = world.start();
    daemon.wait_log("`url` must name the primary");
    let _: () = list.ask(&["REPLICAOF", "NO", "ONE"]);
    daemon.wait_log("redis `default` is back after");
    daemon.stop();

    let _: () = list.ask(&["CONFIG", "SET", "requirepass", "secret"]);
    let mut daemon = world.start();
    daemon.wait_log("it wants a password");
    daemon.stop();
    drop(server);
}
