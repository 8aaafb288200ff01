//! A hundred thousand messages, and a daemon that is ended ten times while it works.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{List, shared_world};
use crate::ledger::Ledger;
use crate::process::Daemon;
use crate::wait::{LONG_PATIENCE, PATIENCE, random_moment, wait_until};
use crate::world::World;

const MESSAGES: usize = 100_000;
const ENDS: usize = 10;
/// The longest time between reading the ledger and each end.
const LONGEST_MOMENT: Duration = Duration::from_millis(150);

/// Handlers take nothing, or one or two milliseconds.
fn bodies() -> Vec<String> {
    let body = |n: usize| match n % 3 {
        0 => format!("plain-{n}"),
        ms => format!("sleep:{ms}:{n}"),
    };
    (0..MESSAGES).map(body).collect()
}

/// Starts the daemon again and again, and ends it each time after new lines were seen in the ledger.
fn work_through(
    world: &World,
    list: &mut List,
    bodies: &[String],
    mut end: impl FnMut(Daemon, &mut List),
) {
    list.push(bodies);
    for round in 1..=ENDS {
        let daemon = world.start();
        let wanted = (MESSAGES * round / (ENDS + 2)).max(world.ledger_len() + 1);
        wait_until("new lines in the ledger", LONG_PATIENCE, || {
            world.ledger_len() >= wanted
        });
        random_moment(LONGEST_MOMENT);
        end(daemon, list);
    }
    assert!(
        !list.is_empty(),
        "all was done before the last end, which therefore showed nothing"
    );
    let daemon = world.start();
    list.wait_empty();
    daemon.stop();
    wait_until("nothing of ours to be left", PATIENCE, || {
        list.keys().is_empty()
    });
    world.wait_empty();
}

/// How often each body ran.
fn runs(ledger: &Ledger) -> BTreeMap<&str, usize> {
    let mut runs = BTreeMap::new();
    for line in &ledger.lines {
        *runs.entry(line.body.as_str()).or_default() += 1;
    }
    runs
}

fn nothing_is_lost_or_charged(world: &World, ledger: &Ledger, bodies: &[String]) {
    assert_eq!(ledger.missing(bodies), [""; 0]);
    assert!(
        world.dead_letters().is_empty(),
        "{:?}",
        world.dead_letters()
    );
    let counted = ledger.lines.iter().find(|line| line.attempt != 1);
    assert!(counted.is_none(), "an attempt was counted: {counted:?}");
}

#[test]
fn ten_kills_lose_nothing_and_repeat_only_what_was_in_flight() {
    let Some((world, mut list)) = shared_world(json!({ "progress": 16 })) else {
        return;
    };
    let (bodies, begun) = (bodies(), Instant::now());
    // What the server still has for a dead daemon is what was in flight; how often each message was.
    let mut in_flight: BTreeMap<String, usize> = BTreeMap::new();
    work_through(&world, &mut list, &bodies, |daemon, list| {
        daemon.kill();
        for id in list.taken() {
            *in_flight.entry(id).or_default() += 1;
        }
    });
    let ledger = world.ledger();
    nothing_is_lost_or_charged(&world, &ledger, &bodies);
    let doubled = ledger.doubled();
    for runs in &doubled {
        let kills = in_flight.get(runs[0].id.as_str().unwrap());
        let kills =
            *kills.unwrap_or_else(|| panic!("ran twice, and was never in flight: {runs:#?}"));
        assert!(runs.len() <= 1 + kills, "{kills} kills: {runs:#?}");
    }
    let by_body = runs(&ledger).values().filter(|runs| **runs > 1).count();
    assert_eq!(by_body, doubled.len(), "a message keeps its name");
    println!(
        "{ENDS} kills in {:.0?}: {} runs of {MESSAGES} messages; {} were in flight at a kill, {} of them ran more than once",
        begun.elapsed(),
        ledger.lines.len(),
        in_flight.len(),
        doubled.len()
    );
}

#[test]
fn ten_stops_lose_nothing_and_double_nothing() {
    let Some((world, mut list)) = shared_world(json!({ "progress": 16 })) else {
        return;
    };
    let (bodies, begun) = (bodies(), Instant::now());
    let mut longest = Duration::ZERO;
    work_through(&world, &mut list, &bodies, |daemon, _| {
        longest = longest.max(daemon.stop())
    });
    let ledger = world.ledger();
    nothing_is_lost_or_charged(&world, &ledger, &bodies);
    let doubled = runs(&ledger).into_iter().find(|(_, runs)| *runs > 1);
    assert_eq!(doubled, None);
    assert_eq!(ledger.lines.len(), MESSAGES);
    println!(
        "{ENDS} stops in {:.0?}: {} runs of {MESSAGES} messages, the longest stop {longest:?}",
        begun.elapsed(),
        ledger.lines.len()
    );
}
