//! Code of a program that is no handler (`App::spawn`), in the example `context`: it pushes from wherever it is, comes back
//! when it fails, and ends with the daemon.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::process::Daemon;
use crate::wait::{PATIENCE, wait_for, wait_until};
use crate::world::{World, example};

/// For a stop's own work, on a busy machine.
const SLACK: Duration = Duration::from_secs(2);

fn world(shutdown_deadline: &str) -> World {
    World::new(
        json!({ "shutdown_deadline": shutdown_deadline, "app": { "listen": "127.0.0.1:0" } }),
    )
}

fn start(world: &World) -> Daemon {
    let mut daemon = world.spawn_command(world.command_of(&example("context"), &["run"]));
    daemon.wait_ready();
    daemon
}

/// A connection to the own code as it was started for the `run`-th time.
fn connect(daemon: &mut Daemon, run: usize) -> TcpStream {
    const LISTENS: &str = "own code listens on ";
    let address = wait_for("the own code to listen", PATIENCE, || {
        let log = daemon.log();
        let line = log
            .lines()
            .filter(|line| line.contains(LISTENS))
            .nth(run - 1)?;
        Some(line.rsplit(' ').next().unwrap().to_owned())
    });
    let connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    connection
}

/// The answer to a line; empty where the own code failed over it.
fn ask(connection: &mut TcpStream, line: &str) -> String {
    connection
        .write_all(format!("{line}\n").as_bytes())
        .unwrap();
    let mut answer = String::new();
    // A reset is an end as well.
    let _ = BufReader::new(connection).read_line(&mut answer);
    answer.trim().to_owned()
}

fn notes(world: &World) -> Vec<String> {
    let notes = fs::read_to_string(world.path("notes")).unwrap_or_default();
    notes.lines().map(str::to_owned).collect()
}

#[test]
fn it_pushes_in_place_from_a_thread_and_from_an_actor() {
    let world = world("25s");
    let mut daemon = start(&world);
    let mut connection = connect(&mut daemon, 1);
    for (number, how) in ["here", "thread", "actor"].into_iter().enumerate() {
        let answer = ask(&mut connection, &format!("{how}:from {how}"));
        assert_eq!(answer, format!("[{}]", number + 1));
    }
    wait_until("the tasks to run", PATIENCE, || notes(&world).len() == 3);
    let mut ran = notes(&world);
    ran.sort();
    assert_eq!(ran, ["from actor", "from here", "from thread"]);
    drop(connection);
    daemon.stop();
    assert!(world.all_logs().contains("own code ends after 3 tasks"));
}

#[test]
fn it_is_started_again_after_an_error_and_a_panic() {
    let world = world("25s");
    let mut daemon = start(&world);
    for (run, what) in [(1, "fail"), (2, "panic")] {
        assert_eq!(ask(&mut connect(&mut daemon, run), what), "");
        daemon.wait_log(&format!("the line says {what}"));
    }
    let mut connection = connect(&mut daemon, 3);
    assert_eq!(ask(&mut connection, "here:again"), "[1]");
    wait_until("the task to run", PATIENCE, || notes(&world) == ["again"]);
    drop(connection);
    let log = daemon.log();
    let failed: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("is started again in"))
        .collect();
    assert_eq!(failed.len(), 2, "{log}");
    assert!(
        failed
            .iter()
            .all(|line| line.contains("examples/context.rs:")),
        "{failed:?}"
    );
    daemon.stop();
}

#[test]
fn it_ends_with_a_stop_that_waits_for_its_last_pushes() {
    let world = world("25s");
    let daemon = start(&world);
    let took = daemon.stop();
    assert!(took < Duration::from_secs(25), "{took:?}");
    let pushed =
        "SELECT count(*) AS n FROM delay_queue_log WHERE params = 'the last words' AND owner = ''";
    assert_eq!(world.database().number(pushed), 1);
    // What was pushed during the stop is done by the next daemon.
    let daemon = start(&world);
    wait_until("the last words", PATIENCE, || {
        notes(&world) == ["the last words"]
    });
    daemon.stop();
}

#[test]
fn it_pushes_until_the_deadline_of_a_stop_and_not_longer() {
    let world = world("2s");
    let mut daemon = start(&world);
    let mut connection = connect(&mut daemon, 1);
    connection.write_all(b"linger\n").unwrap();
    wait_until("it to linger", PATIENCE, || !notes(&world).is_empty());
    daemon.signal(Signal::TERM);
    let (status, took) = daemon.wait_end(PATIENCE);
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    assert!(took < Duration::from_secs(2) + SLACK, "{took:?}");
    assert!(
        daemon
            .log()
            .contains("did not end by the deadline and is dropped"),
        "{}",
        daemon.log()
    );
    let mut database = world.database();
    let pushed = "SELECT count(*) AS n FROM delay_queue_log WHERE params = 'during the stop'";
    assert!(database.number(pushed) > 10, "{}", database.number(pushed));
    let claimed = "SELECT count(*) AS n FROM delay_queue_log WHERE status = 2";
    assert_eq!(database.number(claimed), 0);
}

#[test]
fn commands_and_cron_runs_do_not_start_it() {
    let world = world("25s");
    let program = example("context");
    let statement =
        json!({ "database": "main", "kind": "sqlite", "statement": "CREATE TABLE t (n int)" });
    let settings = json!({
        "app": { "listen": "127.0.0.1:0" },
        "databases": { "main": { "url": "sqlite://main.db" } },
    });
    world.etc("dev.json", &settings);
    for words in [
        vec!["exec", "sql", &statement.to_string()],
        vec!["push", "note", "--delay-time", "60"],
    ] {
        let output = world.command_of(&program, &words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {said}");
        assert!(!said.contains("own code"), "{words:?}: {said}");
    }
}
