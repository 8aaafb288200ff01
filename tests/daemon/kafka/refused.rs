//! What brokers refuse: rights that lack, and a group's settings. Each is one outage with its remedy, for as long as it lasts.

use serde_json::json;

use super::place::{Place, properties};
use crate::process::Daemon;
use crate::servers::kafka::{self, Kafka, Outside};
use crate::servers::kafka_rights::{ONE_USER, Right};
use crate::wait::{LONG_PATIENCE, wait_until};

#[track_caller]
fn check_online(place: &Place<'_>, wanted: &str) {
    wait_until("`check --online` to say it", LONG_PATIENCE, || {
        let output = place.world.run(&["check", "--online"]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{said}");
        // A new cluster makes the topic of its groups when it is asked for a coordinator.
        let is_being_made = said.contains("names no coordinator");
        assert!(said.contains(wanted) || is_being_made, "{said}");
        !is_being_made
    });
}

fn count(daemon: &Daemon, text: &str) -> usize {
    daemon.log().matches(text).count()
}

/// A topic whose daemon logs in, as a user who may do nothing yet.
fn place_of_a_user<'a>(server: &'a Kafka, partitions: i32, address: &str) -> Place<'a> {
    let place = Place::new(server, partitions, &json!({}));
    place.reach_by(
        address,
        &json!({
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": "daemon",
            "sasl.password": "secret",
        }),
    );
    place
}

#[test]
fn rights_that_lack_are_named_until_they_are_given() {
    let outside = Outside::new("SASL_PLAINTEXT");
    let address = outside.address.clone();
    let Some(server) = Kafka::with_outside(outside, ONE_USER) else {
        return;
    };
    let place = place_of_a_user(&server, 2, &address);
    place.produce(&["waits".to_owned()]);
    let (topic, group) = (&*place.topic, &*place.group);
    let of_topic = "the right `READ` on the topic would help";
    let of_group = "the right `READ` on the group would help";
    let back = format!("topic `{topic}` for group `{group}` is back");

    // It may see the topic and the group, and read neither.
    server.allow(Right::DescribeTopic(topic));
    server.allow(Right::DescribeGroup(group));
    check_online(&place, of_topic);
    let mut daemon = place.world.start();
    daemon.wait_log(of_group);

    // The group takes it, and the topic is still not for it.
    server.allow(Right::ReadGroup(group));
    daemon.wait_log(of_topic);
    check_online(&place, of_topic);
    wait_until("the group's outage to be over", LONG_PATIENCE, || {
        count(&daemon, &back) == 1
    });
    // Looked at often enough meanwhile that what flaps had flapped.
    for _ in 0..2 {
        check_online(&place, of_topic);
    }
    let lines = [of_group, of_topic, &*back].map(|text| count(&daemon, text));
    assert_eq!(lines, [1, 1, 1], "{}", daemon.log());

    server.allow(Right::ReadTopic(topic));
    place.wait_drained();
    wait_until("the second outage to be over", LONG_PATIENCE, || {
        count(&daemon, &back) == 2
    });
    assert_eq!(count(&daemon, of_topic), 1, "{}", daemon.log());
    let output = place.world.run(&["check", "--online"]);
    assert!(output.status.success(), "{output:?}");
    daemon.stop();
}

#[test]
fn a_group_that_may_only_be_seen_is_named_by_check() {
    let outside = Outside::new("SASL_PLAINTEXT");
    let address = outside.address.clone();
    let Some(server) = Kafka::with_outside(outside, ONE_USER) else {
        return;
    };
    let place = place_of_a_user(&server, 1, &address);
    server.allow(Right::ReadTopic(&place.topic));
    let wanted = "the right `READ` on the group would help";
    check_online(&place, wanted);
    server.allow(Right::DescribeGroup(&place.group));
    check_online(&place, wanted);
}

#[test]
fn an_error_of_joining_is_one_line_with_its_remedy() {
    let Some(server) = kafka::shared() else {
        return;
    };
    let mut properties = properties();
    // The broker's least is a second.
    properties["session.timeout.ms"] = 600.into();
    properties["heartbeat.interval.ms"] = 200.into();
    let place = Place::of(server, server.topic(1), 1, &properties, &json!({}));
    let mut daemon = place.world.start();
    let line = daemon.wait_log("`group.min.session.timeout.ms`");
    assert!(line.contains("is away"), "{line}");
    // Refused again each second meanwhile.
    let refused = |log: String| log.matches("JoinGroup").count();
    for _ in 0..3 {
        place.world.run(&["check", "--online"]);
    }
    assert_eq!(refused(daemon.log()), 1, "{}", daemon.log());
    daemon.stop();
}
