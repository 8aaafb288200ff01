//! A broker that comes back without the last records of its log: nothing of what it has then is skipped, nothing runs
//! again, and one line reports it.

use serde_json::json;

use super::place::Place;
use crate::process::Daemon;
use crate::servers::kafka::Kafka;
use crate::wait::{LONG_PATIENCE, wait_until};

const CUT: &str = "the log of partition 0";

fn bodies(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{name}-{n}")).collect()
}

/// What a topic had, in the order in which it ran: ten that stay and ten that are lost.
fn produce_twenty(place: &Place<'_>) {
    place.produce(&bodies("stays", 10));
    place.produce(&bodies("lost", 10));
}

impl Place<'_> {
    /// The last ten are gone when the broker is back.
    fn cut(&self) {
        self.server.kill();
        self.server.cut_log(&self.topic, 0, 10);
        self.server.start();
    }

    #[track_caller]
    fn wait_runs(&self, bodies: &[String]) {
        wait_until("all to run", LONG_PATIENCE, || {
            self.world.ledger().missing(bodies).is_empty()
        });
    }
}

/// One line, which names what was lost; and nothing ran twice.
#[track_caller]
fn says_once(place: &Place<'_>, daemon: &Daemon) {
    let log = daemon.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(CUT)).collect();
    assert_eq!(lines.len(), 1, "{log}");
    for part in [
        &*place.topic,
        "WARN",
        "goes on at offset 10",
        "had been read to offset 19",
        "offsets 10 to 19",
    ] {
        assert!(lines[0].contains(part), "{}", lines[0]);
    }
    let ledger = place.world.ledger();
    let mut bodies: Vec<&str> = ledger.lines.iter().map(|line| &*line.body).collect();
    bodies.sort_unstable();
    let runs = bodies.len();
    bodies.dedup();
    assert_eq!(runs, bodies.len(), "nothing ran twice");
}

/// More records are there than the group has read by the time it comes back: at its offset there is one.
#[test]
fn a_log_that_is_cut_while_nobody_reads_it_is_read_on_from_the_cut() {
    let Some(server) = Kafka::dedicated() else {
        return;
    };
    let place = Place::new(&server, 1, &json!({}));
    produce_twenty(&place);
    let daemon = place.world.start();
    place.wait_drained();
    daemon.stop();
    place.cut();
    let new = bodies("new", 25);
    place.produce(&new);
    let daemon = place.world.start();
    place.wait_runs(&new);
    place.wait_drained();
    says_once(&place, &daemon);
    assert_eq!(place.committed(&place.observer()), [(0, 35)].into());
    daemon.stop();
    // Once, and not at each start.
    let daemon = place.world.start();
    place.produce(&bodies("later", 1));
    place.wait_runs(&bodies("later", 1));
    assert!(!daemon.log().contains(CUT), "{}", daemon.log());
    daemon.stop();
}

#[test]
fn a_log_that_is_cut_while_it_is_read_is_read_on_from_the_cut() {
    let Some(server) = Kafka::dedicated() else {
        return;
    };
    let place = Place::new(&server, 1, &json!({}));
    produce_twenty(&place);
    let daemon = place.world.start();
    place.wait_drained();
    place.cut();
    let new = bodies("new", 25);
    place.produce(&new);
    place.wait_runs(&new);
    place.wait_drained();
    says_once(&place, &daemon);
    daemon.stop();
}

/// The handler of the first one runs on meanwhile.
#[test]
fn records_before_a_cut_that_were_fetched_and_not_begun_run() {
    let Some(server) = Kafka::dedicated() else {
        return;
    };
    let place = Place::new(&server, 1, &json!({ "progress": 1 }));
    place.produce(&["first".to_owned(), "sleep:20000:second".to_owned()]);
    place.produce(&bodies("stays", 8));
    place.produce(&bodies("lost", 10));
    let daemon = place.world.start();
    wait_until("the first to run", LONG_PATIENCE, || {
        place.world.ledger_len() > 0
    });
    place.cut();
    let new = bodies("new", 25);
    place.produce(&new);
    place.wait_runs(&new);
    place.wait_drained();
    assert_eq!(place.world.ledger().missing(&bodies("stays", 8)), [""; 0]);
    daemon.stop();
}
