//! Dead letters: found, run again, deleted, from the command line.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::process::signal_pid;
use crate::wait::{LONG_PATIENCE, PATIENCE, random_moment, wait_until};
use crate::world::World;

fn queue(name: &str, table: &str) -> Value {
    json!({
        "name": name, "exec_cmd": "ledger", "table": table, "progress": 2, "progress_lag_limit": 1000,
        "progress_avg_msgcount": 1000, "status": 1, "max_attempts": 2, "backoff": "10ms",
    })
}

fn world() -> World {
    let world = World::new(json!({
        "delayed": { "ledger": { "max_attempts": 2, "backoff": "10ms" } },
    }));
    let queues = json!([queue("work", "work_table"), queue("other", "other_table")]);
    world.partition("script1", &queues, &json!([]));
    world.partition(
        "script2",
        &json!([queue("theirs", "their_table")]),
        &json!([]),
    );
    world
}

/// Dead letters as a daemon would have left them: (kind, source, name, exec_cmd, payload, error).
fn insert_dead_letters(world: &World, dead_letters: &[(&str, &str, &str, &str, &str, &str)]) {
    let mut rows = String::new();
    for (kind, source, name, exec_cmd, payload, error) in dead_letters {
        let _ = write!(
            rows,
            "{} ('{kind}', '{source}', '{name}', '{exec_cmd}', '1', CAST('{payload}' AS BLOB), '{error}', 2, 'script1', 1, 1000)",
            if rows.is_empty() { "" } else { "," }
        );
    }
    world.database().execute(&format!(
        "INSERT INTO dead_letter (kind, source, name, exec_cmd, original_id, payload, error, attempts, partition_name, first_ms, died_ms) VALUES {rows}"
    ));
}

/// Exit status and standard error of a command that must not succeed; its standard output.
#[track_caller]
fn fails(world: &World, args: &[&str], code: i32) -> (String, String) {
    let output = world.run(args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    (said, String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn dead_letters_run_again_while_the_daemon_runs_and_their_attempts_begin_anew() {
    let world = world();
    let daemon = world.start();
    world.output(&[
        "send",
        "work",
        "fail:message",
        "--key",
        "k",
        "--header",
        "a=b",
    ]);
    world.output(&[
        "push",
        "ledger",
        "--params",
        "fail:task",
        "--delay-time",
        "0",
    ]);
    wait_until("both to be dead", PATIENCE, || {
        world.dead_letters().len() == 2
    });
    let before = world.dead_letters();
    for dead_letter in &before {
        assert_eq!(dead_letter["attempts"], 2, "{dead_letter}");
    }
    let message = before
        .iter()
        .find(|dead_letter| dead_letter["kind"] == "queue")
        .unwrap();
    assert_eq!(
        (&message["key"], &message["headers"]),
        (&json!("k"), &json!([["a", "b"]]))
    );

    let said = world.output(&["dead", "replay", "--yes"]);
    assert_eq!(
        said,
        "delayed task `ledger`: 1 dead letter runs again\nqueue `work`: 1 dead letter runs again\n"
    );
    let old: Vec<&Value> = before
        .iter()
        .map(|dead_letter| &dead_letter["id"])
        .collect();
    wait_until("both to be dead again", PATIENCE, || {
        let dead_letters = world.dead_letters();
        dead_letters.len() == 2
            && dead_letters
                .iter()
                .all(|dead_letter| !old.contains(&&dead_letter["id"]))
    });
    daemon.stop();
    let ledger = world.ledger();
    for body in ["fail:message", "fail:task"] {
        assert_eq!(ledger.attempts_of(body), [1, 2, 1, 2], "{body}");
    }
    let after = world.dead_letters();
    let message = after
        .iter()
        .find(|dead_letter| dead_letter["kind"] == "queue")
        .unwrap();
    assert_eq!(
        (&message["key"], &message["headers"]),
        (&json!("k"), &json!([["a", "b"]]))
    );
    let rows = "SELECT count(*) AS n FROM delay_queue_log WHERE status = 4";
    assert_eq!(
        world.database().number(rows),
        2,
        "the new row, and the old one as it was"
    );
}

#[test]
fn dead_letters_that_are_replayed_without_a_daemon_run_when_there_is_one() {
    let world = world();
    world.migrate();
    insert_dead_letters(
        &world,
        &[
            ("queue", "work_table", "work", "ledger", "first", "boom"),
            (
                "queue",
                "other_table",
                "other",
                "ledger",
                "second",
                "Connection refused: 100%",
            ),
            ("delay", "delay_queue_log", "n", "ledger", "third", "boom"),
        ],
    );
    assert_eq!(
        world.output(&["dead", "replay", "--error", "REFUSED: 100%"]),
        "queue `other`: 1 dead letter runs again\n"
    );
    assert_eq!(
        world.output(&["dead", "replay", "--kind", "delay"]),
        "delayed task `ledger`: 1 dead letter runs again\n"
    );
    assert_eq!(
        world.output(&["dead", "replay", "--queue", "other"]),
        "no dead letter runs again\n"
    );
    let left = world.dead_letters();
    assert_eq!(left.len(), 1);
    let id = left[0]["id"].to_string();
    assert_eq!(
        world.output(&["dead", "replay", &id]),
        "queue `work`: 1 dead letter runs again\n"
    );
    let (said, _) = fails(&world, &["dead", "replay", &id], 1);
    assert_eq!(said, format!("there is no such dead letter: {id}\n"));
    let daemon = world.start();
    world.wait_drained();
    daemon.stop();
    let ledger = world.ledger();
    for body in ["first", "second", "third"] {
        assert_eq!(ledger.attempts_of(body), [1], "{body}");
    }
}

#[test]
fn what_cannot_run_here_stays_and_is_named_with_what_would_be_right() {
    let world = world();
    world.migrate();
    insert_dead_letters(
        &world,
        &[
            ("queue", "t", "wrok", "ledger", "a", "e"),
            ("delay", "delay_queue_log", "n", "ledgre", "b", "e"),
            ("queue", "their_table", "theirs", "ledger", "c", "e"),
            ("queue", "work_table", "work", "ledger", "good", "e"),
        ],
    );
    world
        .database()
        .execute("UPDATE dead_letter SET partition_name = 'script2' WHERE name = 'theirs'");
    let (said, done) = fails(&world, &["dead", "replay", "--yes"], 1);
    assert_eq!(
        done, "queue `work`: 1 dead letter runs again\n",
        "the others do not wait for them"
    );
    assert_eq!(
        said,
        "dead letter 1 (`wrok`) stays: no queue `wrok` is configured here; did you mean `work`?\n\
         dead letter 2 (`n`) stays: no delayed task `ledgre` is registered; did you mean `ledger`?\n\
         dead letter 3 (`theirs`) stays: its queue `theirs` is partition `script2`'s: `--partition script2` would be right\n"
    );
    assert_eq!(world.dead_letters().len(), 3);
    assert_eq!(
        world.output(&["--partition", "script2", "dead", "replay", "3"]),
        "queue `theirs`: 1 dead letter runs again\n"
    );
}

#[test]
fn dead_letters_are_listed_and_deleted_by_what_they_are() {
    let world = world();
    world.migrate();
    let dead_letters: Vec<_> = (0..6)
        .map(|n| {
            let (kind, name) = [("queue", "work"), ("delay", "n")][n % 2];
            (kind, "s", name, "ledger", "x", "e")
        })
        .collect();
    insert_dead_letters(&world, &dead_letters);
    let hour = "UPDATE dead_letter SET died_ms = CAST(strftime('%s', 'now') AS INTEGER) * 1000 - id * 3600000";
    world.database().execute(hour);
    let ids = |args: &[&str]| {
        let args = [&["dead", "list", "--json"], args].concat();
        let text = world.output(&args);
        let id = |line: &str| {
            serde_json::from_str::<Value>(line).unwrap()["id"]
                .as_i64()
                .unwrap()
        };
        text.lines().map(id).collect::<Vec<_>>()
    };
    assert_eq!(ids(&[]), [6, 5, 4, 3, 2, 1]);
    assert_eq!(ids(&["--kind", "table", "--limit", "2"]), [5, 3]);
    assert_eq!(ids(&["--since", "3h30m"]), [3, 2, 1]);
    assert_eq!(ids(&["--until", "3h30m", "--name", "n"]), [6, 4]);
    assert_eq!(
        world.output(&["dead", "purge", "--older-than", "4h30m"]),
        "deleted: 2\n"
    );
    let (said, done) = fails(&world, &["dead", "purge", "4", "4", "99"], 1);
    assert_eq!(
        (said.as_str(), done.as_str()),
        ("there is no such dead letter: 99\n", "deleted: 1\n")
    );
    for all in ["purge", "replay"] {
        let (said, _) = fails(&world, &["dead", all], 2);
        assert!(said.contains("say `--yes`"), "{said}");
    }
    assert_eq!(ids(&[]), [3, 2, 1]);
    let (said, _) = fails(&world, &["dead", "list", "--since", "yesterday"], 2);
    assert!(said.contains("neither a duration"), "{said}");
    assert_eq!(world.output(&["dead", "purge", "--yes"]), "deleted: 3\n");
    assert_eq!(world.output(&["dead", "list"]), "no dead letters\n");
}

/// A topic of a cluster inside the daemon.
fn clicks() -> World {
    let world = World::new(json!({ "kafka": { "default": { "brokers": "mock://1" } } }));
    let topic = json!([{
        "name": "clicks", "exec_cmd": "ledger", "topic": "clicks", "group_id": "g", "progress": 1,
        "progress_lag_limit": 1000, "progress_avg_msgcount": 1000, "status": 1, "max_attempts": 2,
        "backoff": "10ms",
    }]);
    world.partition("script1", &topic, &json!([]));
    world.migrate();
    world
}

/// Though its topic has nothing to give, and whatever becomes of the topic meanwhile.
#[test]
fn a_dead_letter_of_a_topic_runs_beside_the_topic_and_is_known_by_the_id_it_had() {
    let world = clicks();
    let dead_letter = |payload| ("kafka", "clicks", "clicks", "ledger", payload, "e");
    insert_dead_letters(&world, &[dead_letter("good"), dead_letter("fail:bad")]);
    world
        .database()
        .execute("UPDATE dead_letter SET original_id = 'clicks/0/' || id");
    let daemon = world.start();
    assert_eq!(
        world.output(&["dead", "replay", "--yes"]),
        "queue `clicks`: 2 dead letters run again\n"
    );
    wait_until(
        "one to be done, and one to be dead again",
        LONG_PATIENCE,
        || world.ledger_len() == 3 && world.dead_letters().len() == 1,
    );
    daemon.stop();
    let ledger = world.ledger();
    assert_eq!(
        (ledger.attempts_of("good"), ledger.attempts_of("fail:bad")),
        (vec![1], vec![1, 2])
    );
    assert_eq!(ledger.of_body("good")[0].id, "clicks/0/1");
    let dead_letter = world.dead_letters().remove(0);
    let from = [
        &dead_letter["kind"],
        &dead_letter["source"],
        &dead_letter["original_id"],
    ];
    assert_eq!(
        from,
        ["kafka", "clicks", "clicks/0/2"],
        "it died again under the name it had"
    );
    assert_eq!(
        world
            .database()
            .number("SELECT count(*) AS n FROM queue_message"),
        0
    );
}

#[test]
fn a_replayed_dead_letter_that_ends_the_daemon_is_charged_by_the_rules_of_its_entry() {
    let world = clicks();
    insert_dead_letters(
        &world,
        &[("kafka", "clicks", "clicks", "ledger", "abort:it", "e")],
    );
    world.output(&["dead", "replay", "--yes"]);
    for _ in 0..2 {
        let mut daemon = world.spawn(&["run"]);
        let (status, _) = daemon.wait_end(LONG_PATIENCE);
        assert_eq!(status.code(), None, "it aborts: {}", daemon.log());
    }
    let daemon = world.start();
    wait_until("the verdict", LONG_PATIENCE, || {
        world.dead_letters().len() == 1
    });
    daemon.stop();
    assert_eq!(world.ledger().attempts_of("abort:it"), [1, 2]);
    let dead_letter = world.dead_letters().remove(0);
    let from = [
        &dead_letter["kind"],
        &dead_letter["source"],
        &dead_letter["original_id"],
    ];
    assert_eq!(from, ["kafka", "clicks", "1"]);
    assert_eq!(dead_letter["attempts"], 2);
    assert!(
        dead_letter["error"].as_str().unwrap().contains("SIGABRT"),
        "{dead_letter}"
    );
}

/// Dead letters of the next test: enough that a kill hits the work in the middle.
const MANY: usize = 20_000;

#[test]
fn replays_that_are_killed_and_replays_at_once_run_each_dead_letter_once() {
    let world = world();
    world.migrate();
    let payloads: Vec<String> = (0..MANY).map(|n| format!("body {n}")).collect();
    for portion in payloads.chunks(2000) {
        let dead_letter = |payload| ("queue", "work_table", "work", "noop", payload, "e");
        let dead_letters: Vec<_> = portion
            .iter()
            .map(|payload| dead_letter(payload.as_str()))
            .collect();
        insert_dead_letters(&world, &dead_letters);
    }
    let replay = || {
        world
            .command(&["dead", "replay", "--yes"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let count = |table: &str| {
        let question = format!("SELECT count(*) AS n FROM {table}");
        usize::try_from(world.database().number(&question)).unwrap()
    };
    let mut kills = 0;
    while count("dead_letter") > MANY / 2 && kills < 10 {
        let mut killed = replay();
        let begun = count("queue_message");
        wait_until("the replay to begin", LONG_PATIENCE, || {
            count("queue_message") > begun || killed.try_wait().unwrap().is_some()
        });
        random_moment(Duration::from_millis(30));
        signal_pid(killed.id(), Signal::KILL);
        killed.wait().unwrap();
        kills += 1;
        assert_eq!(
            count("dead_letter") + count("queue_message"),
            MANY,
            "a dead letter or its row"
        );
    }
    assert!(kills > 0);
    let mut both = [replay(), replay()];
    for child in &mut both {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!((count("dead_letter"), count("queue_message")), (0, MANY));
    let bodies = "SELECT CAST(payload AS TEXT) AS t FROM queue_message";
    let bodies: BTreeSet<String> = world.database().texts(bodies).into_iter().collect();
    assert_eq!(bodies.len(), MANY, "each of them once");
}
