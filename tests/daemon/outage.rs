//! The database hangs, crashes and comes back, while two daemons have work.
//!
//! The full size, in which it hangs for 20 seconds: `FULL_SIZE=1 cargo test --test daemon outage`.

use std::env;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::engine::{Engine, OwnServer, on_each_database, on_each_server};
use crate::ledger::Ledger;
use crate::process::Daemon;
use crate::wait::{LONG_PATIENCE, PATIENCE, now_s, random_moment, wait_until};
use crate::world::World;

const PARTITIONS: [&str; 2] = ["script1", "script2"];
const MESSAGES: usize = 3_000;
const TASKS: usize = 1_200;
/// One message in this many pushes a task: pushes wait for the database as well.
const PUSHES_EVERY: usize = 10;
/// Some of the tasks become due before the outage, some in it and some after.
const DUE_WITHIN_S: usize = 10;
/// How long a server that crashed is away.
const AWAY: Duration = Duration::from_secs(3);
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(4);
/// The process must be gone so soon after its deadline; for a busy machine.
const SLACK: Duration = Duration::from_secs(1);

on_each_database! { world =>
    a_database_that_hung_loses_and_repeats_nothing,
    a_stop_meanwhile_ends_in_time_and_says_what_it_could_not_write,
}
on_each_server! { world =>
    a_server_that_crashed_loses_and_repeats_nothing,
    a_daemon_that_starts_meanwhile_waits_for_the_server,
}

/// Longer than three heartbeats in any case.
fn hanging_time() -> Duration {
    match env::var_os("FULL_SIZE") {
        Some(_) => Duration::from_secs(20),
        None => Duration::from_secs(5),
    }
}

fn world(engine: Engine) -> Option<(World, OwnServer)> {
    let server = OwnServer::of(engine)?;
    let world = World::at(
        engine,
        server.database(),
        json!({ "heartbeat_interval": "500ms", "shutdown_deadline": SHUTDOWN_DEADLINE.as_secs() }),
    );
    let queue = json!([{
        "name": "work", "exec_cmd": "ledger", "table": "work", "progress": 4,
        "progress_lag_limit": 1_000_000, "progress_avg_msgcount": 1000, "status": 1,
    }]);
    for partition in PARTITIONS {
        world.partition(partition, &queue, &json!([]));
    }
    Some((world, server))
}

/// Work for about ten seconds. Answers the messages, and the tasks that must run.
fn insert_work(world: &World) -> (Vec<String>, Vec<String>) {
    let message = |n: usize| match n % PUSHES_EVERY {
        3 => format!("push:{}:pushed-{n}", n % 4),
        _ => format!("sleep:20:{n}"),
    };
    let messages: Vec<String> = (0..MESSAGES).map(message).collect();
    let pushed = messages.iter().filter(|body| body.starts_with("push:"));
    let mut tasks: Vec<String> = pushed.map(|body| body[7..].to_owned()).collect();
    let begun = now_s();
    let task = |n: usize| {
        let due = begun + i64::try_from(n % DUE_WITHIN_S).unwrap();
        (format!("sleep:10:task-{n}"), due)
    };
    let rows: Vec<_> = (0..TASKS).map(task).collect();
    world.insert_tasks(&rows);
    world.send("work", &messages);
    tasks.extend(rows.into_iter().map(|(params, _)| params));
    (messages, tasks)
}

fn wait_for_progress(world: &World, lines: usize) {
    let wanted = world.ledger_len() + lines;
    wait_until("more to run", LONG_PATIENCE, || {
        world.ledger_len() >= wanted
    });
}

/// How many log lines report that the database went away, and that it is back.
fn outage_lines(daemon: &Daemon) -> (usize, usize) {
    let log = daemon.log();
    let lines = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    (lines(" is away"), lines(" is back after "))
}

/// Everything ran, and as nobody died, once.
#[track_caller]
fn everything_ran_once(world: &World, ledger: &Ledger, messages: &[String], tasks: &[String]) {
    assert_eq!(ledger.missing(messages.iter().chain(tasks)), [""; 0]);
    let doubled = ledger.doubled();
    assert!(
        doubled.is_empty(),
        "{} ran twice: {:#?}",
        doubled.len(),
        doubled[0]
    );
    assert_eq!(ledger.lines.len(), messages.len() + tasks.len());
    let counted = ledger.lines.iter().find(|line| line.attempt != 1);
    assert!(counted.is_none(), "an attempt was counted: {counted:?}");
    let mut database = world.database();
    let unfinished = "SELECT count(*) FROM delay_queue_log WHERE status <> 3";
    assert_eq!(database.number(unfinished), 0);
    let rows = database.number("SELECT count(*) FROM delay_queue_log");
    assert_eq!(usize::try_from(rows).unwrap(), tasks.len());
}

#[track_caller]
fn nothing_was_taken_from_the_living(world: &World, daemons: &[Daemon]) {
    let judged = "SELECT count(*) FROM boot WHERE state = 3";
    assert_eq!(world.database().number(judged), 0);
    for daemon in daemons {
        for taken in [
            "silent for three heartbeats",
            "others took over",
            "came too late",
        ] {
            assert!(!daemon.log().contains(taken), "{}", daemon.log());
        }
    }
}

/// Whether each outage is noticed. One that is over before anybody has waited too long is none.
#[derive(PartialEq)]
enum Noticed {
    Each,
    Perhaps,
}

/// Two daemons work, the database goes away twice and comes back, and they go on.
fn work_through(world: &World, noticed: Noticed, mut outage: impl FnMut()) {
    const OUTAGES: usize = 2;
    world.migrate();
    let (messages, tasks) = insert_work(world);
    let daemons = PARTITIONS.map(|name| world.start_as(name));
    for number in 1..=OUTAGES {
        wait_for_progress(world, 100);
        random_moment(Duration::from_millis(300));
        outage();
        if noticed == Noticed::Each {
            wait_until("both to find it again", PATIENCE, || {
                daemons
                    .iter()
                    .all(|daemon| outage_lines(daemon).1 == number)
            });
        }
        wait_for_progress(world, 100);
    }
    world.wait_drained();
    nothing_was_taken_from_the_living(world, &daemons);
    let ledger = world.ledger();
    everything_ran_once(world, &ledger, &messages, &tasks);
    for daemon in daemons {
        // One outage is two lines.
        let (away, back) = outage_lines(&daemon);
        assert!(away == back && away <= OUTAGES, "{}", daemon.log());
        daemon.stop();
    }
    println!(
        "{:?}: {} messages and tasks ran once through {OUTAGES} outages",
        world.engine,
        ledger.lines.len()
    );
}

fn a_database_that_hung_loses_and_repeats_nothing((world, server): (World, OwnServer)) {
    let noticed = match env::var_os("FULL_SIZE") {
        Some(_) => Noticed::Each,
        None => Noticed::Perhaps,
    };
    work_through(&world, noticed, || {
        server.hang(&world);
        thread::sleep(hanging_time());
        server.go_on();
    });
}

fn a_server_that_crashed_loses_and_repeats_nothing((world, server): (World, OwnServer)) {
    work_through(&world, Noticed::Each, || {
        server.crash();
        thread::sleep(AWAY);
        server.start();
    });
}

fn a_daemon_that_starts_meanwhile_waits_for_the_server((world, server): (World, OwnServer)) {
    world.migrate();
    world.insert_tasks(&[("waiting".to_owned(), now_s())]);
    server.crash();
    let mut daemon = world.spawn(&["--partition", "script1", "run"]);
    daemon.wait_log(" is away");
    server.start();
    daemon.wait_ready();
    world.wait_drained();
    assert_eq!(outage_lines(&daemon), (1, 1), "{}", daemon.log());
    daemon.stop();
    assert_eq!(world.ledger().attempts_of("waiting"), [1]);
}

fn a_stop_meanwhile_ends_in_time_and_says_what_it_could_not_write(
    (world, server): (World, OwnServer),
) {
    const RUNNING: usize = 50;
    world.migrate();
    // They begin together and end one after the other.
    let due = now_s() + 2;
    let tasks: Vec<_> = (0..RUNNING)
        .map(|n| (format!("sleep:{}:{n}", 40 * n), due))
        .collect();
    world.insert_tasks(&tasks);
    let mut daemon = world.start();
    wait_until("the first to have run", PATIENCE, || {
        world.ledger_len() >= RUNNING / 10
    });
    server.hang(&world);
    // These jobs end now, and their results cannot be written.
    wait_for_progress(&world, RUNNING / 10);
    let begun = Instant::now();
    daemon.signal(Signal::TERM);
    let (status, _) = daemon.wait_end(PATIENCE);
    let took = begun.elapsed();
    server.go_on();
    assert!(took <= SHUTDOWN_DEADLINE + SLACK, "{took:?}");
    assert_eq!(status.code(), Some(1), "{}", daemon.log());
    let said = daemon.wait_log("could not be written to the database");
    assert!(said.contains("runs again"), "{said}");

    // What could not be written was in flight: it runs again, and nothing is lost.
    let again = world.start();
    world.wait_drained();
    again.stop();
    let ledger = world.ledger();
    for (params, _) in &tasks {
        let attempts = ledger.attempts_of(params);
        assert!(
            attempts == [1] || attempts == [1, 1],
            "{params}: {attempts:?}"
        );
    }
    assert!(!ledger.doubled().is_empty(), "all ends were written");
    println!(
        "{:?}: a stop while the database hangs: {took:?}, {} of {RUNNING} ran again",
        world.engine,
        ledger.doubled().len()
    );
}
