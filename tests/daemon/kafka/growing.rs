//! Pools that follow the lag, seen from outside.

use serde_json::{Value, json};

use super::place::Place;
use crate::process::Daemon;
use crate::servers::kafka;
use crate::wait::{LONG_PATIENCE, PATIENCE, wait_until};

fn sizing(progress: u32, max: u32, more: &Value) -> Value {
    let mut all = json!({
        "progress": progress, "max_progress": max, "progress_lag_limit": 100, "progress_avg_msgcount": 100,
    });
    all.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    all
}

/// So that a test sees several checks: `lag_check_interval`, and a lease that exceeds it.
fn often(place: &Place<'_>) {
    let path = place.world.path("etc/dev.json");
    let mut settings: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    settings["lag_check_interval"] = "1s".into();
    settings["consumer_lease"] = "6s".into();
    settings["logger"] = json!({ "level": "debug" });
    place.world.etc("dev.json", &settings);
}

/// Lines of the log with this text.
fn said(daemon: &Daemon, text: &str) -> Vec<String> {
    let log = daemon.log();
    let lines = log.lines().filter(|line| line.contains(text));
    lines.map(str::to_owned).collect()
}

/// How often the group shared out its partitions anew, by the broker.
pub fn generations(place: &Place<'_>) -> usize {
    let stabilized = format!("Stabilized group {} generation", place.group);
    place.server.log().matches(&stabilized).count()
}

#[test]
fn a_pool_grows_and_shrinks_and_its_group_does_not_notice() {
    let Some(server) = kafka::shared() else {
        return;
    };
    let place = Place::new(server, 12, &sizing(2, 10, &json!({})));
    often(&place);
    let bodies: Vec<String> = (0..6000).map(|n| format!("sleep:5:{n}")).collect();
    place.produce(&bodies);
    let mut daemon = place.world.start();
    daemon.wait_log("grows from 2 to 10 consumers");
    let before = generations(&place);
    assert_eq!(before, 1, "the group has begun: {}", server.log());
    place.wait_drained();
    wait_until("the pool to shrink", PATIENCE, || {
        let shrunk = said(&daemon, "shrinks from");
        shrunk.iter().any(|line| line.contains("to 2 consumers"))
    });
    assert_eq!(generations(&place), before, "the group did not notice");
    let ledger = place.world.ledger();
    assert_eq!(ledger.missing(&bodies), [""; 0]);
    assert!(ledger.doubled().is_empty());
    for (partition, offsets) in super::place::first_runs(&ledger) {
        assert!(offsets.is_sorted(), "partition {partition} was reordered");
    }
    daemon.stop();
}

#[test]
fn one_stuck_partition_gives_the_size_of_the_formula_without_flapping() {
    let Some(server) = kafka::shared() else {
        return;
    };
    let place = Place::new(server, 8, &sizing(2, 8, &json!({})));
    often(&place);
    place.produce_to(3, &["hang:stuck"]);
    // Its lag of 351 asks for 2 + 3.
    let behind: Vec<String> = (0..350).map(|n| format!("behind-{n}")).collect();
    place.produce_to(3, &behind.iter().map(String::as_str).collect::<Vec<_>>());
    let daemon = place.world.start();
    wait_until("six checks", LONG_PATIENCE, || {
        said(&daemon, "has a lag of 351").len() >= 6
    });
    let grown = said(&daemon, "grows from");
    assert_eq!(grown.len(), 1, "{grown:?}");
    assert!(
        grown[0].contains("grows from 2 to 5 consumers"),
        "{grown:?}"
    );
    assert_eq!(said(&daemon, "shrinks from"), [""; 0]);
    // The others go on.
    place.produce_to(5, &["other"]);
    wait_until("another partition's record", PATIENCE, || {
        place.world.ledger().of_body("other").len() == 1
    });
}

#[test]
fn there_are_no_more_consumers_than_partitions() {
    let Some(server) = kafka::shared() else {
        return;
    };
    let place = Place::new(server, 3, &sizing(2, 10, &json!({})));
    often(&place);
    let bodies: Vec<String> = (0..3000).map(|n| format!("sleep:5:{n}")).collect();
    place.produce(&bodies);
    let mut daemon = place.world.start();
    daemon.wait_log("grows from 2 to 3 consumers");
    place.wait_drained();
    daemon.stop();
}
