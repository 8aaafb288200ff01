//! Two daemons of different partitions share one table, and are killed again and again while both of them and another
//! program put rows into it.
//!
//! The full size: `FULL_SIZE=1 cargo test --test daemon two_daemons`.

use std::collections::BTreeSet;
use std::env;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::engine::{Engine, on_each_database};
use crate::flight::only_what_was_in_flight_ran_twice;
use crate::ledger::Ledger;
use crate::process::{Daemon, Killed};
use crate::wait::{now_s, random_moment};
use crate::world::World;

const PARTITIONS: [&str; 2] = ["script1", "script2"];
/// The longest time after their insertion at which rows become due.
const DUE_WITHIN_S: usize = 4;

/// How much is done.
struct Size {
    rows: usize,
    seconds: usize,
    kills_each: usize,
}

impl Size {
    fn wanted() -> Self {
        if env::var_os("FULL_SIZE").is_some() {
            Self {
                rows: 20_000,
                seconds: 20,
                kills_each: 5,
            }
        } else {
            Self {
                rows: 4_000,
                seconds: 6,
                kills_each: 2,
            }
        }
    }
}

fn world(engine: Engine) -> Option<World> {
    let world = World::on(
        engine,
        json!({ "heartbeat_interval": "500ms", "shutdown_deadline": "10s" }),
    )?;
    let queue = json!([{
        "name": "work", "exec_cmd": "ledger", "table": "work", "progress": 4,
        "progress_lag_limit": 1_000_000, "progress_avg_msgcount": 1000, "status": 1,
    }]);
    for partition in PARTITIONS {
        world.partition(partition, &queue, &json!([]));
    }
    Some(world)
}

/// Half of the rows come from another program, half are pushed by the daemons: by handlers of messages. Answers the
/// messages, and the tasks that must have run in the end.
fn feed(world: &World, size: &Size) -> (Vec<String>, Vec<String>) {
    let (mut messages, mut tasks) = (Vec::new(), Vec::new());
    let portion = size.rows / size.seconds / 2;
    for second in 0..size.seconds {
        let begun = now_s();
        let names = |kind: &str| {
            (0..portion)
                .map(|n| format!("{kind}-{second}-{n}"))
                .collect()
        };
        let (foreign, pushed): (Vec<String>, Vec<String>) =
            (names("sleep:50:foreign"), names("pushed"));
        let delay = |n: usize| n % DUE_WITHIN_S;
        let due = |n| begun + i64::try_from(delay(n)).unwrap();
        let rows = foreign.iter().enumerate();
        let rows: Vec<_> = rows.map(|(n, params)| (params.clone(), due(n))).collect();
        world.insert_tasks(&rows);
        let bodies = pushed.iter().enumerate();
        let bodies: Vec<_> = bodies
            .map(|(n, params)| format!("push:{}:{params}", delay(n)))
            .collect();
        world.send("work", &bodies);
        messages.extend(bodies);
        tasks.extend(foreign.into_iter().chain(pushed));
        while now_s() == begun {
            thread::sleep(Duration::from_millis(10));
        }
    }
    (messages, tasks)
}

/// Kills them in turn at moments that nobody can foresee, and starts them again.
fn kill_in_turn(world: &World, size: &Size) -> (Vec<Killed>, Vec<Daemon>) {
    let kills = size.kills_each * PARTITIONS.len();
    let longest = Duration::from_secs(size.seconds as u64).mul_f64(2.0 / kills as f64);
    let mut daemons: Vec<Daemon> = PARTITIONS.map(|name| world.start_as(name)).into();
    let mut killed = Vec::new();
    for n in 0..kills {
        random_moment(longest);
        let which = n % PARTITIONS.len();
        killed.push(daemons.remove(which).kill());
        daemons.insert(which, world.start_as(PARTITIONS[which]));
    }
    (killed, daemons)
}

/// Each row of the table ran, and each that ran is a row; all have ended well.
#[track_caller]
fn every_row_ran(world: &World, ledger: &Ledger) -> usize {
    let mut database = world.database();
    let unfinished = "SELECT count(*) FROM delay_queue_log WHERE status <> 3 OR owner <> ''";
    assert_eq!(database.number(unfinished), 0);
    let rows = database.numbers("SELECT id FROM delay_queue_log");
    let rows: BTreeSet<i64> = rows.into_iter().collect();
    let ran = ledger
        .of_kind("delay")
        .map(|line| line.id.as_i64().unwrap());
    let ran: BTreeSet<i64> = ran.collect();
    let difference: Vec<_> = rows.symmetric_difference(&ran).collect();
    assert!(difference.is_empty(), "{difference:?}");
    rows.len()
}

on_each_database! { world =>
    kills_in_turn_lose_nothing_and_repeat_only_what_was_in_flight,
}

fn kills_in_turn_lose_nothing_and_repeat_only_what_was_in_flight(world: World) {
    let size = Size::wanted();
    world.migrate();
    let ((killed, daemons), (messages, tasks)) = thread::scope(|scope| {
        let fed = scope.spawn(|| feed(&world, &size));
        let killed = kill_in_turn(&world, &size);
        (killed, fed.join().unwrap())
    });
    world.wait_drained();
    for daemon in daemons {
        daemon.stop();
    }

    let ledger = world.ledger();
    assert_eq!(ledger.missing(messages.iter().chain(&tasks)), [""; 0]);
    let rows = every_row_ran(&world, &ledger);
    assert!(rows >= size.rows / size.seconds * size.seconds);
    let (doubled, oldest) = only_what_was_in_flight_ran_twice(&ledger, &killed);
    assert!(
        world.dead_letters().is_empty(),
        "{:?}",
        world.dead_letters()
    );
    let counted = ledger.lines.iter().find(|line| line.attempt != 1);
    assert!(counted.is_none(), "an attempt was counted: {counted:?}");
    world.wait_empty();
    println!(
        "{:?}: {} kills of two daemons: {rows} rows and {} messages, {doubled} of them ran more than once, {oldest:?} before the kill at most",
        world.engine,
        killed.len(),
        messages.len()
    );
}
