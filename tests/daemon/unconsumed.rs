//! What lies where nobody consumes it after an entry was renamed, removed, or made a queue of another kind: the start,
//! `check --online` and `dead list` name it.

use serde_json::{Value, json};

use crate::process::Daemon;
use crate::servers::redis::Redis;
use crate::wait::{PATIENCE, wait_until};
use crate::world::World;

fn entry(name: &str, source: Value) -> Value {
    let mut entry = json!({
        "name": name, "exec_cmd": "ledger", "progress": 1, "progress_lag_limit": 1000,
        "progress_avg_msgcount": 1000, "status": 1, "max_attempts": 1,
    });
    let source = source.as_object().unwrap().clone();
    entry.as_object_mut().unwrap().extend(source);
    entry
}

fn on_redis() -> Option<(Redis, World)> {
    let server = Redis::dedicated()?;
    let world = World::new(json!({
        "heartbeat_interval": "100ms",
        "redis": { "default": { "url": server.url() } },
    }));
    Some((server, world))
}

/// What `check --online` finds unconsumed on the servers of this kind, as (source, number).
fn checked(world: &World, kind: &str) -> Vec<(String, u64)> {
    let report: Value =
        serde_json::from_str(&world.output(&["check", "--online", "--json"])).unwrap();
    let servers = report["online"].as_array().unwrap().iter();
    let found = servers
        .filter(|server| server["kind"] == kind)
        .filter_map(|server| server["unconsumed"].as_array());
    found
        .flatten()
        .map(|one| {
            let source = one["source"].as_str().unwrap().to_owned();
            (source, one["waiting"].as_u64().unwrap())
        })
        .collect()
}

/// What `dead list` prints beside the dead letters.
fn listed(world: &World) -> Vec<String> {
    let text = world.output(&["dead", "list"]);
    let lines = text.lines().filter(|line| line.starts_with("not consumed"));
    lines.map(str::to_owned).collect()
}

/// A dead letter of entry `work`, of the list `list`, that was replayed while no daemon ran.
fn replayed() -> Option<(Redis, World)> {
    let (server, world) = on_redis()?;
    let queues = json!([entry("work", json!({ "key": "list" }))]);
    world.partition("script1", &queues, &json!([]));
    world.output(&["send", "work", "fail:x"]);
    let daemon = world.start();
    wait_until("the dead letter", PATIENCE, || {
        world.dead_letters().len() == 1
    });
    daemon.stop();
    world.output(&["dead", "replay", "--yes"]);
    assert!(world.dead_letters().is_empty());
    assert_eq!(
        (checked(&world, "tables"), listed(&world)),
        (vec![], vec![])
    );
    Some((server, world))
}

/// The start makes a dead letter of it again, and it runs through the entry that is there now.
fn comes_back(world: &World) -> Daemon {
    assert_eq!(
        checked(world, "tables"),
        [("dead:script1:work".to_owned(), 1)]
    );
    let listed = listed(world);
    assert!(
        listed.len() == 1 && listed[0].contains("`dead:script1:work`, 1 messages"),
        "{listed:?}"
    );
    let mut daemon = world.start();
    let said = daemon.wait_log("are dead letters again");
    assert!(
        said.contains("1 replayed dead letters of the entry `work`")
            && said.contains("`dead replay` runs them"),
        "{said}"
    );
    let dead_letters = world.dead_letters();
    assert_eq!(
        (
            &dead_letters[0]["kind"],
            &dead_letters[0]["source"],
            &dead_letters[0]["payload"]
        ),
        (&json!("redis"), &json!("list"), &json!("fail:x"))
    );
    assert!(
        dead_letters[0]["error"]
            .as_str()
            .unwrap()
            .contains("renamed or removed")
    );
    assert_eq!(world.ledger().attempts_of("fail:x"), [1]);
    daemon
}

#[test]
fn a_replayed_dead_letter_whose_entry_was_renamed_is_a_dead_letter_again() {
    let Some((_server, world)) = replayed() else {
        return;
    };
    let queues = json!([entry("renamed", json!({ "key": "list" }))]);
    world.partition("script1", &queues, &json!([]));
    let daemon = comes_back(&world);
    world.output(&["dead", "replay", "--yes"]);
    wait_until("its run", PATIENCE, || {
        world.ledger().attempts_of("fail:x") == [1, 1]
    });
    daemon.stop();
}

#[test]
fn a_replayed_dead_letter_whose_entry_became_a_table_or_was_removed_is_a_dead_letter_again() {
    let Some((_server, world)) = replayed() else {
        return;
    };
    world.partition("script1", &json!([]), &json!([]));
    comes_back(&world).stop();

    let queues = json!([entry("work", json!({ "table": "work" }))]);
    world.partition("script1", &queues, &json!([]));
    let daemon = world.start();
    world.output(&["dead", "replay", "--yes"]);
    wait_until("its run", PATIENCE, || {
        world.ledger().attempts_of("fail:x") == [1, 1]
    });
    daemon.stop();
}

#[test]
fn rows_of_a_renamed_table_are_named_until_an_entry_has_them() {
    let world = World::new(json!({}));
    let with_table = |table: &str| json!([entry("work", json!({ "table": table }))]);
    world.partition("script1", &with_table("old"), &json!([]));
    world.output(&["send", "work", "a", "b", "c"]);
    world.partition("script1", &with_table("new"), &json!([]));
    assert_eq!(checked(&world, "tables"), [("old".to_owned(), 3)]);
    assert!(
        world
            .output(&["check", "--online"])
            .contains("NOT CONSUMED: `old`, 3 messages"),
        "in words too"
    );
    let found = listed(&world);
    assert!(
        found.len() == 1 && found[0].contains("`old`, 3 messages: no entry has this `table`"),
        "{found:?}"
    );
    let mut daemon = world.start();
    let said = daemon.wait_log("nobody consumes them");
    assert!(
        said.contains("3 messages lie in `old`")
            && said.contains("an entry with `\"table\": \"old\"` would"),
        "{said}"
    );
    daemon.stop();

    // It went to another partition, whose daemon reads it from its own entry.
    world.partition("script2", &with_table("old"), &json!([]));
    assert_eq!(
        (checked(&world, "tables"), listed(&world)),
        (vec![], vec![])
    );
    let daemon = world.start_as("script2");
    wait_until("all to run", PATIENCE, || world.ledger_len() == 3);
    daemon.stop();
}

#[test]
fn retries_of_a_removed_entry_are_named_unless_another_daemon_consumes_its_list() {
    let Some((_server, world)) = on_redis() else {
        return;
    };
    let kept = entry("kept", json!({ "key": "kept" }));
    let removed = entry(
        "removed",
        json!({ "key": "gone", "max_attempts": 2, "backoff": "1h" }),
    );
    let both = json!([kept, removed]);
    world.partition("script1", &both, &json!([]));
    world.output(&["send", "removed", "fail:x", "fail:y"]);
    let daemon = world.start();
    wait_until("both to fail", PATIENCE, || world.ledger_len() == 2);
    daemon.stop();
    assert_eq!((checked(&world, "redis"), listed(&world)), (vec![], vec![]));

    world.partition("script1", &json!([kept]), &json!([]));
    assert_eq!(checked(&world, "redis"), [("gone".to_owned(), 2)]);
    let found = listed(&world);
    assert!(
        found.len() == 1 && found[0].contains("redis `default`, `gone`, 2 messages"),
        "{found:?}"
    );
    let mut daemon = world.start();
    let said = daemon.wait_log("2 messages lie in and beside the list `gone`");
    assert!(
        said.contains("an entry with `\"key\": \"gone\"` would"),
        "{said}"
    );
    daemon.stop();

    world.partition("script2", &both, &json!([]));
    let other = world.start_as("script2");
    wait_until("the other daemon's heartbeat", PATIENCE, || {
        checked(&world, "redis").is_empty() && listed(&world).is_empty()
    });
    other.stop();
}
