//! Twenty thousand messages and a thousand delayed tasks, and a daemon that is ended ten times while it works.

use std::time::Duration;

use serde_json::json;

use crate::flight::only_what_was_in_flight_ran_twice;
use crate::ledger::Ledger;
use crate::process::Daemon;
use crate::wait::{LONG_PATIENCE, now_s, random_moment, wait_until};
use crate::world::World;

const MESSAGES: usize = 20_000;
/// One message in this many pushes a delayed task.
const PUSHES_EVERY: usize = 40;
const PUSHED: usize = MESSAGES / PUSHES_EVERY;
/// Delayed tasks that another program inserts.
const FOREIGN: usize = 500;
const ENDS: usize = 10;
/// The longest time between reading the ledger and each end.
const LONGEST_MOMENT: Duration = Duration::from_millis(150);
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(10);

fn world() -> World {
    let world = World::new(json!({
        "heartbeat_interval": "300ms",
        "shutdown_deadline": SHUTDOWN_DEADLINE.as_secs(),
    }));
    let queue = json!([{
        "name": "work", "exec_cmd": "ledger", "table": "work", "progress": 6,
        "progress_lag_limit": 1_000_000, "progress_avg_msgcount": 1000, "status": 1,
    }]);
    world.partition("script1", &queue, &json!([]));
    world
}

fn bodies() -> Vec<String> {
    let body = |n: usize| match n % PUSHES_EVERY {
        7 => format!("push:{}:pushed-{n}", n / PUSHES_EVERY % 3),
        3 | 23 => format!("sleep:20:{n}"),
        odd if odd % 2 == 1 => format!("sleep:1:{n}"),
        _ => format!("plain-{n}"),
    };
    (0..MESSAGES).map(body).collect()
}

/// Starts the daemon again and again, and ends it each time after new lines were seen in the ledger. Answers every
/// body that must have run in the end.
fn work_through(world: &World, mut end: impl FnMut(Daemon)) -> Vec<String> {
    let messages = bodies();
    world.send("work", &messages);
    let mut tasks = Vec::new();
    for round in 1..=ENDS {
        let daemon = world.start();
        let due = now_s() + i64::try_from(round % 3).unwrap();
        let portion: Vec<_> = (0..FOREIGN / ENDS)
            .map(|n| (format!("foreign-{round}-{n}"), due))
            .collect();
        world.insert_tasks(&portion);
        tasks.extend(portion.into_iter().map(|(params, _)| params));
        let seen = world.ledger_len();
        let wanted = (MESSAGES * round / (ENDS + 2)).max(seen + 1);
        wait_until("new lines in the ledger", LONG_PATIENCE, || {
            world.ledger_len() >= wanted
        });
        random_moment(LONGEST_MOMENT);
        end(daemon);
    }
    let waiting = world
        .database()
        .number("SELECT count(*) AS n FROM queue_message");
    assert!(
        waiting > 0,
        "all was done before the last end, which therefore showed nothing"
    );
    let daemon = world.start();
    world.wait_drained();
    daemon.stop();
    let pushed = messages
        .iter()
        .filter_map(|body| Some(body.strip_prefix("push:")?[2..].to_owned()));
    tasks.extend(pushed);
    assert_eq!(tasks.len(), PUSHED + FOREIGN);
    tasks.extend(messages);
    tasks
}

fn nothing_is_lost(world: &World, ledger: &Ledger, bodies: &[String]) {
    assert_eq!(ledger.missing(bodies), [""; 0]);
    let mut database = world.database();
    let unfinished = "SELECT count(*) AS n FROM delay_queue_log WHERE status <> 3";
    assert_eq!(database.number(unfinished), 0);
    assert!(
        world.dead_letters().is_empty(),
        "{:?}",
        world.dead_letters()
    );
    let attempts: Vec<_> = ledger
        .lines
        .iter()
        .filter(|line| line.attempt != 1)
        .collect();
    assert_eq!(
        attempts.len(),
        0,
        "an attempt was counted: {:?}",
        attempts[0]
    );
    world.wait_empty();
}

#[test]
fn ten_kills_lose_nothing_and_repeat_only_what_was_in_flight() {
    let world = world();
    let mut kills = Vec::new();
    let bodies = work_through(&world, |daemon| kills.push(daemon.kill()));
    let ledger = world.ledger();
    nothing_is_lost(&world, &ledger, &bodies);
    let (doubled, oldest) = only_what_was_in_flight_ran_twice(&ledger, &kills);
    println!(
        "{ENDS} kills: {} runs of {} messages and tasks, {doubled} of them more than once, {oldest:?} before the kill at most",
        ledger.lines.len(),
        bodies.len(),
    );
}

#[test]
fn kills_beside_a_living_daemon_repeat_only_what_was_in_flight() {
    let world = world();
    world.migrate();
    let living = world.start();
    let mut kills = Vec::new();
    let bodies = work_through(&world, |daemon| kills.push(daemon.kill()));
    living.stop();
    let ledger = world.ledger();
    nothing_is_lost(&world, &ledger, &bodies);
    let (doubled, oldest) = only_what_was_in_flight_ran_twice(&ledger, &kills);
    println!(
        "{ENDS} kills beside a living daemon: {} runs of {} messages and tasks, {doubled} of them more than once, {oldest:?} before the kill at most",
        ledger.lines.len(),
        bodies.len(),
    );
}

#[test]
fn ten_stops_lose_nothing_and_double_nothing() {
    let world = world();
    let mut longest = Duration::ZERO;
    let bodies = work_through(&world, |daemon| longest = longest.max(daemon.stop()));
    let ledger = world.ledger();
    nothing_is_lost(&world, &ledger, &bodies);
    assert!(ledger.doubled().is_empty(), "{:#?}", ledger.doubled());
    assert_eq!(ledger.lines.len(), bodies.len());
    assert!(longest <= SHUTDOWN_DEADLINE, "{longest:?}");
    println!(
        "{ENDS} stops: {} runs of {} messages and tasks, the longest stop {longest:?}",
        ledger.lines.len(),
        bodies.len()
    );
}
