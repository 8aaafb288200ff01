//! The configuration is read again while the daemon works.

mod entries;
mod load;
mod orders;
mod watching;

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::engine::{Engine, on_each_database};
use crate::http::client::{ask_socket, ask_with};
use crate::ledger::Line;
use crate::process::Daemon;
use crate::redis::List;
use crate::servers::redis::shared;
use crate::wait::{LONG_PATIENCE, PATIENCE, now_s, random_moment, wait_for, wait_until};
use crate::world::World;

/// A line of the log, before the word where the order came from.
const RELOADED: &str = "the configuration is reloaded (";

fn settings() -> Value {
    json!({ "heartbeat_interval": "500ms", "shutdown_deadline": "20s" })
}

fn world(engine: Engine) -> Option<World> {
    World::on(engine, settings())
}

fn queue(name: &str, progress: u32) -> Value {
    json!({
        "name": name, "exec_cmd": "ledger", "table": name, "progress": progress, "progress_lag_limit": 1_000_000,
        "progress_avg_msgcount": 1000, "status": 1,
    })
}

fn with(mut entry: Value, key: &str, value: Value) -> Value {
    entry[key] = value;
    entry
}

/// A list of a Redis server of the settings.
fn list_of(server: &str, key: &str, progress: u32) -> Value {
    let mut entry = queue("list", progress);
    entry.as_object_mut().unwrap().remove("table");
    with(with(entry, "redis", json!(server)), "key", json!(key))
}

/// As deployments do it: at no moment is there half a file, which a cron run would read.
fn replace(world: &World, file: &str, content: &Value) {
    world.etc_text("new", &content.to_string());
    std::fs::rename(world.path("etc/new"), world.path("etc").join(file)).unwrap();
}

/// Changes a key of the settings.
fn set(world: &World, key: &str, value: Value) {
    let file = std::fs::read(world.path("etc/dev.json")).unwrap();
    let settings: Value = serde_json::from_slice(&file).unwrap();
    world.etc("dev.json", &with(settings, key, value));
}

fn second(name: &str) -> Value {
    json!({ "cron": "* * * * * *", "name": name, "exec_cmd": "ledger", "params": name, "status": 1 })
}

/// Exit status and standard output.
#[track_caller]
fn reload(world: &World) -> (Option<i32>, String) {
    let output = world.run(&["reload"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("panic"), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), format!("{text}{said}"))
}

#[track_caller]
fn must_reload(world: &World) -> String {
    let (status, said) = reload(world);
    assert_eq!(status, Some(0), "{said}");
    said
}

fn bodies(of: &str, n: usize) -> Vec<String> {
    (0..n).map(|n| format!("sleep:20:{of} {n}")).collect()
}

/// How often a cron entry has fired. Its runs read `etc/` too, and fail while that is faulty.
fn fires(daemon: &Daemon, entry: &str) -> usize {
    daemon
        .log()
        .matches(&format!("cron `{entry}` fired"))
        .count()
}

/// This many seconds of cron: each is a scan of the files, where they are watched.
fn wait_seconds(daemon: &Daemon, n: usize) {
    let before = fires(daemon, "beat");
    wait_until("seconds of cron", PATIENCE, || {
        fires(daemon, "beat") >= before + n
    });
}

/// What the daemon shows of a queue.
fn shown(world: &World, name: &str) -> Value {
    let states: Value = serde_json::from_str(&world.output(&["status", "--json"])).unwrap();
    let queues = states[0]["queues"].as_array().unwrap();
    let found = queues.iter().find(|queue| queue["name"] == name);
    found.cloned().unwrap_or(Value::Null)
}

/// How often handlers ran for an entry, of whichever kind.
fn ran(world: &World, entry: &str) -> usize {
    let ledger = world.ledger();
    let of_entry = ledger.lines.iter().filter(|line| line.name == entry);
    of_entry.count()
}

/// The seconds for which a cron entry ran, in their order.
fn seconds(world: &World, entry: &str) -> Vec<i64> {
    let ledger = world.ledger();
    let scheduled = |line: &&Line| (line.at_us - line.late_us.unwrap()).div_euclid(1_000_000);
    let mut seconds: Vec<i64> = ledger.of_body(entry).iter().map(scheduled).collect();
    seconds.sort_unstable();
    seconds
}
