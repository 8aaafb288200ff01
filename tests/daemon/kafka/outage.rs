//! Brokers and topics that are away: each is two lines of the log, and over by itself.

use serde_json::{Value, json};

use super::place::{Place, properties};
use crate::process::Daemon;
use crate::servers::kafka::{self, Kafka};
use crate::wait::{LONG_PATIENCE, PATIENCE, wait_until};

fn said(daemon: &Daemon, text: &str) -> usize {
    daemon.log().matches(text).count()
}

#[track_caller]
fn has_run(place: &Place<'_>, body: &str) {
    wait_until(body, LONG_PATIENCE, || {
        !place.world.ledger().of_body(body).is_empty()
    });
}

const AWAY: &str = "Kafka `default` is away";
const BACK: &str = "Kafka `default` is back";

#[test]
fn a_broker_that_is_away_comes_back_and_nothing_is_lost() {
    let Some(server) = Kafka::dedicated() else {
        return;
    };
    let place = Place::new(&server, 4, &json!({}));
    place.produce(&["before".to_owned()]);
    // At the start.
    server.kill();
    let mut daemon = place.world.start();
    daemon.wait_log(AWAY);
    server.start();
    has_run(&place, "before");
    daemon.wait_log(BACK);
    assert_eq!(
        (said(&daemon, AWAY), said(&daemon, BACK)),
        (1, 1),
        "{}",
        daemon.log()
    );

    // In the middle of work.
    let bodies: Vec<String> = (0..2000).map(|n| format!("sleep:2:{n}")).collect();
    place.produce(&bodies);
    wait_until("work to flow", PATIENCE, || place.world.ledger_len() > 200);
    server.kill();
    wait_until("the second line", PATIENCE, || said(&daemon, AWAY) == 2);
    server.start();
    wait_until("the fourth line", PATIENCE, || said(&daemon, BACK) == 2);
    place.wait_drained();
    assert_eq!(place.world.ledger().missing(&bodies), [""; 0]);
    assert_eq!(
        (said(&daemon, AWAY), said(&daemon, BACK)),
        (2, 2),
        "{}",
        daemon.log()
    );

    // It hangs, and a stop does not wait for it longer than it may.
    place.produce(&["after".to_owned()]);
    has_run(&place, "after");
    server.pause();
    daemon.signal(rustix::process::Signal::TERM);
    let (_, took) = daemon.wait_end(PATIENCE);
    assert!(took < std::time::Duration::from_secs(25), "{took:?}");
    server.resume();
}

#[test]
fn topics_that_come_and_go_and_grow_are_followed() {
    let Some(server) = kafka::shared() else {
        return;
    };
    let topic = server.name();
    let mut place = Place::of(server, topic, 2, &properties(), &json!({}));
    let mut daemon = place.world.start();
    let missing = "the cluster has no such topic";
    daemon.wait_log(missing);
    server.create_topic(&place.topic, 2);
    place.produce(&["first".to_owned()]);
    has_run(&place, "first");
    let back = format!(
        "topic `{}` for group `{}` is back",
        place.topic, place.group
    );
    wait_until("the second line", PATIENCE, || said(&daemon, &back) == 1);
    assert_eq!(said(&daemon, missing), 1, "{}", daemon.log());

    // More partitions: their first records are not skipped.
    server.add_partitions(&place.topic, 4);
    place.partitions = 4;
    place.produce_to(3, &["added"]);
    has_run(&place, "added");
    place.wait_drained();

    // Deleted, and made again with the same name.
    server.delete_topic(&place.topic);
    wait_until("the topic to be missed", PATIENCE, || {
        said(&daemon, missing) == 2
    });
    server.create_topic(&place.topic, 4);
    place.produce(&["again".to_owned()]);
    has_run(&place, "again");
    wait_until("the last line", PATIENCE, || said(&daemon, &back) == 2);
    daemon.stop();
}

#[test]
fn while_the_lag_cannot_be_read_the_pool_keeps_its_size() {
    let Some(server) = Kafka::dedicated() else {
        return;
    };
    let sizing = json!({
        "progress": 1, "max_progress": 4, "progress_lag_limit": 10, "progress_avg_msgcount": 10,
    });
    let place = Place::new(&server, 4, &sizing);
    let path = place.world.path("etc/dev.json");
    let mut settings: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    settings["lag_check_interval"] = "1s".into();
    settings["logger"] = json!({ "level": "debug" });
    // Longer than a check in vain takes.
    settings["consumer_lease"] = "30s".into();
    place.world.etc("dev.json", &settings);
    // Each consumer has one that hangs: the lag stays.
    place.produce(&(0..4).map(|n| format!("hang:{n}")).collect::<Vec<_>>());
    place.produce(&(0..200).map(|n| format!("behind-{n}")).collect::<Vec<_>>());
    let mut daemon = place.world.start();
    daemon.wait_log("grows from 1 to 4 consumers");
    server.kill();
    wait_until("several checks in vain", PATIENCE, || {
        said(&daemon, "the lag cannot be read") + said(&daemon, "did not report its lag") >= 2
    });
    assert_eq!(said(&daemon, "shrinks from"), 0, "{}", daemon.log());
}
