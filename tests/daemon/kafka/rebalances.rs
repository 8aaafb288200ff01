//! Partitions that go and come back while handlers run, and while records fail.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::place::{Place, properties};
use super::strangers::while_another_is_a_member;
use crate::process::Daemon;
use crate::servers::kafka::{self, Kafka};
use crate::wait::{LONG_PATIENCE, wait_until};

const EAGER: &str = "range,roundrobin";
/// Its partition goes while it runs.
const RUNS_ON: &str = "run on though their partitions went";

fn eager<'a>(server: &'a Kafka, partitions: i32, more: &Value) -> Place<'a> {
    let mut with_strategy = properties();
    with_strategy["partition.assignment.strategy"] = EAGER.into();
    let topic = server.topic(partitions);
    Place::of(server, topic, partitions, &with_strategy, more)
}

/// Each partition has a short one, a long one and a short one.
fn begin_long_runs(place: &Place<'_>, long: Duration) -> (Daemon, Vec<String>) {
    let mut all = Vec::new();
    for partition in 0..place.partitions {
        let bodies = [
            format!("before-{partition}"),
            format!("sleep:{}:{partition}", long.as_millis()),
            format!("after-{partition}"),
        ];
        place.produce_to(partition, &bodies.each_ref().map(String::as_str));
        all.extend(bodies);
    }
    let daemon = place.world.start();
    let begun = usize::try_from(place.partitions).unwrap();
    wait_until("the long ones to begin", LONG_PATIENCE, || {
        place.world.ledger_len() == begun
    });
    (daemon, all)
}

/// Answers whether the partitions went while the long ones ran.
#[track_caller]
fn each_ran_once(place: &Place<'_>, daemon: Daemon, all: &[String]) -> bool {
    place.wait_drained();
    let went = daemon.log().contains(RUNS_ON);
    daemon.stop();
    let ledger = place.world.ledger();
    assert_eq!(ledger.missing(all), [""; 0]);
    assert_eq!(ledger.lines.len(), all.len(), "{:#?}", ledger.doubled());
    for partition in 0..place.partitions {
        let of_partition = ledger
            .lines
            .iter()
            .filter(|line| super::place::place_of(line).0 == partition.to_string());
        let offsets: Vec<i64> = of_partition.map(|l| super::place::place_of(l).1).collect();
        assert_eq!(offsets, [0, 1, 2], "in their order");
    }
    went
}

#[test]
fn a_long_run_outlives_two_eager_rebalances_and_is_not_started_again() {
    let Some(server) = kafka::shared() else {
        return;
    };
    let place = eager(server, 2, &json!({}));
    let (daemon, all) = begin_long_runs(&place, Duration::from_secs(20));
    for _ in 0..2 {
        while_another_is_a_member(&place, EAGER, || ());
    }
    assert!(each_ran_once(&place, daemon, &all));
}

#[test]
fn a_long_run_outlives_a_broker_that_stands_still_and_is_not_started_again() {
    let Some(server) = Kafka::dedicated() else {
        return;
    };
    let place = Place::new(&server, 2, &json!({}));
    let (daemon, all) = begin_long_runs(&place, Duration::from_secs(30));
    server.pause();
    thread::sleep(Duration::from_secs(16));
    server.resume();
    // A race between the broker's own timer and the heartbeats that reached it meanwhile.
    let went = each_ran_once(&place, daemon, &all);
    println!("the partitions went meanwhile: {went}");
}

#[test]
fn attempts_run_out_though_a_neighbour_joins_and_leaves_all_the_while() {
    let Some(server) = kafka::shared() else {
        return;
    };
    let place = eager(server, 2, &json!({ "max_attempts": 3, "backoff": "5s" }));
    for partition in 0..2 {
        let bodies = [format!("fail:{partition}"), format!("good-{partition}")];
        place.produce_to(partition, &bodies.each_ref().map(String::as_str));
    }
    let daemon = place.world.start();
    wait_until("the first attempts", LONG_PATIENCE, || {
        place.world.ledger_len() >= 2
    });
    let deadline = Instant::now() + 2 * LONG_PATIENCE;
    let observer = place.observer();
    let mut rounds = 0;
    while place.uncommitted(&observer) > 0 {
        assert!(Instant::now() < deadline, "{}", daemon.log());
        let joined = Instant::now();
        while_another_is_a_member(&place, EAGER, || ());
        thread::sleep(Duration::from_secs(7).saturating_sub(joined.elapsed()));
        rounds += 1;
    }
    let ledger = place.world.ledger();
    for partition in 0..2 {
        let failing = ledger.attempts_of(&format!("fail:{partition}"));
        assert_eq!(failing, [1, 2, 3], "{}", daemon.log());
        assert_eq!(ledger.attempts_of(&format!("good-{partition}")), [1]);
    }
    let dead_letters = place.world.dead_letters();
    assert_eq!(dead_letters.len(), 2, "{dead_letters:#?}");
    daemon.stop();
    let left = "SELECT count(*) AS n FROM death";
    assert_eq!(place.world.database().number(left), 0, "all are forgotten");
    println!("{rounds} times another joined and left");
}

#[test]
fn attempts_go_on_where_they_were_after_a_restart() {
    let Some(server) = kafka::shared() else {
        return;
    };
    let place = Place::new(server, 1, &json!({ "max_attempts": 2, "backoff": "1s" }));
    place.produce_to(0, &["fail:a", "good"]);
    let mut daemon = place.world.start();
    daemon.wait_log("failed on attempt 1 and runs again");
    // At the latest then is it in the database.
    daemon.stop();
    let mut daemon = place.world.start();
    daemon.wait_log("failed on attempt 2 and goes to the dead letters");
    place.wait_drained();
    daemon.stop();
    let ledger = place.world.ledger();
    assert_eq!(ledger.attempts_of("fail:a"), [1, 2]);
    assert_eq!(ledger.attempts_of("good"), [1]);
    assert_eq!(place.world.dead_letters().len(), 1);
}
