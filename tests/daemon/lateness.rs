//! How late delayed tasks are, with many more waiting.
//!
//! The full size, and its limits, on a machine that does nothing else:
//! `FULL_SIZE=1 cargo test --release --test daemon lateness -- --nocapture --test-threads 1`
//! (after `cargo build --release --example ledger`).

use std::env;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::engine::{Engine, on_each_database};
use crate::wait::{LONG_PATIENCE, now_s, now_us, wait_until};
use crate::world::World;

/// How long rows wait after the test.
const FAR_AWAY_S: i64 = 3600;
/// Rows of one statement.
const ROWS_AT_ONCE: usize = 1000;
/// From the insert to the first row that is due: the insert itself takes a moment.
const AHEAD_S: i64 = 4;
/// What tests that run at the same time may take from the daemon.
const LOADED: Limits = Limits {
    middle: Duration::from_millis(300),
    nearly_all: Duration::from_secs(3),
};
/// What the documents promise.
const ALONE: Limits = Limits {
    middle: Duration::from_millis(5),
    nearly_all: Duration::from_millis(20),
};

struct Limits {
    middle: Duration,
    nearly_all: Duration,
}

struct Size {
    waiting: usize,
    a_second: usize,
    seconds: usize,
    limits: Limits,
}

impl Size {
    fn wanted() -> Self {
        if env::var_os("FULL_SIZE").is_some() {
            Self {
                waiting: 1_000_000,
                a_second: 1_000,
                seconds: 30,
                limits: ALONE,
            }
        } else {
            Self {
                waiting: 50_000,
                a_second: 200,
                seconds: 4,
                limits: LOADED,
            }
        }
    }
}

fn world(engine: Engine) -> Option<World> {
    World::on(engine, json!({}))
}

fn insert_waiting(world: &World, rows: usize) {
    let due = now_s() + FAR_AWAY_S;
    let numbers = world.engine.numbers(rows);
    world.database().execute(&format!(
        "INSERT INTO delay_queue_log (name, exec_cmd, params, status, exec_time)
         SELECT 'waiting', 'noop', '', 1, {due} + n % 86400 FROM ({numbers}) AS numbers"
    ));
}

/// Rows that become due evenly, `exec_time` being the whole second of `due_ms`, or all at the start of each second, as
/// other programs' do, which know no `due_ms`.
fn insert_due(world: &World, kind: Kind, size: &Size) {
    let from_ms = (now_s() + AHEAD_S) * 1000;
    let rows = size.a_second * size.seconds;
    let row = |n: usize| {
        let due_ms = from_ms + i64::try_from(n * 1000 / size.a_second).unwrap();
        let exec_time = due_ms / 1000;
        let own = match kind {
            Kind::Even => due_ms.to_string(),
            Kind::WholeSeconds => "NULL".to_owned(),
        };
        format!("('{kind:?}', 'ledger', '{n}', 1, {exec_time}, {own})")
    };
    let mut database = world.database();
    let all: Vec<String> = (0..rows).map(row).collect();
    for portion in all.chunks(ROWS_AT_ONCE) {
        let values = portion.join(", ");
        database.execute(&format!(
            "INSERT INTO delay_queue_log (name, exec_cmd, params, status, exec_time, due_ms) VALUES {values}"
        ));
    }
    assert!(now_s() * 1000 < from_ms - 2000, "the insert took too long");
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Even,
    WholeSeconds,
}

/// How late something is that only sleeps, in microseconds, sorted: what this machine does to everybody.
fn bare_sleeps(count: usize) -> Vec<i64> {
    let pause = Duration::from_millis(5);
    let late = |_| {
        let due = now_us() + i64::try_from(pause.as_micros()).unwrap();
        thread::sleep(pause);
        now_us() - due
    };
    let mut all: Vec<i64> = (0..count).map(late).collect();
    all.sort_unstable();
    all
}

fn at(sorted: &[i64], share: f64) -> Duration {
    let index = ((sorted.len() - 1) as f64 * share) as usize;
    Duration::from_micros(sorted[index].unsigned_abs())
}

/// Runs rows of this kind and answers how late they began, in microseconds, sorted.
fn lateness(world: &World, kind: Kind, size: &Size) -> (Vec<i64>, Vec<i64>) {
    let before = world.ledger_len();
    insert_due(world, kind, size);
    let rows = size.a_second * size.seconds;
    let bare = bare_sleeps(size.seconds * 200);
    wait_until("all to have run", LONG_PATIENCE, || {
        world.ledger_len() >= before + rows
    });
    let ledger = world.ledger();
    let name = format!("{kind:?}");
    let late = ledger.lines.iter().filter(|line| line.name == name);
    let mut late: Vec<i64> = late.map(|line| line.late_us.unwrap()).collect();
    assert_eq!(late.len(), rows);
    late.sort_unstable();
    (late, bare)
}

on_each_database! { world =>
    tasks_begin_on_time_and_never_early,
}

fn tasks_begin_on_time_and_never_early(world: World) {
    let size = Size::wanted();
    world.migrate();
    insert_waiting(&world, size.waiting);
    let daemon = world.start();
    for kind in [Kind::Even, Kind::WholeSeconds] {
        let (late, bare) = lateness(&world, kind, &size);
        println!(
            "{:?}, {} a second for {} s, {kind:?}, {} waiting: first {} us, p50 {:?}, p99 {:?}, last {:?}; a bare sleep beside it: p50 {:?}, p99 {:?}",
            world.engine,
            size.a_second,
            size.seconds,
            size.waiting,
            late[0],
            at(&late, 0.5),
            at(&late, 0.99),
            at(&late, 1.0),
            at(&bare, 0.5),
            at(&bare, 0.99),
        );
        assert!(late[0] >= 0, "early: {} us", late[0]);
        // A second's rows that are due at one moment cannot all be first: they have the time that they take.
        let burst = if kind == Kind::WholeSeconds {
            Duration::from_micros(size.a_second as u64 * 100)
        } else {
            Duration::ZERO
        };
        assert!(at(&late, 0.5) <= size.limits.middle + burst + at(&bare, 0.5));
        assert!(at(&late, 0.99) <= size.limits.nearly_all + burst + at(&bare, 0.99));
    }
    daemon.stop();
}
