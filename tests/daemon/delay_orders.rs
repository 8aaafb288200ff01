//! Delayed tasks that are cancelled, run now, or put off: by commands, beside daemons that run them.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Output, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::engine::{Engine, on_each_database};
use crate::process::{Daemon, signal_pid};
use crate::wait::{LONG_PATIENCE, PATIENCE, now_s, random_moment, wait_until};
use crate::world::World;

on_each_database! { world =>
    a_task_was_cancelled_or_it_ran_and_never_both_or_neither,
    a_cancel_that_is_killed_has_cancelled_each_task_or_not,
    a_task_that_is_ordered_to_run_now_runs_once_and_soon,
}

fn world(engine: Engine) -> Option<World> {
    let world = World::on(engine, json!({ "heartbeat_interval": "500ms" }))?;
    for partition in ["script1", "script2"] {
        world.partition(partition, &json!([]), &json!([]));
    }
    Some(world)
}

/// The tasks by their params.
fn ids(world: &World) -> BTreeMap<String, i64> {
    let rows = world
        .database()
        .rows("SELECT id, params FROM delay_queue_log");
    let id = |row: Vec<Option<String>>| {
        let id = row[0].as_ref().unwrap().parse().unwrap();
        (row[1].clone().unwrap(), id)
    };
    rows.into_iter().map(id).collect()
}

fn order(world: &World, what: &[&str], ids: &[i64]) -> Output {
    let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    world.run(&[&["delay"], what, &ids].concat())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Of lines that begin with `delayed task ID`, the ids.
fn named(lines: &str) -> BTreeSet<i64> {
    let id = |line: &str| {
        let rest = line.strip_prefix("delayed task ")?;
        rest.split(' ').next()?.parse().ok()
    };
    lines.lines().filter_map(id).collect()
}

/// Tasks of the next test, and the seconds over which they are due.
const TASKS: usize = 240;
const SECONDS: usize = 6;
/// Tasks that one command cancels.
const TOGETHER: usize = 6;

/// Orders come before a task is claimed, while it is claimed and waits for its second, while it runs, and afterwards. One of
/// the daemons is stopped and started again meanwhile.
fn a_task_was_cancelled_or_it_ran_and_never_both_or_neither(world: World) {
    world.migrate();
    let mut daemons: Vec<Daemon> = ["script1", "script2"]
        .map(|name| world.start_as(name))
        .into();
    // The first of them are due when the first orders have come, on a slow machine too.
    let first = now_s() + 5;
    let tasks: Vec<(String, i64)> = (0..TASKS)
        .map(|n| {
            (
                format!("sleep:5:task {n}"),
                first + i64::try_from(n % SECONDS).unwrap(),
            )
        })
        .collect();
    world.insert_tasks(&tasks);
    let tasks = ids(&world);
    let mut left: Vec<i64> = tasks.values().copied().collect();
    fastrand::shuffle(&mut left);
    let (mut cancelled, mut refused) = (BTreeSet::new(), BTreeSet::new());
    let rounds = left.len().div_ceil(TOGETHER);
    for (round, some) in left.chunks(TOGETHER).enumerate() {
        if round == rounds / 2 {
            daemons.remove(0).stop();
            daemons.push(world.start_as("script1"));
        }
        random_moment(Duration::from_millis(200));
        let output = order(&world, &["cancel"], some);
        let (said, why) = (text(&output.stdout), text(&output.stderr));
        let (done, not) = (named(&said), named(&why));
        let all: BTreeSet<i64> = some.iter().copied().collect();
        assert_eq!(
            done.union(&not).copied().collect::<BTreeSet<_>>(),
            all,
            "{said}{why}"
        );
        assert!(done.is_disjoint(&not), "{said}{why}");
        assert_eq!(output.status.code(), Some(i32::from(!not.is_empty())));
        for line in why.lines() {
            let known = ["it runs, or is about to: `script", "it is done already"];
            assert!(known.iter().any(|known| line.contains(known)), "{line}");
        }
        cancelled.extend(done);
        refused.extend(not);
    }
    world.wait_drained();
    for daemon in daemons {
        daemon.stop();
    }
    let ledger = world.ledger();
    let mut database = world.database();
    let failed: BTreeSet<i64> = database
        .numbers(
            "SELECT id FROM delay_queue_log WHERE status = 4 AND result LIKE '%cancelled by %'",
        )
        .into_iter()
        .collect();
    assert_eq!(failed, cancelled);
    for (params, id) in &tasks {
        let ran = ledger.of_body(params).len();
        let expected = usize::from(!cancelled.contains(id));
        assert_eq!(ran, expected, "{params}: {:?}", refused.contains(id));
    }
    assert!(
        !cancelled.is_empty(),
        "the first order came before any task was due"
    );
    assert_eq!(database.number("SELECT count(*) FROM dead_letter"), 0);
    assert_eq!(
        database.number("SELECT count(*) FROM audit WHERE action = 'cancel'"),
        i64::try_from(TASKS).unwrap()
    );
    assert_eq!(
        database.number("SELECT count(*) FROM audit WHERE action = 'cancel' AND result = 'done'"),
        i64::try_from(cancelled.len()).unwrap()
    );
}

/// Enough that a kill hits the work in the middle.
const MANY: usize = 2000;

fn a_cancel_that_is_killed_has_cancelled_each_task_or_not(world: World) {
    let mut database = world.migrate();
    let far = now_s() + 100_000;
    let tasks: Vec<(String, i64)> = (0..MANY).map(|n| (format!("task {n}"), far)).collect();
    world.insert_tasks(&tasks);
    let all: Vec<String> = ids(&world).values().map(i64::to_string).collect();
    let cancelled =
        "SELECT count(*) FROM delay_queue_log WHERE status = 4 AND result LIKE '%cancelled by %'";
    let orders = "SELECT count(*) FROM audit WHERE action = 'cancel' AND result = 'done'";
    let mut kills = 0;
    while database.number(cancelled) < 1000 && kills < 10 {
        let before = database.number(cancelled);
        let ids: Vec<&str> = all.iter().map(String::as_str).collect();
        let mut killed = world
            .command(&[&["delay", "cancel"], &ids[..]].concat())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("the orders to begin", LONG_PATIENCE, || {
            database.number(cancelled) > before || killed.try_wait().unwrap().is_some()
        });
        random_moment(Duration::from_millis(20));
        signal_pid(killed.id(), Signal::KILL);
        killed.wait().unwrap();
        kills += 1;
        // What the server had been given when the process died may still be committed.
        wait_until(
            "each order to be done with its row of `audit`, or not",
            PATIENCE,
            || {
                let waiting = database.number(
                    "SELECT count(*) FROM delay_queue_log WHERE status = 1 AND result = ''",
                );
                let done = database.number(cancelled);
                waiting + done == i64::try_from(MANY).unwrap() && database.number(orders) == done
            },
        );
    }
    assert!(kills > 0);
    let ids: Vec<i64> = all.iter().map(|id| id.parse().unwrap()).collect();
    let output = order(&world, &["cancel"], &ids);
    let said = named(&text(&output.stdout)).len() + named(&text(&output.stderr)).len();
    assert_eq!(said, MANY);
    assert_eq!(database.number(cancelled), i64::try_from(MANY).unwrap());
    assert_eq!(database.number(orders), i64::try_from(MANY).unwrap());
}

/// A poll ahead comes four times a second; this bears a machine that is busy.
const SOON_US: i64 = 5_000_000;

fn a_task_that_is_ordered_to_run_now_runs_once_and_soon(world: World) {
    world.migrate();
    let far = now_s() + 100_000;
    let of = |what: &str| (0..20).map(|n| format!("{what} {n}")).collect::<Vec<_>>();
    let (now, before, never) = (of("now"), of("before"), of("never"));
    let tasks = [&now[..], &before, &never].concat();
    world.insert_tasks(
        &tasks
            .iter()
            .map(|params| (params.clone(), far))
            .collect::<Vec<_>>(),
    );
    let ids = ids(&world);
    let of = |params: &[String]| params.iter().map(|params| ids[params]).collect::<Vec<_>>();
    // With no daemon there.
    let output = order(&world, &["run"], &of(&before));
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(named(&text(&output.stdout)).len(), 20);
    let daemons: Vec<Daemon> = ["script1", "script2"]
        .map(|name| world.start_as(name))
        .into();
    wait_until("what was ordered before", PATIENCE, || {
        world.ledger().missing(&before).is_empty()
    });
    let output = order(&world, &["run"], &of(&now));
    assert!(output.status.success(), "{}", text(&output.stderr));
    wait_until("what is ordered now", PATIENCE, || {
        world.ledger().missing(&now).is_empty()
    });
    // In three seconds, which is not now.
    let output = order(&world, &["run", "--in", "3s"], &of(&never[..1]));
    assert!(
        text(&output.stdout).contains(" is due at "),
        "{}",
        text(&output.stdout)
    );
    wait_until("what was put forward", PATIENCE, || {
        world.ledger().missing(&never[..1]).is_empty()
    });
    for daemon in daemons {
        daemon.stop();
    }
    let ledger = world.ledger();
    for params in [&now[..], &before, &never[..1]].concat() {
        assert_eq!(ledger.of_body(&params).len(), 1, "{params}");
    }
    for params in now.iter().chain(&never[..1]) {
        let late = ledger.of_body(params)[0].late_us.unwrap();
        assert!((0..SOON_US).contains(&late), "{params}: {late} µs");
    }
    assert_eq!(
        ledger.missing(&never[1..]).len(),
        19,
        "nobody ordered these"
    );
}

#[test]
fn what_is_not_as_the_order_takes_it_to_be_is_reported() {
    let world = World::new(json!({ "delayed": { "ledger": { "max_attempts": 1 } } }));
    world.migrate();
    let push = |params: &str, delay: &str| {
        let id = world.output(&[
            "push",
            "ledger",
            "--params",
            params,
            "--name",
            "reminder",
            "--delay-time",
            delay,
        ]);
        id.trim().to_owned()
    };
    let (good, bad) = (push("good", "0"), push("fail:bad", "0"));
    let (later, other) = (push("later", "9000"), push("other", "8000"));
    let daemon = world.start();
    wait_until("both to end", PATIENCE, || {
        world
            .database()
            .number("SELECT count(*) FROM delay_queue_log WHERE status IN (3, 4)")
            == 2
    });
    let refused = |args: &[&str], code: i32| {
        let output = world.run(args);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        said
    };
    for (args, code, parts) in [
        (
            &["delay", "cancel", "99"][..],
            1,
            &["delayed task 99 stays as it is: there is no such task"][..],
        ),
        (&["delay", "cancel", &good], 1, &["it is done already"]),
        (
            &["delay", "run", &bad],
            1,
            &["it has failed or was cancelled already", "`dead replay`"],
        ),
        (
            &["delay", "show", "99"],
            1,
            &["there is no delayed task 99"],
        ),
        (
            &["delay", "run", &later, "--at", "2020-01-31"],
            2,
            &["is over"],
        ),
        (
            &["delay", "run", &later, "--at", "soon"],
            2,
            &["neither a time", "RFC 3339"],
        ),
        (&["delay", "run", &later, "--in", "soon"], 2, &["--in"]),
        (
            &["delay", "run", &later, "--in", "36500d"],
            2,
            &["the year 2106"],
        ),
        (
            &["delay", "run", &later, "--in", "1h", "--at", "2036-01-31"],
            2,
            &["cannot be used with"],
        ),
        (&["delay", "cancel"], 2, &["<ID>"]),
    ] {
        let said = refused(args, code);
        for part in parts {
            assert!(said.contains(part), "{args:?}: {said}");
        }
    }

    // One of two is there.
    let output = world.run(&["delay", "cancel", &later, "99"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stdout),
        format!("delayed task {later} is cancelled\n")
    );

    world.output(&["delay", "pause"]);
    let said = world.output(&["delay", "run", &other]);
    assert!(
        said.starts_with(&format!("delayed task {other} is due now\n")),
        "{said}"
    );
    assert!(said.contains("the delay queue is paused, since "), "{said}");
    world.output(&["delay", "resume"]);
    wait_until("it runs when it is resumed", PATIENCE, || {
        world.ledger().of_body("other").len() == 1
    });
    daemon.stop();

    let shown: Value =
        serde_json::from_str(&world.output(&["delay", "show", &later, "--json"])).unwrap();
    assert_eq!(
        (&shown["status"], &shown["params"]),
        (&json!("failed"), &json!("later"))
    );
    assert!(
        shown["result"].as_str().unwrap().contains("cancelled by "),
        "{shown}"
    );
    let shown = world.output(&["delay", "show", &bad]);
    assert!(
        shown.contains("failed attempts  1\n") && shown.contains("status           failed\n"),
        "{shown}"
    );
}

#[test]
fn tasks_are_listed_by_what_they_are() {
    let world = world(Engine::Sqlite).unwrap();
    world.migrate();
    world.database().execute(
        "INSERT INTO delay_queue_log (name, exec_cmd, params, status, exec_time, owner) VALUES
             ('reminder', 'ledger', 'a', 1, 4000000002, ''), ('reminder', 'noop', 'b', 1, 4000000001, ''),
             ('report', 'ledger', 'c', 2, 4000000003, 'script1/x'), ('report', 'ledger', 'd', 3, 1000, ''),
             ('report', 'ledger', 'e', 4, 2000, ''), ('old', 'ledger', 'f', 4, 3000, '')",
    );
    let listed = |args: &[&str]| {
        let text = world.output(&[&["delay", "list", "--json"], args].concat());
        let params = |line: &str| {
            let row: Value = serde_json::from_str(line).unwrap();
            row["params"].as_str().unwrap().to_owned()
        };
        text.lines().map(params).collect::<Vec<_>>().concat()
    };
    for (args, params) in [
        (&[][..], "cba"),
        (&["--limit", "2"], "cb"),
        (&["--status", "waiting"], "ba"),
        (&["--status", "running"], "c"),
        (&["--status", "done"], "d"),
        (&["--status", "failed"], "fe"),
        (&["--name", "reminder", "--command", "ledger"], "a"),
        (&["--status", "failed", "--name", "old"], "f"),
        (&["--status", "waiting", "--name", "report"], ""),
    ] {
        assert_eq!(listed(args), params, "{args:?}");
    }
    let output = world.run(&["delay", "list", "--limit", "1"]);
    let (line, more) = (text(&output.stdout), text(&output.stderr));
    assert!(
        line.contains(" running `report` (`ledger`) on `script1/x`: \"c\""),
        "{line}"
    );
    assert!(more.contains("there are more"), "{more}");
    for (args, said) in [
        (["--name", "remindr"], "did you mean `reminder`?"),
        (["--command", "ledgr"], "did you mean `ledger`?"),
    ] {
        let output = world.run(&[&["delay", "list"], &args[..]].concat());
        let hint = text(&output.stderr);
        assert!(hint.contains(said), "{hint}");
        assert_eq!(text(&output.stdout), "no such tasks\n");
    }
}

#[test]
fn with_the_database_away_the_order_says_so_and_nothing_waits() {
    for (engine, url) in [
        (Engine::MySql, "mysql://nobody@127.0.0.1:1/none"),
        (Engine::Postgres, "postgres://nobody@127.0.0.1:1/none"),
    ] {
        let world = World::at(engine, url.to_owned(), json!({}));
        world.partition("script1", &json!([]), &json!([]));
        for args in [
            &["delay", "cancel", "1"][..],
            &["delay", "run", "1"],
            &["delay", "list"],
        ] {
            let output = world.run(args);
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
            assert!(said.contains("database"), "{args:?}: {said}");
            assert_eq!(text(&output.stdout), "", "{args:?}");
        }
    }
}
