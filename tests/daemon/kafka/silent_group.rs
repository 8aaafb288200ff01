//! Groups that give the daemon nothing, and brokers that are not where they claim: logged once with the likely reason,
//! in the log and by `check --online`.

use std::time::Duration;

use serde_json::json;

use super::place::{Place, properties};
use crate::process::Daemon;
use crate::servers::kafka::{Kafka, Outside};
use crate::wait::{LONG_PATIENCE, wait_for, wait_until};

const SILENT: &str = "the group has given us no partitions for";

fn wait_line(daemon: &Daemon, text: &str) -> String {
    wait_for(&format!("`{text}` in the log"), LONG_PATIENCE, || {
        let log = daemon.log();
        log.lines()
            .find(|line| line.contains(text))
            .map(str::to_owned)
    })
}

/// `check --online` must not find all well; returns its output.
#[track_caller]
fn check_online(place: &Place<'_>) -> String {
    let output = place.world.run(&["check", "--online"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

#[test]
fn a_group_without_a_coordinator_is_reported_and_joined_when_there_is_one() {
    // One broker, as somebody's first cluster has.
    let server = Kafka::mended_later(
        "offsets.topic.replication.factor=3\n",
        "offsets.topic.replication.factor=1",
    );
    let Some(server) = server else { return };
    let place = Place::new(&server, 2, &json!({}));
    place.produce(&["waits".to_owned()]);
    let said = check_online(&place);
    assert!(
        said.contains("reached, but NOT READY: brokers: 1"),
        "{said}"
    );
    assert!(
        said.contains("`offsets.topic.replication.factor`"),
        "{said}"
    );
    let daemon = place.world.start();
    let line = wait_line(&daemon, SILENT);
    assert!(
        line.contains("`offsets.topic.replication.factor`"),
        "{line}"
    );
    server.kill();
    server.start();
    place.wait_drained();
    let back = format!(
        "topic `{}` for group `{}` is back",
        place.topic, place.group
    );
    wait_line(&daemon, &back);
    let log = daemon.log();
    let lines = (log.matches(SILENT).count(), log.matches(&back).count());
    assert_eq!(lines, (1, 1), "{log}");
    assert!(place.world.run(&["check", "--online"]).status.success());
    daemon.stop();
}

#[test]
fn an_advertised_address_that_cannot_be_reached_is_reported() {
    // Where nobody listens.
    let outside = Outside {
        advertised: "127.0.0.1:1".to_owned(),
        ..Outside::new("PLAINTEXT")
    };
    let address = outside.address.clone();
    let Some(server) = Kafka::with_outside(outside, "") else {
        return;
    };
    let place = Place::new(&server, 2, &json!({}));
    place.reach_by(&address, &json!({}));
    let said = check_online(&place);
    // Named by the metadata, or by librdkafka, which may ask for them at this address already.
    let is_named =
        |line: &str| line.contains("`advertised.listeners`") && line.contains("127.0.0.1:1");
    assert!(said.lines().any(is_named), "{said}");
    let daemon = place.world.start();
    let line = wait_line(&daemon, SILENT);
    assert!(is_named(&line), "{line}");
}

#[test]
fn a_cluster_that_was_reached_and_lacks_a_topic_is_not_reported_to_be_away() {
    let Some(server) = crate::servers::kafka::shared() else {
        return;
    };
    let place = Place::of(server, server.name(), 2, &properties(), &json!({}));
    let said = check_online(&place);
    assert!(!said.contains("NOT REACHED"), "{said}");
    assert!(
        said.contains("reached, but NOT READY: brokers: 1"),
        "{said}"
    );
    let queue = format!(
        "queue `work`, `{}`: NOT READY: the cluster has no such topic",
        place.topic
    );
    assert!(said.contains(&queue), "{said}");
}

/// librdkafka itself notices it after a minute.
#[test]
fn a_broker_that_hangs_is_reported_within_seconds_and_the_outage_counts_from_its_last_answer() {
    let Some(server) = Kafka::dedicated() else {
        return;
    };
    let place = Place::new(&server, 2, &json!({}));
    place.produce(&["before".to_owned()]);
    let daemon = place.world.start();
    place.wait_drained();
    server.pause();
    let paused = std::time::Instant::now();
    wait_line(&daemon, "Kafka `default` is away");
    let said_after = paused.elapsed();
    server.resume();
    wait_line(&daemon, "Kafka `default` is back");
    assert!(said_after < Duration::from_secs(45), "{said_after:?}");
    println!("said after {said_after:?}");
    place.produce(&["after".to_owned()]);
    wait_until("the next record", LONG_PATIENCE, || {
        !place.world.ledger().of_body("after").is_empty()
    });
    let log = daemon.log();
    let lines =
        ["is away", "is back"].map(|text| log.matches(&format!("Kafka `default` {text}")).count());
    assert_eq!(lines, [1, 1], "{log}");
    daemon.stop();
}

/// The lag is asked for when the daemon starts; what hangs then holds up nothing.
#[test]
fn a_stop_with_brokers_that_hang_ends_by_its_deadline_and_names_no_position_that_was_taken() {
    let Some(server) = Kafka::dedicated() else {
        return;
    };
    let place = Place::new(&server, 2, &json!({}));
    place.produce(&["before".to_owned()]);
    let mut settings = place.settings();
    settings["lag_check_interval"] = "1s".into();
    settings["shutdown_deadline"] = 8.into();
    place.world.etc("dev.json", &settings);
    let mut daemon = place.world.start();
    place.wait_drained();
    server.pause();
    // By then a question for the lag is under way, which is given up after half a minute.
    wait_line(&daemon, "Kafka `default` is away");
    daemon.signal(rustix::process::Signal::TERM);
    let (status, took) = daemon.wait_end(LONG_PATIENCE);
    println!("ended after {took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}: {}", daemon.log());
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    assert!(!daemon.log().contains("did not take"), "{}", daemon.log());
    server.resume();
}
