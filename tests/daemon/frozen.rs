//! A daemon that falls silent in the middle of a transaction: its connection stays, and so do its locks.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::database::Database;
use crate::engine::{Engine, OwnServer, on_each_server};
use crate::process::{Daemon, wait_stopped};
use crate::wait::{LONG_PATIENCE, PATIENCE, random_moment, wait_until};
use crate::world::World;

const MESSAGES: usize = 3_000;
/// What is sent when it is silent.
const MORE: usize = 500;
/// From the start of the other daemon until it has taken over and done what is not locked: with heartbeats of 300 ms four
/// seconds, on a machine of its own. Nobody may wait for the end of the locks, by whatever time-out: the shortest of a
/// server, that of InnoDB, is 50 seconds.
const TAKEN_OVER: Duration = Duration::from_secs(40);
/// The other daemon then works at its usual pace: half a second, on a machine of its own.
const NOT_HELD_UP: Duration = Duration::from_secs(20);

on_each_server!(world =>
    a_daemon_that_falls_silent_in_a_transaction_holds_up_nobody,
    an_operator_who_locks_a_row_holds_up_that_row,
);

fn world(engine: Engine) -> Option<(World, OwnServer)> {
    World::on_own_server(engine, json!({ "heartbeat_interval": "300ms" }))
}

/// How many rows that are claimed are locked as well: a transaction is about to end them.
fn locked(database: &mut Database) -> i64 {
    let claimed = "FROM queue_message WHERE owner <> ''";
    let all = database.number(&format!("SELECT count(*) {claimed}"));
    let free = database.rows(&format!("SELECT id {claimed} FOR UPDATE SKIP LOCKED"));
    all - i64::try_from(free.len()).unwrap()
}

fn fall_silent_in_a_transaction(daemon: &Daemon, database: &mut Database) {
    wait_until("a moment in a transaction", LONG_PATIENCE, || {
        random_moment(Duration::from_millis(20));
        daemon.signal(Signal::STOP);
        wait_stopped(daemon.pid());
        // The server may still be at its last statement.
        thread::sleep(Duration::from_millis(20));
        let found = locked(database) > 0;
        if !found {
            daemon.signal(Signal::CONT);
        }
        found
    });
}

fn a_daemon_that_falls_silent_in_a_transaction_holds_up_nobody(
    (world, _server): (World, OwnServer),
) {
    let mut database = world.migrate();
    let messages: Vec<String> = (0..MESSAGES).map(|n| format!("sleep:5:{n}")).collect();
    world.send("work", &messages);
    let silent = world.start();
    fall_silent_in_a_transaction(&silent, &mut database);
    let begun = Instant::now();
    let other = world.start();
    wait_until("what is not locked to have run", TAKEN_OVER, || {
        let free = "SELECT id FROM queue_message WHERE owner = '' FOR UPDATE SKIP LOCKED";
        other.log().contains("silent for three heartbeats") && database.rows(free).is_empty()
    });
    let taken_over = begun.elapsed();
    assert!(taken_over < TAKEN_OVER, "{taken_over:?}");

    let more: Vec<String> = (0..MORE).map(|n| format!("more-{n}")).collect();
    let begun = Instant::now();
    world.send("work", &more);
    wait_until("new work to be done", LONG_PATIENCE, || {
        world.ledger().missing(&more).is_empty()
    });
    let took = begun.elapsed();
    assert!(took < NOT_HELD_UP, "{took:?}");

    silent.signal(Signal::CONT);
    world.wait_drained();
    silent.stop();
    other.stop();
    let ledger = world.ledger();
    assert_eq!(ledger.missing(messages.iter().chain(&more)), [""; 0]);
    println!(
        "{:?}: beside a daemon that is silent in a transaction another starts and takes over in {taken_over:?}; {MORE} messages then take {took:?}",
        world.engine
    );
}

/// The message ends while its row is locked; its end waits for the operator, and nobody waits for it.
fn an_operator_who_locks_a_row_holds_up_that_row((world, _server): (World, OwnServer)) {
    let mut operator = world.migrate();
    let slow = "sleep:1000:slow".to_owned();
    world.send("work", [&slow]);
    let mut daemon = world.start();
    let claimed = "SELECT id FROM queue_message WHERE owner <> ''";
    wait_until("the message to run", PATIENCE, || {
        !operator.rows(claimed).is_empty()
    });
    // By its key: MariaDB would lock the gaps around it too, and nothing could be sent.
    let id = operator.number(claimed);
    operator.execute("BEGIN");
    let lock = format!("SELECT id FROM queue_message WHERE id = {id} FOR UPDATE");
    assert_eq!(operator.rows(&lock).len(), 1);
    daemon.wait_log("1 ends cannot be written yet");

    let more: Vec<String> = (0..MORE).map(|n| format!("more-{n}")).collect();
    let begun = Instant::now();
    world.send("work", &more);
    wait_until("the others to be done", LONG_PATIENCE, || {
        world
            .database()
            .number("SELECT count(*) FROM queue_message")
            == 1
    });
    let took = begun.elapsed();
    assert!(took < NOT_HELD_UP, "{took:?}");
    assert!(!daemon.log().contains("is away"), "{}", daemon.log());

    operator.execute("ROLLBACK");
    daemon.wait_log("all ends are written after");
    world.wait_drained();
    daemon.stop();
    assert_eq!(world.ledger().of_body(&slow).len(), 1, "it ran once");
}
