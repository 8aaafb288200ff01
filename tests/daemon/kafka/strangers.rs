//! Groups with members of other programs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use serde_json::json;

use super::place::{Place, properties};
use crate::servers::kafka;
use crate::wait::{LONG_PATIENCE, PATIENCE, wait_until};

/// Another program's member, which does nothing with what it is given.
fn while_another_is_a_member<T>(place: &Place<'_>, strategy: &str, work: impl FnOnce() -> T) -> T {
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
fn a_group_with_another_strategy_is_said_with_its_remedy_and_joined_when_it_is_free() {
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
