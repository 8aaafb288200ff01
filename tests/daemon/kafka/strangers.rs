//! Groups with members of other programs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use serde_json::json;

use super::place::{Place, properties};
use crate::servers::kafka;
use crate::servers::kafka_go::KafkaGo;
use crate::wait::{LONG_PATIENCE, PATIENCE, wait_until};

/// Another program's member, which does nothing with what it is given.
pub fn while_another_is_a_member<T>(
    place: &Place<'_>,
    strategy: &str,
    work: impl FnOnce() -> T,
) -> T {
    let mut config = place.server.client();
    config
        .set("group.id", &place.group)
        .set("session.timeout.ms", "3000")
        .set("enable.auto.commit", "false")
        .set("partition.assignment.strategy", strategy);
    let other: BaseConsumer = config.create().unwrap();
    other.subscribe(&[&place.topic]).unwrap();
    let done = AtomicBool::new(false);
    let has_some = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                drop(other.poll(Duration::from_millis(50)));
                let count = other.assignment().map_or(0, |assigned| assigned.count());
                has_some.fetch_or(count > 0, Ordering::Relaxed);
            }
            drop(other);
        });
        wait_until("another to be a member", PATIENCE, || {
            has_some.load(Ordering::Relaxed)
        });
        let worked = work();
        done.store(true, Ordering::Relaxed);
        worked
    })
}

#[test]
fn a_group_with_another_strategy_is_reported_with_its_remedy_and_joined_when_it_is_free() {
    let Some(server) = kafka::shared() else {
        return;
    };
    let place = Place::new(server, 2, &json!({}));
    place.produce(&["a".to_owned(), "b".to_owned()]);
    let daemon = while_another_is_a_member(&place, "range", || {
        let mut daemon = place.world.start();
        let line = daemon.wait_log("share out partitions by another strategy");
        assert!(line.contains("range,roundrobin"), "{line}");
        daemon
    });
    place.wait_drained();
    assert_eq!(
        daemon.log().matches("by another strategy").count(),
        1,
        "{}",
        daemon.log()
    );
    daemon.stop();
}

#[test]
fn with_the_strategies_of_other_programs_a_group_is_shared_with_them() {
    let Some(server) = kafka::shared() else {
        return;
    };
    let mut with_strategy = properties();
    with_strategy["partition.assignment.strategy"] = "range,roundrobin".into();
    let topic = server.topic(4);
    let place = Place::of(server, topic, 4, &with_strategy, &json!({}));
    while_another_is_a_member(&place, "range,roundrobin", || {
        let mut daemon = place.world.start();
        daemon.wait_log("has 2 partitions");
        place.produce(&(0..8).map(|n| n.to_string()).collect::<Vec<_>>());
        wait_until("its half of the records", LONG_PATIENCE, || {
            place.world.ledger_len() == 4
        });
        daemon.stop();
    });
}

/// The client of the Go project itself. It and librdkafka do not read each other's applications to a group's leader: one of
/// kafka-go's that leads gives up and leaves, and librdkafka as the leader gives it nothing.
#[test]
fn a_group_of_kafka_go_is_taken_over_whole_and_left_to_them_when_the_daemon_leaves() {
    let Some(server) = kafka::shared() else {
        return;
    };
    let mut with_strategy = properties();
    with_strategy["partition.assignment.strategy"] = "range,roundrobin".into();
    let place = Place::of(server, server.topic(4), 4, &with_strategy, &json!({}));
    let start = |name: &str| {
        let file = place.world.path(name);
        KafkaGo::start(server, &place.topic, &place.group, &file)
    };
    let (Some(first), Some(second)) = (start("kafka-go-1"), start("kafka-go-2")) else {
        return;
    };
    let bodies = |of: &str| -> Vec<String> { (0..40).map(|n| format!("{of}-{n}")).collect() };
    let read_by_kafka_go = |wanted: &[String]| {
        let read = [first.read(), second.read()].concat();
        let is_read = |body: &&String| read.iter().any(|(_, _, of)| of == *body);
        wanted.iter().filter(is_read).count()
    };
    let (before, taken, more, after) = (
        bodies("before"),
        bodies("taken"),
        bodies("more"),
        bodies("after"),
    );
    place.produce(&before);
    wait_until("kafka-go to read all", LONG_PATIENCE, || {
        read_by_kafka_go(&before) == before.len()
    });

    let mut daemon = place.world.start();
    daemon.wait_log("has 4 partitions");
    place.produce(&taken);
    place.wait_drained();
    assert_eq!(place.world.ledger().missing(&taken), [""; 0]);
    // What kafka-go has committed does not run here.
    let ledger = place.world.ledger();
    assert!(before.iter().all(|body| ledger.of_body(body).is_empty()));
    // Its members come back, and are given nothing.
    wait_until("both to come back", LONG_PATIENCE, || {
        let log = daemon.log();
        log.matches("has 0 partitions").count() >= 1 && log.ends_with("[0, 1, 2, 3]\n")
    });
    place.produce(&more);
    place.wait_drained();
    assert_eq!(place.world.ledger().missing(&more), [""; 0]);
    assert_eq!(read_by_kafka_go(&taken) + read_by_kafka_go(&more), 0);

    daemon.stop();
    place.produce(&after);
    wait_until("kafka-go to read all again", LONG_PATIENCE, || {
        read_by_kafka_go(&after) == after.len()
    });
    first.leave();
    second.leave();
}

/// Without the strategies that it knows the group stays its own, and what to set is logged.
#[test]
fn a_group_of_kafka_go_is_not_joined_without_its_strategies_and_the_remedy_is_reported() {
    let Some(server) = kafka::shared() else {
        return;
    };
    let place = Place::new(server, 2, &json!({}));
    let file = place.world.path("kafka-go");
    let Some(other) = KafkaGo::start(server, &place.topic, &place.group, &file) else {
        return;
    };
    place.produce(&["a".to_owned(), "b".to_owned()]);
    wait_until("kafka-go to be a member", LONG_PATIENCE, || {
        other.read().len() == 2
    });
    let mut daemon = place.world.start();
    daemon.wait_log("\"partition.assignment.strategy\": \"range,roundrobin\"");
    other.leave();
    daemon.wait_log("has 2 partitions");
    daemon.stop();
}
