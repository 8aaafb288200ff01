//! Dead letters by groups of the same error: seen, counted before an order, run again at a rate, with another payload.

use std::process::Stdio;
use std::time::Instant;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::database::Database;
use crate::engine::{Engine, on_each_database};
use crate::process::signal_pid;
use crate::wait::{LONG_PATIENCE, PATIENCE, wait_until};
use crate::world::World;

on_each_database! { world =>
    a_group_is_seen_counted_and_run_again_and_no_other_dead_letter,
    a_replay_at_a_rate_that_is_killed_goes_on_and_runs_each_dead_letter_once,
    one_dead_letter_runs_again_with_another_payload,
}

pub fn world(engine: Engine) -> Option<World> {
    let world = World::on(
        engine,
        json!({ "delayed": { "ledger": { "max_attempts": 1 } } }),
    )?;
    let queue = |name: &str, command: &str| {
        json!({
            "name": name, "exec_cmd": command, "table": format!("{name}_table"), "progress": 2,
            "progress_lag_limit": 100_000, "progress_avg_msgcount": 1000, "status": 1, "max_attempts": 1,
        })
    };
    let queues = json!([queue("work", "ledger"), queue("other", "noop")]);
    world.partition("script1", &queues, &json!([]));
    world.migrate();
    Some(world)
}

/// Dead letters as a daemon would have left them: (kind, source, name, payload, error).
pub type DeadLetter<'a> = (&'a str, &'a str, &'a str, String, String);

pub fn insert_dead_letters(database: &mut Database, dead_letters: &[DeadLetter<'_>]) {
    for portion in dead_letters.chunks(500) {
        let row = |(n, (kind, source, name, payload, error)): (usize, &DeadLetter<'_>)| {
            format!(
                "('{kind}', '{source}', '{name}', 'ledger', '1', '{payload}', '{error}', 2, 'script1', 1, {})",
                1000 + n
            )
        };
        let rows: Vec<String> = portion.iter().enumerate().map(row).collect();
        database.execute(&format!(
            "INSERT INTO dead_letter (kind, source, name, exec_cmd, original_id, payload, error, attempts, partition_name, first_ms, died_ms)
             VALUES {}",
            rows.join(", ")
        ));
    }
}

fn work(payload: &str, error: &str) -> DeadLetter<'static> {
    (
        "queue",
        "work_table",
        "work",
        payload.to_owned(),
        error.to_owned(),
    )
}

fn groups(world: &World, args: &[&str]) -> Vec<Value> {
    let text = world.output(&[&["dead", "group", "--json"], args].concat());
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Standard error of a command that must end with that status.
#[track_caller]
fn refused(world: &World, args: &[&str], code: i32) -> String {
    let output = world.run(args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    said
}

fn audited(world: &World) -> Vec<String> {
    let mut database = world.database();
    let rows = database.rows("SELECT action, target, result FROM audit ORDER BY id");
    let texts = |row: Vec<Option<String>>| row.into_iter().flatten().collect::<Vec<_>>();
    rows.into_iter().map(|row| texts(row).join(" | ")).collect()
}

fn a_group_is_seen_counted_and_run_again_and_no_other_dead_letter(world: World) {
    let mut dead_letters: Vec<DeadLetter<'_>> = (0..30)
        .map(|n| {
            work(
                &format!("refused {n}"),
                &format!("connect to 10.0.0.{n}:5432: refused after {n}00 ms"),
            )
        })
        .collect();
    dead_letters
        .extend((0..5).map(|n| work(&format!("odd {n}"), &format!("100% _of_ {n}! is odd"))));
    dead_letters.push((
        "queue",
        "other_table",
        "other",
        "elsewhere".to_owned(),
        "connect to 10.0.0.1:5432: refused after 1 ms".to_owned(),
    ));
    // The pattern of the first group takes it, and its shape is another.
    dead_letters.push(work(
        "near",
        "connect to 10.0.0.1:5432: refused after all ms",
    ));
    for n in 0..3 {
        dead_letters.push((
            "delay",
            "delay_queue_log",
            ["a", "b", "c"][n],
            format!("task {n}"),
            format!("no order {n}"),
        ));
    }
    insert_dead_letters(&mut world.database(), &dead_letters);
    let found = groups(&world, &[]);
    let sizes: Vec<(u64, &str)> = found
        .iter()
        .map(|group| {
            (
                group["letters"].as_u64().unwrap(),
                group["error"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        sizes[..3],
        [
            (30, "connect to #: refused after # ms"),
            (5, "#% _of_ #! is odd"),
            (3, "no order #"),
        ]
    );
    assert_eq!(sizes.len(), 5);
    assert!(found.iter().all(|group| group["at_least"] == false));
    let name = |n: usize| found[n]["group"].as_str().unwrap().to_owned();
    let shown = world.output(&["dead", "group", "--kind", "queue", "--limit", "1"]);
    assert!(
        shown.starts_with(&format!("{}  30 dead letters  ", name(0))),
        "{shown}"
    );
    assert!(
        shown.ends_with("  queue `work` (`ledger`): connect to #: refused after # ms\n"),
        "{shown}"
    );
    let listed = world.output(&["dead", "list", "--group", &name(1), "--json"]);
    assert_eq!(listed.lines().count(), 5, "{listed}");

    // Nobody can be asked here.
    let said = refused(&world, &["dead", "purge"], 2);
    assert!(
        said.starts_with("this would delete all dead letters (40); say"),
        "{said}"
    );
    let mut wrong = name(0);
    wrong.pop();
    let said = refused(&world, &["dead", "replay", "--group", &wrong, "--yes"], 2);
    assert!(
        said.contains(&format!("did you mean `{}`?", name(0))),
        "{said}"
    );
    assert_eq!(audited(&world), [""; 0], "nothing was ordered");

    let replayed = world.run(&["dead", "replay", "--group", &name(0)]);
    assert_eq!(
        String::from_utf8_lossy(&replayed.stderr),
        "this will run 30 dead letters of queue `work` (`ledger`): connect to #: refused after # ms again\n"
    );
    assert_eq!(
        String::from_utf8_lossy(&replayed.stdout),
        "queue `work`: 30 dead letters run again\n"
    );
    assert_eq!(
        world.output(&["dead", "replay", "--group", &name(2), "--yes"]),
        "delayed task `ledger`: 3 dead letters run again\n"
    );
    assert_eq!(
        world.output(&["dead", "purge", "--group", &name(1)]),
        "deleted: 5\n"
    );
    assert_eq!(
        world.output(&["dead", "purge", "--queue", "nothing"]),
        "deleted: 0\n"
    );
    let daemon = world.start();
    world.wait_drained();
    daemon.stop();
    let ledger = world.ledger();
    assert_eq!(ledger.lines.len(), 33);
    for n in 0..30 {
        assert_eq!(ledger.of_body(&format!("refused {n}")).len(), 1);
    }
    let left = world
        .database()
        .texts("SELECT name FROM dead_letter ORDER BY id");
    assert_eq!(left, ["other", "work"]);
    assert_eq!(
        audited(&world),
        [
            "replay | dead letters of queue `work` (`ledger`): connect to #: refused after # ms | 30 dead letters",
            "replay | dead letters of delayed task `ledger`: no order # | 3 dead letters",
            "purge | dead letters of queue `work` (`ledger`): #% _of_ #! is odd | 5 dead letters",
        ]
    );
}

/// Dead letters of the next test, and how many of them run in a second.
const MANY: usize = 300;
const A_SECOND: usize = 100;

fn a_replay_at_a_rate_that_is_killed_goes_on_and_runs_each_dead_letter_once(world: World) {
    let dead_letters: Vec<DeadLetter<'_>> = (0..MANY)
        .map(|n| work(&format!("body {n}"), &format!("gone {n}")))
        .collect();
    insert_dead_letters(&mut world.database(), &dead_letters);
    let group = groups(&world, &[])[0]["group"].as_str().unwrap().to_owned();
    let rate = format!("{A_SECOND}/s");
    let args = [
        "dead", "replay", "--group", &group, "--rate", &rate, "--yes",
    ];
    let mut database = world.database();
    let mut left = || usize::try_from(database.number("SELECT count(*) FROM dead_letter")).unwrap();
    let mut killed = world
        .command(&args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Some portions later.
    wait_until("the replay to be under way", LONG_PATIENCE, || {
        left() < MANY - 30
    });
    signal_pid(killed.id(), Signal::KILL);
    killed.wait().unwrap();
    let mut database = world.database();
    // What the server had been given when the process died may still be committed.
    wait_until(
        "a dead letter or its row, each with the order's row",
        PATIENCE,
        || {
            let rows = database.number("SELECT count(*) FROM queue_message");
            let done = database.texts("SELECT result FROM audit");
            left() + usize::try_from(rows).unwrap() == MANY
                && done == [format!("{rows} dead letters")]
        },
    );
    let remaining = left();
    assert!(remaining > 0, "it was killed in the middle");
    let begun = Instant::now();
    world.output(&args);
    let took = begun.elapsed();
    // The first portion goes at once.
    let least = (remaining.saturating_sub(A_SECOND / 10)) * 1000 / A_SECOND;
    assert!(
        took.as_millis() >= u128::try_from(least.saturating_sub(200)).unwrap(),
        "{remaining} in {took:?}"
    );
    assert_eq!(left(), 0);
    let daemon = world.start();
    world.wait_drained();
    daemon.stop();
    let ledger = world.ledger();
    assert_eq!(ledger.lines.len(), MANY);
    for n in 0..MANY {
        assert_eq!(ledger.of_body(&format!("body {n}")).len(), 1, "body {n}");
    }
    assert_eq!(audited(&world).len(), 2);
}

fn one_dead_letter_runs_again_with_another_payload(world: World) {
    insert_dead_letters(
        &mut world.database(),
        &[
            work("fail:1", "bad"),
            work("fail:2", "bad"),
            (
                "delay",
                "delay_queue_log",
                "n",
                "fail:3".to_owned(),
                "bad".to_owned(),
            ),
        ],
    );
    let ids = world
        .database()
        .texts("SELECT id FROM dead_letter ORDER BY id");
    std::fs::write(world.path("mended"), "mended message\n").unwrap();
    std::fs::write(world.path("long"), "x".repeat(501)).unwrap();
    for (args, said) in [
        (
            &["--payload", "mended", "--yes"][..],
            "`--payload` is for one dead letter",
        ),
        (
            &[&ids[0], &ids[1], "--payload", "mended"],
            "`--payload` is for one dead letter",
        ),
        (
            &[&ids[0], "--payload", "nothing"],
            "the payload cannot be read: `nothing`: ",
        ),
        (
            &[&ids[2], "--payload", "long"],
            "at most 500 fit its column",
        ),
    ] {
        let args = [&["dead", "replay"], args].concat();
        let output = world.run(&args);
        assert!(!output.status.success(), "{args:?}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(said), "{args:?}: {text}");
    }
    assert_eq!(
        world.database().number("SELECT count(*) FROM dead_letter"),
        3
    );
    world.output(&["dead", "replay", &ids[0], "--payload", "mended"]);
    std::fs::write(world.path("mended"), "mended task").unwrap();
    world.output(&["dead", "replay", &ids[2], "--payload", "mended"]);
    let daemon = world.start();
    world.wait_drained();
    daemon.stop();
    let ledger = world.ledger();
    assert_eq!(ledger.of_body("mended message\n").len(), 1, "byte for byte");
    assert_eq!(ledger.of_body("mended task").len(), 1);
    assert_eq!(ledger.lines.len(), 2);
    let left = world.database().texts("SELECT id FROM dead_letter");
    assert_eq!(left, [ids[1].clone()]);
}
