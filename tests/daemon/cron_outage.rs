//! The database is away while fires are due.

use std::env;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::wait::{PATIENCE, now_s, wait_until};
use crate::world::World;

/// (seconds away, grace in seconds). `CRON_OUTAGE=30 cargo test --test daemon cron_outage` is the long version.
fn outage() -> (u64, i64) {
    match env::var("CRON_OUTAGE") {
        Ok(seconds) => (seconds.parse().unwrap(), 10),
        Err(_) => (8, 3),
    }
}

#[test]
fn fires_of_an_outage_are_late_within_the_grace_and_missed_beyond_it() {
    let (away, grace) = outage();
    let world = World::new(json!({ "misfire_grace": grace }));
    world.partition(
        "script1",
        &json!([]),
        &json!([{
            "cron": "* * * * * *", "name": "each second", "exec_cmd": "ledger", "params": "x", "status": 1, "is_log": 1,
        }]),
    );
    let daemon = world.start();
    let mut database = world.database();
    wait_until("a run", PATIENCE, || world.ledger_len() > 0);
    let begun = now_s();
    database.execute("BEGIN EXCLUSIVE");
    // What passes here is the outage itself.
    thread::sleep(Duration::from_secs(away));
    let before = world.ledger_len();
    drop(database);
    let over = now_s();
    wait_until("fires to go on", PATIENCE, || {
        let ledger = world.ledger();
        let on_time = |late: i64| late < 900_000;
        ledger.lines[before..]
            .iter()
            .filter(|line| on_time(line.late_us.unwrap()))
            .count()
            > 2
    });
    let log = daemon.log();
    daemon.stop();
    world.wait_empty();
    let mut database = world.database();
    let ledger = world.ledger();
    let mut made: Vec<i64> = ledger
        .lines
        .iter()
        .map(|line| (line.at_us - line.late_us.unwrap()) / 1_000_000)
        .collect();
    made.sort_unstable();
    let count = made.len();
    made.dedup();
    assert_eq!(made.len(), count, "nothing twice");
    let last = made[count - 1];
    let missed: Vec<i64> = (made[0]..last)
        .filter(|second| !made.contains(second))
        .collect();
    // A second more or less: the outage began and ended within one.
    assert!(!missed.is_empty(), "{made:?}");
    let (first_missed, last_missed) = (missed[0], missed[missed.len() - 1]);
    assert!(
        first_missed >= begun - 1,
        "{missed:?}, away from {begun} to {over}"
    );
    assert!(
        last_missed <= over - grace + 1,
        "{missed:?}, away from {begun} to {over}, grace {grace}"
    );
    let late = made
        .iter()
        .filter(|second| (over - grace + 1..over).contains(*second))
        .count();
    assert!(late > 0, "late within the grace: {made:?}, over at {over}");
    let lines = log
        .matches("was missed: the database did not take its row")
        .count();
    assert_eq!(lines, missed.len(), "an error line for each");
    let strange = "SELECT status || ' ' || result AS t FROM crontab_log
        WHERE status <> 'success' AND result NOT LIKE '%the database was away for longer than misfire_grace%'";
    assert_eq!(database.texts(strange), [""; 0]);
    let rows = "SELECT count(*) - count(DISTINCT scheduled_ms) AS n FROM cron_run";
    assert_eq!(database.number(rows), 0);
    println!(
        "away for {away} s, grace {grace} s: {count} fires made, {} missed, {late} late within the grace",
        missed.len()
    );
}
