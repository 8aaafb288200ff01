//! A reload seen by a group: one whose entry stays, or only changes its size or `timeout`, does not notice.

use serde_json::{Value, json};

use super::growing::generations;
use super::place::{Place, first_runs};
use crate::servers::kafka;
use crate::wait::{LONG_PATIENCE, wait_until};

/// The second entry, with a group of its own.
fn other(place: &Place<'_>, group: &str) -> Value {
    json!({
        "name": "other", "exec_cmd": "ledger", "topic": place.topic, "group_id": group, "progress": 1,
        "progress_lag_limit": 1_000_000, "progress_avg_msgcount": 1000, "status": 1,
    })
}

fn add(place: &Place<'_>, entry: &Value) {
    let path = place.world.path("etc/queue_script1.json");
    let mut queues: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    queues.as_array_mut().unwrap().push(entry.clone());
    place.world.etc("queue_script1.json", &queues);
}

#[test]
fn a_group_keeps_its_generation_while_its_entry_and_others_change() {
    let Some(server) = kafka::shared() else {
        return;
    };
    let place = Place::new(server, 4, &json!({ "progress": 2 }));
    let group = server.name();
    let bodies: Vec<String> = (0..2000).map(|n| format!("sleep:5:{n}")).collect();
    place.produce(&bodies);
    let daemon = place.world.start();
    wait_until("records to run", LONG_PATIENCE, || {
        place.world.ledger_len() > 20
    });
    assert_eq!(generations(&place), 1, "the group has begun");
    // Another entry comes; this one grows, is tuned, and shrinks.
    for (more, others) in [
        (json!({ "progress": 2 }), true),
        (json!({ "progress": 4 }), true),
        (
            json!({ "progress": 4, "timeout": "1h", "batch_size": 10 }),
            true,
        ),
        (
            json!({ "progress": 1, "timeout": "1h", "batch_size": 10 }),
            false,
        ),
        (json!({ "progress": 3, "timeout": "2h" }), true),
    ] {
        let before = place.world.ledger_len();
        place.queue_of("script1", &more);
        if others {
            add(&place, &other(&place, &group));
        }
        place.world.output(&["reload"]);
        wait_until("records to run", LONG_PATIENCE, || {
            place.world.ledger_len() > before
        });
    }
    place.wait_drained();
    let whole = |name: &str| {
        let ledger = place.world.ledger();
        let of_entry = ledger.lines.iter().filter(|line| line.name == name);
        of_entry.count()
    };
    wait_until("the other group", LONG_PATIENCE, || {
        whole("other") >= bodies.len()
    });
    assert_eq!(generations(&place), 1, "the group did not notice");
    daemon.stop();
    let mut ledger = place.world.ledger();
    ledger.lines.retain(|line| line.name == "work");
    assert_eq!(ledger.missing(&bodies), [""; 0]);
    assert_eq!(ledger.lines.len(), bodies.len(), "none ran twice");
    for (partition, offsets) in first_runs(&ledger) {
        assert!(offsets.is_sorted(), "partition {partition} was reordered");
    }
}
