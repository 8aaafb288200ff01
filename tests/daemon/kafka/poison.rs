//! Records whose handler ends the process.

use serde_json::json;

use super::place::Place;
use crate::process::Daemon;
use crate::servers::kafka;
use crate::wait::{LONG_PATIENCE, PATIENCE, wait_until};

const MAX_ATTEMPTS: u32 = 3;

/// Restarts the daemon each time it dies, as an init system would, until all is committed. Answers how often it died.
fn keep_running(place: &Place<'_>) -> (Daemon, u32) {
    let mut deaths = 0;
    let observer = place.observer();
    let mut daemon = place.world.spawn(&["run"]);
    wait_until("all records to be committed", LONG_PATIENCE, || {
        if let Some(status) = daemon.has_ended() {
            assert_eq!(status.code(), None, "it ended by itself: {}", daemon.log());
            deaths += 1;
            daemon = place.world.spawn(&["run"]);
        }
        place.uncommitted(&observer) == 0
    });
    (daemon, deaths)
}

#[test]
fn a_record_that_aborts_the_daemon_is_a_dead_letter_and_its_neighbours_get_through() {
    let Some(server) = kafka::shared() else {
        return;
    };
    let backoff = json!({ "base": "50ms", "max": "200ms" });
    let more = json!({ "max_attempts": MAX_ATTEMPTS, "backoff": backoff });
    let place = Place::new(server, 4, &more);
    let neighbours: Vec<String> = (0..200)
        .map(|n| match n % 10 {
            0 => format!("sleep:30:{n}"),
            _ => format!("neighbour-{n}"),
        })
        .collect();
    place.produce(&neighbours[..100]);
    place.produce_to(1, &["abort:record"]);
    place.produce(&neighbours[100..]);

    let (daemon, deaths) = keep_running(&place);
    daemon.stop();
    let ledger = place.world.ledger();
    assert_eq!(ledger.attempts_of("abort:record"), [1, 2, 3]);
    assert_eq!(deaths, MAX_ATTEMPTS);
    let dead_letters = place.world.dead_letters();
    assert_eq!(dead_letters.len(), 1, "{dead_letters:#?}");
    assert_eq!(dead_letters[0]["kind"], "kafka");
    assert_eq!(dead_letters[0]["source"], place.topic.as_str());
    assert_eq!(dead_letters[0]["attempts"], MAX_ATTEMPTS);
    assert_eq!(dead_letters[0]["payload"], "abort:record");
    assert_eq!(ledger.missing(&neighbours), [""; 0]);
    let counted = ledger
        .lines
        .iter()
        .find(|line| line.attempt > 1 && line.body != "abort:record");
    assert!(
        counted.is_none(),
        "an attempt of a neighbour was counted: {counted:?}"
    );
    // Behind it in its partition nothing ran before it was given up.
    let abort = ledger
        .lines
        .iter()
        .rposition(|line| line.body == "abort:record")
        .unwrap();
    let id = ledger.lines[abort].id.as_str().unwrap().to_owned();
    let (partition, offset) = id.split_once('/').unwrap();
    let offset: i64 = offset.parse().unwrap();
    for line in &ledger.lines[..abort] {
        let (at, number) = super::place::place_of(line);
        assert!(at != partition || number <= offset, "{line:?} overtook it");
    }
    let left = place
        .world
        .database()
        .number("SELECT count(*) AS n FROM death");
    assert_eq!(left, 0, "its deaths are forgotten");
    println!(
        "{deaths} deaths: {} runs of {} records",
        ledger.lines.len(),
        neighbours.len() + 1
    );
}

#[test]
fn a_failing_record_is_retried_at_its_place_and_then_given_up() {
    let Some(server) = kafka::shared() else {
        return;
    };
    let more = json!({ "max_attempts": MAX_ATTEMPTS, "backoff": "200ms", "progress": 1 });
    let place = Place::new(server, 2, &more);
    place.produce_to(0, &["a", "fail2:b", "c", "fail:d", "e"]);
    place.produce_to(1, &["v", "w", "x", "y", "z"]);
    let mut daemon = place.world.start();
    place.wait_drained();
    daemon.wait_log("failed on attempt 3 and goes to the dead letters");
    let ledger = place.world.ledger();
    let of_partition = |partition: &str| -> Vec<&str> {
        let lines = ledger.lines.iter();
        let ours = lines.filter(|line| super::place::place_of(line).0 == partition);
        ours.map(|line| line.body.as_str()).collect()
    };
    assert_eq!(
        of_partition("0"),
        [
            "a", "fail2:b", "fail2:b", "fail2:b", "c", "fail:d", "fail:d", "fail:d", "e"
        ]
    );
    assert_eq!(of_partition("1"), ["v", "w", "x", "y", "z"]);
    // The only consumer did not wait for the failing one.
    let at = |body: &str| ledger.of_body(body).last().unwrap().at_us;
    assert!(at("z") < at("c"), "the other partition went on");
    let dead_letters = place.world.dead_letters();
    assert_eq!(dead_letters.len(), 1, "{dead_letters:#?}");
    assert_eq!(dead_letters[0]["payload"], "fail:d");
    // Replayed, it runs through its entry here.
    place
        .world
        .output(&["dead", "replay", "--kind", "kafka", "--yes"]);
    wait_until("the replayed one to run", PATIENCE, || {
        place.world.ledger().of_body("fail:d").len() > 3
    });
    daemon.stop();
}
