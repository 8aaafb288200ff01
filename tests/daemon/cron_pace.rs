//! How late fires are: among a thousand entries, a hundred in one second, and beside a queue that keeps the database busy.
//!
//! The figures of the contract are asserted by the long version, in a release build on a machine with nothing else to do:
//! `CRON_SECONDS=60 cargo test --release --test daemon cron_pace -- --nocapture`
//! (build the example before: `cargo build --release --example ledger`). The short one asserts that nothing is lost, and
//! prints the same figures.

use std::{env, thread};

use chrono::NaiveDateTime;
use serde_json::{Value, json};

use crate::cron::seconds_fired;
use crate::engine::{Engine, on_each_database};
use crate::wait::{LONG_PATIENCE, wait_until};
use crate::world::World;

const ENTRIES: usize = 1000;
/// Of the contract, in milliseconds.
const SPAWN_P99_MS: f64 = 10.0;
const FIRST_LINE_P99_MS: f64 = 60.0;
const ALL_STARTED_MS: f64 = 2000.0;

fn long_version() -> Option<usize> {
    env::var("CRON_SECONDS").ok()?.parse().ok()
}

fn entry(cron: &str, number: usize) -> Value {
    json!({
        "cron": cron, "name": format!("entry {number}"), "exec_cmd": "ledger", "params": format!("p{number}"),
        "status": 1, "is_log": 1,
    })
}

/// Lateness in milliseconds, sorted.
struct Late(Vec<f64>);

impl Late {
    fn new(mut all: Vec<f64>) -> Self {
        all.sort_by(f64::total_cmp);
        Self(all)
    }

    /// The nearest rank.
    fn quantile(&self, percent: usize) -> f64 {
        self.0[(self.0.len() * percent).div_ceil(100) - 1]
    }

    fn print(&self, what: &str) {
        println!(
            "  {what}: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
            self.quantile(50),
            self.quantile(99),
            self.quantile(100)
        );
    }
}

/// How long after its second each process had been started, by the log, whose clock is the millisecond.
fn spawns(log: &str) -> Late {
    let fired = log.lines().filter(|line| line.contains("` fired, pid "));
    let after_the_second = |line: &str| {
        let at = NaiveDateTime::parse_from_str(&line[..23], "%Y-%m-%d %H:%M:%S%.3f").unwrap();
        f64::from(at.and_utc().timestamp_subsec_millis())
    };
    Late::new(fired.map(after_the_second).collect())
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn first_lines(world: &World) -> Late {
    let ledger = world.ledger();
    let late = ledger
        .lines
        .iter()
        .map(|line| line.late_us.unwrap() as f64 / 1000.0);
    Late::new(late.collect())
}

/// Each fire was made by the scheduler: what it leaves out is made late, and logged.
fn assert_by_the_scheduler(log: &str) {
    let forgotten = log.lines().find(|line| line.contains("the scheduler "));
    assert_eq!(forgotten, None);
}

fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').take(1).collect()
}

#[test]
fn of_a_thousand_entries_one_fires_each_second_on_time() {
    let seconds = long_version().unwrap_or(8);
    let world = World::new(json!({}));
    // One for each second of the minute; the others in a night of January.
    let crontab: Vec<Value> = (0..ENTRIES)
        .map(|n| match n {
            0..60 => entry(&format!("{n} * * * * *"), n),
            _ => entry(&format!("{} {} 3 1 1 *", n % 60, n / 60), n),
        })
        .collect();
    world.partition("script1", &json!([]), &json!(crontab));
    let daemon = world.start();
    wait_until("enough fires", LONG_PATIENCE, || {
        world.ledger_len() >= seconds
    });
    let log = daemon.log();
    assert_by_the_scheduler(&log);
    daemon.stop();
    world.wait_empty();
    let mut database = world.database();
    let fired = seconds_fired(&mut database);
    let expected: Vec<i64> = (fired[0]..).take(fired.len()).collect();
    assert_eq!(fired, expected, "each second once, and none left out");
    assert_eq!(world.ledger_len(), fired.len());

    let (spawned, begun) = (spawns(&log), first_lines(&world));
    println!("{ENTRIES} entries, {} fires, load {}", fired.len(), load());
    spawned.print("process started");
    begun.print("handler's first line");
    if long_version().is_some() {
        assert!(spawned.quantile(99) <= SPAWN_P99_MS);
        assert!(begun.quantile(99) <= FIRST_LINE_P99_MS);
    }
}

#[test]
fn a_hundred_entries_of_one_second_all_start() {
    const TOGETHER: usize = 100;
    let world = World::new(json!({}));
    let crontab: Vec<Value> = (0..TOGETHER).map(|n| entry("*/10 * * * * *", n)).collect();
    world.partition("script1", &json!([]), &json!(crontab));
    let daemon = world.start();
    wait_until("all runs", LONG_PATIENCE, || world.ledger_len() >= TOGETHER);
    let log = daemon.log();
    assert_by_the_scheduler(&log);
    daemon.stop();
    world.wait_empty();
    let ledger = world.ledger();
    for n in 0..TOGETHER {
        assert!(!ledger.of_body(&format!("p{n}")).is_empty(), "p{n}");
    }
    assert!(ledger.doubled().is_empty());
    let failed = "SELECT count(*) AS n FROM crontab_log WHERE status <> 'success'";
    assert_eq!(world.database().number(failed), 0);

    let begun = first_lines(&world);
    println!("{TOGETHER} entries in one second, load {}", load());
    spawns(&log).print("process started");
    begun.print("handler's first line");
    if long_version().is_some() {
        assert!(begun.quantile(100) <= ALL_STARTED_MS);
    }
}

on_each_database! { world => fires_are_made_beside_a_busy_queue }

fn world(engine: Engine) -> Option<World> {
    World::on(engine, json!({}))
}

fn fires_are_made_beside_a_busy_queue(world: World) {
    const AT_ONCE: usize = 10_000;
    /// Late for whatever reason a busy machine has.
    const LATE_MS: f64 = 5000.0;
    let seconds = long_version().unwrap_or(4);
    let queue = json!([{
        "name": "work", "exec_cmd": "noop", "table": "work", "progress": 4, "progress_lag_limit": 1_000_000,
        "progress_avg_msgcount": 1000, "status": 1,
    }]);
    let crontab = json!([entry("* * * * * *", 0)]);
    world.partition("script1", &queue, &crontab);
    let daemon = world.start();
    wait_until("a fire", LONG_PATIENCE, || world.ledger_len() > 0);
    let bodies: Vec<String> = (0..AT_ONCE).map(|n| format!("message {n}")).collect();
    let busy = thread::scope(|scope| {
        let until = world.ledger_len() + seconds;
        let world = &world;
        let sent = scope.spawn(move || {
            let mut sent = 0;
            while world.ledger_len() < until {
                world.send("work", &bodies);
                sent += AT_ONCE;
            }
            sent
        });
        sent.join().unwrap()
    });
    let log = daemon.log();
    assert_by_the_scheduler(&log);
    daemon.kill();
    world.wait_empty();
    let fired = seconds_fired(&mut world.database());
    let expected: Vec<i64> = (fired[0]..).take(fired.len()).collect();
    assert_eq!(fired, expected, "each second once, and none left out");
    let (spawned, begun) = (spawns(&log), first_lines(&world));
    println!(
        "beside {busy} messages, {} fires, load {}",
        fired.len(),
        load()
    );
    spawned.print("process started");
    begun.print("handler's first line");
    assert!(begun.quantile(100) < LATE_MS);
}
