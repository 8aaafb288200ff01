//! A hundred thousand records on eight partitions, and a daemon that is ended ten times while it works.

use std::time::{Duration, Instant};

use serde_json::json;

use super::place::{Place, first_runs};
use crate::flight::only_what_was_younger_ran_twice;
use crate::ledger::Ledger;
use crate::process::Daemon;
use crate::servers::kafka;
use crate::wait::{LONG_PATIENCE, random_moment, wait_until};

/// Messages of each run; with `FULL_SIZE` set ten times as many.
const RECORDS: usize = 20_000;
const FULL_RECORDS: usize = 100_000;
const ENDS: usize = 4;
const FULL_ENDS: usize = 10;
const PARTITIONS: i32 = 8;
/// Positions are committed each second; the answer may take its time on a busy machine.
const IN_FLIGHT: Duration = Duration::from_secs(4);
const LONGEST_MOMENT: Duration = Duration::from_millis(150);

fn size() -> (usize, usize) {
    match std::env::var_os("FULL_SIZE") {
        Some(_) => (FULL_RECORDS, FULL_ENDS),
        None => (RECORDS, ENDS),
    }
}

fn bodies(records: usize) -> Vec<String> {
    let body = |n: usize| match n % 10 {
        3 => format!("sleep:2:{n}"),
        5 | 8 => format!("sleep:1:{n}"),
        _ => format!("plain-{n}"),
    };
    (0..records).map(body).collect()
}

/// Starts the daemon again and again, and ends it each time after new lines were seen in the ledger.
fn work_through(
    place: &Place<'_>,
    ends: usize,
    records: usize,
    mut end: impl FnMut(Daemon),
) -> Ledger {
    let messages = bodies(records);
    place.produce(&messages);
    for round in 1..=ends {
        let daemon = place.world.start();
        let seen = place.world.ledger_len();
        let wanted = (records * round / (ends + 2)).max(seen + 1);
        wait_until("new lines in the ledger", LONG_PATIENCE, || {
            place.world.ledger_len() >= wanted
        });
        random_moment(LONGEST_MOMENT);
        end(daemon);
    }
    assert!(
        place.uncommitted(&place.observer()) > 0,
        "all was done before the last end, which therefore showed nothing"
    );
    let daemon = place.world.start();
    place.wait_drained();
    daemon.stop();
    let ledger = place.world.ledger();
    assert_eq!(ledger.missing(&messages), [""; 0], "nothing is lost");
    assert!(place.world.dead_letters().is_empty());
    let counted = ledger.lines.iter().find(|line| line.attempt != 1);
    assert!(counted.is_none(), "an attempt was counted: {counted:?}");
    for (partition, offsets) in first_runs(&ledger) {
        assert!(
            offsets.is_sorted(),
            "partition {partition}: first runs are in order"
        );
    }
    place.world.wait_empty();
    ledger
}

#[test]
fn kills_lose_nothing_and_repeat_only_what_was_in_flight() {
    let Some(server) = kafka::shared() else {
        return;
    };
    let (records, ends) = size();
    let place = Place::new(server, PARTITIONS, &json!({}));
    let begun = Instant::now();
    let mut kills = Vec::new();
    let ledger = work_through(&place, ends, records, |daemon| kills.push(daemon.kill()));
    let (doubled, oldest) = only_what_was_younger_ran_twice(&ledger, &kills, IN_FLIGHT);
    println!(
        "{ends} kills: {} runs of {records} records, {doubled} of them more than once, {oldest:?} before the kill at most; {:?}",
        ledger.lines.len(),
        begun.elapsed()
    );
}

#[test]
fn stops_lose_nothing_and_double_nothing() {
    let Some(server) = kafka::shared() else {
        return;
    };
    let (records, ends) = size();
    let place = Place::new(server, PARTITIONS, &json!({}));
    let mut longest = Duration::ZERO;
    let ledger = work_through(&place, ends, records, |daemon| {
        longest = longest.max(daemon.stop())
    });
    assert!(ledger.doubled().is_empty(), "{:#?}", ledger.doubled());
    assert_eq!(ledger.lines.len(), records);
    println!("{ends} stops: {records} records, none twice, the longest stop {longest:?}");
}
