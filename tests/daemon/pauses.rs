//! Pausing and resuming, on every daemon that shares the tables.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::engine::{Engine, on_each_database};
use crate::ledger::Line;
use crate::process::Daemon;
use crate::wait::{PATIENCE, now_s, wait_until};
use crate::world::World;

const PARTITIONS: [&str; 2] = ["script1", "script2"];

on_each_database! { world =>
    what_is_paused_rests_on_every_daemon_until_it_is_resumed,
    everything_rests_and_what_was_paused_by_its_name_stays_so,
}

fn queue(name: &str) -> Value {
    json!({
        "name": name, "exec_cmd": "ledger", "table": name, "progress": 2, "progress_lag_limit": 1_000_000,
        "progress_avg_msgcount": 1000, "status": 1,
    })
}

fn world(engine: Engine) -> Option<World> {
    let world = World::on(engine, json!({ "heartbeat_interval": "500ms" }))?;
    let queues = json!([queue("orders"), queue("marker")]);
    let second = |name: &str| json!({ "cron": "* * * * * *", "name": name, "exec_cmd": "ledger", "params": name, "status": 1 });
    for partition in PARTITIONS {
        // Entries of one partition: each fires once.
        let crontab = match partition {
            "script1" => json!([second("report"), second("beat")]),
            _ => json!([]),
        };
        world.partition(partition, &queues, &crontab);
    }
    Some(world)
}

fn all_say(daemons: &mut [Daemon], line: &str) {
    for daemon in daemons {
        daemon.wait_log(line);
    }
}

fn bodies(of: &str, n: usize) -> Vec<String> {
    (0..n).map(|n| format!("{of} {n}")).collect()
}

/// Until both daemons have had messages of another queue, and its cron entry has fired more often.
fn others_go_on(world: &World, round: &str) {
    let marks = bodies(&format!("sleep:20:marker {round}"), 40);
    let fires = || world.ledger().of_body("beat").len();
    let before = fires();
    world.send("marker", &marks);
    wait_until("the other queue and entry go on", PATIENCE, || {
        world.ledger().missing(&marks).is_empty() && fires() >= before + 2
    });
}

/// Runs of a cron entry whose second is later than that. However slow the machine, it does not start them.
fn fired_after(world: &World, entry: &str, second: i64) -> usize {
    let ledger = world.ledger();
    let scheduled_us = |line: &Line| line.at_us - line.late_us.unwrap();
    let lines = ledger.of_body(entry).into_iter();
    lines
        .filter(|line| scheduled_us(line) / 1_000_000 > second)
        .count()
}

fn ran(world: &World, of: &[String]) -> usize {
    of.len() - world.ledger().missing(of).len()
}

fn what_is_paused_rests_on_every_daemon_until_it_is_resumed(world: World) {
    // With no daemon there.
    assert_eq!(
        world.output(&["queue", "pause", "orders"]),
        "queue `orders` is paused\n"
    );
    let messages = bodies("order", 30);
    world.send("orders", &messages);
    let mut daemons: Vec<Daemon> = PARTITIONS.map(|name| world.start_as(name)).into();
    all_say(&mut daemons, "queue `orders` is paused, by order of ");
    assert_eq!(
        world.output(&["cron", "pause", "report"]),
        "cron `report` is paused\n"
    );
    assert_eq!(
        world.output(&["delay", "pause"]),
        "the delay queue is paused\n"
    );
    all_say(&mut daemons, "cron `report` is paused");
    all_say(&mut daemons, "the delay queue is paused");
    let paused_s = now_s();
    world.output(&["push", "ledger", "--params", "task", "--delay-time", "0"]);
    world.insert_tasks(&[("theirs".to_owned(), now_s())]);
    others_go_on(&world, "before");

    // A daemon that is killed and comes back finds it paused.
    daemons.remove(1).kill();
    daemons.push(world.start_as(PARTITIONS[1]));
    others_go_on(&world, "after");
    let ledger = world.ledger();
    assert_eq!(ran(&world, &messages), 0, "paused");
    assert_eq!(
        ledger.of_body("task").len() + ledger.of_body("theirs").len(),
        0,
        "paused"
    );
    assert_eq!(fired_after(&world, "report", paused_s), 0, "paused");
    let status = world.output(&["status"]);
    for part in [
        "= queue `orders` is paused, for ",
        "= cron `report` is paused",
        "= the delay queue is paused",
    ] {
        assert_eq!(status.matches(part).count(), 2, "of each daemon: {status}");
    }
    let listed = world.output(&["queue", "list"]);
    let line = listed
        .lines()
        .find(|line| line.contains("`orders`"))
        .unwrap();
    assert!(
        line.contains("paused since ") && line.contains(", by order of "),
        "{listed}"
    );
    let line = listed
        .lines()
        .find(|line| line.contains("`marker`"))
        .unwrap();
    assert!(line.ends_with(": live"), "{listed}");

    assert_eq!(
        world.output(&["queue", "resume", "orders"]),
        "queue `orders` is resumed\n"
    );
    world.output(&["cron", "resume", "report"]);
    world.output(&["delay", "resume"]);
    let resumed = world.ledger().of_body("report").len();
    wait_until("what had waited runs", PATIENCE, || {
        let ledger = world.ledger();
        let tasks = ledger.of_body("task").len() + ledger.of_body("theirs").len();
        ran(&world, &messages) == messages.len()
            && tasks == 2
            && ledger.of_body("report").len() > resumed
    });
    for daemon in daemons {
        daemon.stop();
    }
    let ledger = world.ledger();
    let waited = messages.iter().map(String::as_str);
    for body in waited.chain(["task", "theirs"]) {
        assert_eq!(ledger.of_body(body).len(), 1, "{body}");
    }
    let mut database = world.database();
    let audited = database.texts("SELECT action FROM audit WHERE result = 'done' ORDER BY id");
    assert_eq!(
        audited,
        ["pause", "pause", "pause", "resume", "resume", "resume"]
    );
}

fn everything_rests_and_what_was_paused_by_its_name_stays_so(world: World) {
    let mut daemon = world.start();
    world.output(&["queue", "pause", "orders"]);
    assert_eq!(world.output(&["pause"]), "everything is paused\n");
    daemon.wait_log("everything is paused");
    let messages: Vec<String> = [bodies("marker", 5), bodies("order", 5)].concat();
    world.send("marker", &messages[..5]);
    world.send("orders", &messages[5..]);
    let paused_s = now_s();
    // Read at least two polls of the orders later, each a second apart.
    for wish in ["pause", "resume"] {
        world.output(&["queue", wish, "marker"]);
        daemon.wait_log(&format!("queue `marker` is {wish}d"));
    }
    for entry in ["report", "beat"] {
        assert_eq!(
            fired_after(&world, entry, paused_s),
            0,
            "nothing new starts"
        );
    }
    assert_eq!(ran(&world, &messages), 0);
    world.output(&["queue", "pause", "marker"]);
    let said = world.output(&["queue", "resume", "marker"]);
    assert!(said.contains("everything is paused, since "), "{said}");
    assert_eq!(world.output(&["resume"]), "everything is resumed\n");
    wait_until("the queue that is not paused by its name", PATIENCE, || {
        ran(&world, &messages[..5]) == 5
    });
    assert_eq!(ran(&world, &messages[5..]), 0, "paused by its name");
    let again = world.output(&["queue", "pause", "orders"]);
    assert!(again.contains("is paused already, since "), "{again}");
    world.output(&["queue", "resume", "orders"]);
    wait_until("the other one", PATIENCE, || ran(&world, &messages) == 10);
    daemon.stop();
}

#[test]
fn an_order_for_an_unknown_name_changes_nothing_and_says_what_was_meant() {
    let world = world(Engine::Sqlite).unwrap();
    world.migrate();
    for (args, parts) in [
        (
            &["queue", "pause", "marker", "order"][..],
            &["no queue `order`", "did you mean `orders`?"][..],
        ),
        (
            &["cron", "pause", "reports"],
            &["no cron entry `reports`", "did you mean `report`?"],
        ),
        (
            &["--partition", "script2", "cron", "pause", "report"],
            &["no cron entry `report`", "script2"],
        ),
        (&["queue", "pause"], &["<NAME>"]),
    ] {
        let output = world.run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        for part in parts {
            assert!(said.contains(part), "{args:?}: {said}");
        }
    }
    let mut database = world.database();
    assert_eq!(database.number("SELECT count(*) FROM pause"), 0);
    assert_eq!(database.number("SELECT count(*) FROM audit"), 0);
}

#[test]
fn entries_that_are_listed_as_json_name_who_paused_them() {
    let world = world(Engine::Sqlite).unwrap();
    world.output(&["queue", "pause", "orders"]);
    let listed = world.output(&["queue", "list", "--json"]);
    let listed: Vec<Value> = listed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let paused = listed.iter().filter(|entry| entry["paused"] == true);
    let paused: BTreeSet<&str> = paused
        .map(|entry| entry["name"].as_str().unwrap())
        .collect();
    assert_eq!(paused, BTreeSet::from(["orders"]));
    assert!(
        listed[0]["paused_by"].as_str().unwrap().contains('@'),
        "{listed:?}"
    );
    assert!(listed[0]["paused_since_ms"].is_i64());
    assert_eq!(listed[1]["paused_by"], Value::Null);
}
