//! Two daemons of two machines, which share a list and nothing else: each world has a directory and a database of its own.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use super::{List, entry, settings};
use crate::process::wait_stopped;
use crate::servers::redis::shared;
use crate::wait::{LONG_PATIENCE, PATIENCE, now_us, wait_until};
use crate::world::World;

const MESSAGES: usize = 5000;
const CONSUMERS: usize = 4;
/// Three missed heartbeats of 300 ms, found out at another's next one.
const HEARTBEATS: Duration = Duration::from_millis(300 * 3);
/// What ran twice was in flight at the silence: its first run is at most so old then (microseconds).
const IN_FLIGHT_US: i64 = 1_000_000;

fn two_worlds() -> Option<([World; 2], List)> {
    let server = shared()?;
    let list = List::on(server, server.key());
    let world = || {
        let world = World::new(settings(server));
        let entry = entry(&list.key, json!({ "progress": CONSUMERS }));
        world.partition("script1", &json!([entry]), &json!([]));
        world
    };
    Some(([world(), world()], list))
}

fn bodies() -> Vec<String> {
    let body = |n: usize| match n % 2 {
        0 => format!("plain-{n}"),
        _ => format!("sleep:2:{n}"),
    };
    (0..MESSAGES).map(body).collect()
}

#[test]
fn two_machines_share_a_list_and_run_nothing_twice() {
    let Some((worlds, mut list)) = two_worlds() else {
        return;
    };
    let daemons = worlds.each_ref().map(World::start);
    let bodies = bodies();
    for portion in bodies.chunks(500) {
        list.push(portion);
    }
    list.wait_empty();
    for daemon in daemons {
        daemon.stop();
    }
    let mut ran: Vec<String> = Vec::new();
    for world in &worlds {
        let ledger = world.ledger();
        assert!(!ledger.lines.is_empty(), "each had a share");
        ran.extend(ledger.lines.into_iter().map(|line| line.body));
    }
    ran.sort();
    let mut wanted = bodies.clone();
    wanted.sort();
    assert_eq!(ran, wanted);
    assert_eq!(list.keys(), [""; 0]);
}

#[test]
fn what_a_dead_machine_held_is_released_after_three_heartbeats() {
    let Some(([one, other], mut list)) = two_worlds() else {
        return;
    };
    let first = one.start();
    let hanging: Vec<String> = (0..CONSUMERS).map(|n| format!("hang:{n}")).collect();
    list.push(&hanging);
    wait_until("all to hang", PATIENCE, || one.ledger_len() == CONSUMERS);
    let second = other.start();
    // Nobody judges before its own heartbeats have held for as long.
    let steady = Instant::now();
    wait_until("steady heartbeats", PATIENCE, || {
        steady.elapsed() > HEARTBEATS * 2
    });
    assert_eq!(other.ledger_len(), 0, "nothing is taken from the living");
    first.kill();
    wait_until("the other to take over", PATIENCE, || {
        other.ledger_len() == CONSUMERS
    });
    for body in &hanging {
        assert_eq!(
            other.ledger().attempts_of(body),
            [1],
            "a kill is no attempt"
        );
    }
    drop(second);
}

#[test]
fn a_machine_that_falls_silent_starts_nothing_that_the_other_has_taken_over() {
    let Some(([one, other], mut list)) = two_worlds() else {
        return;
    };
    let bodies: Vec<String> = (0..2000).map(|n| format!("sleep:10:{n}")).collect();
    let silent = one.start();
    list.push(&bodies);
    wait_until("work to flow", PATIENCE, || one.ledger_len() > 200);
    let from_us = now_us();
    silent.signal(Signal::STOP);
    wait_stopped(silent.pid());
    let ran_before = one.ledger_len();
    let second = other.start();
    list.wait_empty();
    silent.signal(Signal::CONT);
    let marker = vec!["plain-marker".to_owned(); 50];
    wait_until("the silent one to work again", LONG_PATIENCE, || {
        list.push(&marker);
        list.wait_empty();
        one.ledger().of_body("plain-marker").len() > 1
    });
    silent.stop();
    second.stop();
    let (first, second) = (one.ledger(), other.ledger());
    let mut ran: BTreeSet<&str> = BTreeSet::new();
    let mut twice = 0;
    ran.extend(second.lines.iter().map(|line| line.body.as_str()));
    for line in first
        .lines
        .iter()
        .filter(|line| line.body != "plain-marker")
    {
        if !ran.insert(&line.body) {
            twice += 1;
            let before = line.at_us >= from_us - IN_FLIGHT_US;
            assert!(before, "it had ended long before the silence: {line:?}");
        }
    }
    let missing: Vec<&String> = bodies
        .iter()
        .filter(|body| !ran.contains(body.as_str()))
        .collect();
    assert_eq!(missing, [""; 0]);
    // After the silence it ends what ran, one for each consumer, and nothing more.
    let after = first.lines[ran_before..]
        .iter()
        .filter(|line| line.body != "plain-marker");
    let after: Vec<_> = after.collect();
    assert!(after.len() <= CONSUMERS, "{after:#?}");
    println!(
        "{twice} of {} ran twice, {} ended after the silence",
        bodies.len(),
        after.len()
    );
}
