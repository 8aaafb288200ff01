//! Two daemons of a group, of which one is killed, one added and one stopped in turn, while records keep coming.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::place::{Place, first_runs};
use crate::flight::only_what_was_younger_ran_twice;
use crate::servers::kafka;
use crate::wait::{LONG_PATIENCE, random_moment, wait_until};

const PARTITIONS: i32 = 8;
/// Each burst is followed by a short pause.
const BURST: usize = 200;
const PAUSE: Duration = Duration::from_millis(50);
/// Positions are committed each second; the answer may take its time on a busy machine.
const IN_FLIGHT: Duration = Duration::from_secs(5);

fn body(n: usize) -> String {
    match n % 5 {
        0 => format!("sleep:2:{n}"),
        _ => format!("plain-{n}"),
    }
}

#[test]
fn daemons_come_and_go_and_nothing_is_lost() {
    let Some(server) = kafka::shared() else {
        return;
    };
    let place = Place::new(server, PARTITIONS, &json!({}));
    place.queue_of("script2", &json!({}));
    place.world.migrate();
    let done = AtomicBool::new(false);
    let mut kills = Vec::new();
    let producer = place.producer();
    let bodies = thread::scope(|scope| {
        let producer = scope.spawn(|| {
            let mut bodies: Vec<String> = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let portion: Vec<String> = (bodies.len()..bodies.len() + BURST).map(body).collect();
                producer.produce(&portion);
                bodies.extend(portion);
                thread::sleep(PAUSE);
            }
            bodies
        });
        let more = |pid: u32| {
            let of = || {
                place
                    .world
                    .ledger()
                    .lines
                    .iter()
                    .filter(|line| line.pid == pid)
                    .count()
            };
            let before = of();
            wait_until("a daemon to get work", LONG_PATIENCE, || of() > before + 50);
            random_moment(Duration::from_millis(500));
        };
        let first = place.world.start();
        let second = place.world.start_as("script2");
        more(first.pid());
        more(second.pid());
        kills.push(first.kill());
        let third = place.world.start();
        more(third.pid());
        more(second.pid());
        second.stop();
        more(third.pid());
        let fourth = place.world.start_as("script2");
        more(fourth.pid());
        kills.push(third.kill());
        done.store(true, Ordering::Relaxed);
        let bodies = producer.join().unwrap();
        place.wait_drained();
        fourth.stop();
        bodies
    });
    let ledger = place.world.ledger();
    assert_eq!(ledger.missing(&bodies), [""; 0], "nothing is lost");
    let (doubled, oldest) = only_what_was_younger_ran_twice(&ledger, &kills, IN_FLIGHT);
    for (partition, offsets) in first_runs(&ledger) {
        assert!(
            offsets.is_sorted(),
            "partition {partition}: first runs are in order"
        );
    }
    println!(
        "two kills, two starts, a stop: {} runs of {} records, {doubled} of them more than once, {oldest:?} before a kill at most",
        ledger.lines.len(),
        bodies.len()
    );
}
