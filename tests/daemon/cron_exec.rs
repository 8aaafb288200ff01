//! What happens in a run's process before its handler: nothing that needs a server.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::engine::Engine;
use crate::process::Daemon;
use crate::wait::{PATIENCE, wait_until};
use crate::world::World;

/// A crontab of a size that would be noticed if each run read it.
const ENTRIES: usize = 1000;

fn big_crontab() -> serde_json::Value {
    let entry = |n: usize| json!({ "cron": format!("{} {} 3 1 1 *", n % 60, n / 60), "name": format!("entry {n}"), "exec_cmd": "noop", "status": 1 });
    (0..ENTRIES).map(entry).collect()
}

#[test]
fn a_run_reaches_its_handler_with_the_database_locked_and_no_server_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let server = listener.local_addr().unwrap();
    let world = World::new(json!({
        "databases": { "main": { "url": format!("mysql://u:p@{server}/d") } },
        "redis": { "default": { "url": format!("redis://{server}/0") } },
        "kafka": { "default": { "brokers": server.to_string() } },
    }));
    let mut database = world.migrate();
    database.execute("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; DELETE FROM boot");
    assert!(world.database().is_away(), "nobody else can even look");
    let run = world.spawn(&["exec", "--uk", "a-1", "ledger", "x"]);
    wait_until("the handler to run", PATIENCE, || world.ledger_len() == 1);
    drop(database);
    ended_well(run);
    assert!(listener.accept().is_err(), "nobody asked for a server");
}

#[test]
fn a_run_reaches_its_handler_without_a_connection_to_the_database() {
    for (engine, scheme) in [
        (Engine::MariaDb, "mysql"),
        (Engine::MySql, "mysql"),
        (Engine::Postgres, "postgres"),
    ] {
        // Somebody who would take a connection, and never answers.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let server = listener.local_addr().unwrap();
        let world = World::at(engine, format!("{scheme}://u:p@{server}/d"), json!({}));
        for by_hand in [
            &["exec", "ledger", "hang:x"][..],
            &["exec", "--uk", "a-1", "ledger", "hang:x"],
        ] {
            let before = world.ledger_len();
            let run = world.spawn(by_hand);
            wait_until("the handler to run", PATIENCE, || {
                world.ledger_len() > before
            });
            assert!(
                listener.accept().is_err(),
                "{scheme}: nobody asked for the database"
            );
            run.kill();
        }
    }
}

#[test]
fn a_run_by_hand_reaches_its_handler_before_there_is_a_database() {
    let world = World::new(json!({}));
    world.output(&["exec", "ledger", "x"]);
    assert_eq!(world.ledger_len(), 1);
    assert!(!world.path("data/simplest_script.db").exists());
    world.output(&["exec", "ledger", "push:3600:later"]);
    let mut database = world.database();
    let pushed = "SELECT params AS t FROM delay_queue_log";
    assert_eq!(database.texts(pushed), ["later"]);
}

#[test]
fn a_run_needs_no_crontab_and_one_by_hand_says_what_is_wrong_with_it() {
    let world = World::new(json!({}));
    world.migrate();
    world.etc_text("crontab_script1.json", "[{");
    ended_well(world.spawn(&["exec", "--uk", "a-1", "ledger", "x"]));
    assert_eq!(world.ledger_len(), 1);
    let by_hand = world.run(&["exec", "ledger", "x"]);
    assert_eq!(by_hand.status.code(), Some(2));
}

/// The time of a whole run, beside that of `--version`, which only loads the program; the best of some.
#[test]
fn a_run_takes_little_longer_than_its_program_takes_to_load() {
    let world = World::new(json!({}));
    world.partition("script1", &json!([]), &big_crontab());
    world.migrate();
    let best = |args: &[&str]| -> Duration {
        let time = || {
            let begun = Instant::now();
            let mut command: Command = world.command(args);
            let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
            assert!(status.unwrap().success(), "{args:?}");
            begun.elapsed()
        };
        (0..10).map(|_| time()).min().unwrap()
    };
    let load = best(&["--version"]);
    let run = best(&["exec", "--uk", "a-1", "noop"]);
    let by_hand = best(&["exec", "noop"]);
    println!("{ENTRIES} entries: `--version` {load:?}, a run {run:?}, one by hand {by_hand:?}");
    assert!(run < by_hand, "a run does not read the crontab");
    assert!(fs::exists(world.path("data/runs/a-1.json")).unwrap());
}

#[track_caller]
fn ended_well(mut run: Daemon) {
    let (status, _) = run.wait_end(PATIENCE);
    assert!(status.success(), "{}", run.log());
}
