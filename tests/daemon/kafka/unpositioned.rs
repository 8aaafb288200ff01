//! `"auto.offset.reset": "error"`: a partition without a position is not consumed, is logged, and goes on by itself once it has
//! one.

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::json;

use super::place::{Place, properties};
use crate::servers::kafka;
use crate::wait::{LONG_PATIENCE, wait_until};

const STANDS: &str = "has no position in the group that is in its log";

impl Place<'_> {
    /// What an operator's tool does; brokers refuse it while the group has members.
    fn set_positions(&self, positions: &[(i32, i64)]) {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in positions {
            let place = (&*self.topic, *partition);
            list.add_partition_offset(place.0, place.1, Offset::Offset(*offset))
                .unwrap();
        }
        let observer = self.observer();
        wait_until("the group to be without members", LONG_PATIENCE, || {
            observer.commit(&list, CommitMode::Sync).is_ok()
        });
    }
}

#[test]
fn a_group_without_positions_is_consumed_when_an_operator_sets_them() {
    let Some(server) = kafka::shared() else {
        return;
    };
    let mut properties = properties();
    properties["auto.offset.reset"] = "error".into();
    let place = Place::of(server, server.topic(2), 2, &properties, &json!({}));
    let old: Vec<String> = (0..4).map(|n| format!("old-{n}")).collect();
    place.produce(&old);
    let mut daemon = place.world.start();
    let said = daemon.wait_log(STANDS);
    assert!(said.contains("`auto.offset.reset` is `error`"), "{said}");
    let said = daemon.wait_log("has left its group");
    assert!(said.contains("--reset-offsets"), "{said}");
    // One of them first: the other one still has no position.
    place.set_positions(&[(0, 1)]);
    wait_until("the rest of one partition to run", LONG_PATIENCE, || {
        !place.world.ledger().of_body("old-2").is_empty()
    });
    assert!(!daemon.log().contains("is back after"), "{}", daemon.log());
    daemon.stop();
    place.set_positions(&[(1, 0)]);
    let daemon = place.world.start();
    place.wait_drained();
    assert!(!daemon.log().contains(STANDS), "{}", daemon.log());
    daemon.stop();
    let mut ran: Vec<String> = place
        .world
        .ledger()
        .lines
        .iter()
        .map(|line| line.body.clone())
        .collect();
    ran.sort_unstable();
    assert_eq!(ran, ["old-1", "old-2", "old-3"]);
}

#[test]
fn an_outage_of_positions_is_two_lines() {
    let Some(server) = kafka::shared() else {
        return;
    };
    let mut properties = properties();
    properties["auto.offset.reset"] = "error".into();
    let place = Place::of(server, server.topic(1), 1, &properties, &json!({}));
    place.produce(&["waits".to_owned()]);
    let mut daemon = place.world.start();
    daemon.wait_log("has left its group");
    place.set_positions(&[(0, 0)]);
    place.wait_drained();
    let back = format!(
        "topic `{}` for group `{}` is back",
        place.topic, place.group
    );
    daemon.wait_log(&back);
    let log = daemon.log();
    let lines = [STANDS, &back, "has left its group"].map(|text| log.matches(text).count());
    assert_eq!(lines, [1, 1, 1], "{log}");
    daemon.stop();
}
