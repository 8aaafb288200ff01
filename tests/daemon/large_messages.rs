//! Messages of 8 MB: what the daemon has of them in memory at a time.
//!
//! The full size: `FULL_SIZE=1 cargo test --test daemon large_messages -- --nocapture`.

use std::env;
use std::fs;

use serde_json::json;

use crate::engine::{Engine, on_each_database};
use crate::process::Daemon;
use crate::wait::LONG_PATIENCE;
use crate::wait::wait_until;
use crate::world::World;

const PAYLOAD: usize = 8 << 20;
/// Megabytes that the daemon may take: 90 to 310 were measured, the most on SQLite, which keeps what a claim returns beside
/// its pages. Without a budget 24 messages took 656 on SQLite, and 80 of them 2 GB.
const MOST_MB: u64 = 450;

fn messages() -> usize {
    match env::var_os("FULL_SIZE") {
        Some(_) => 80,
        None => 24,
    }
}

fn world(engine: Engine) -> Option<World> {
    let world = World::on(engine, json!({ "heartbeat_interval": "1s" }))?;
    let entry = json!({
        "name": "work", "exec_cmd": "noop_batch", "table": "work", "progress": 1, "batch_size": 100,
        "progress_lag_limit": 1_000_000, "progress_avg_msgcount": 1000, "status": 1,
    });
    world.partition("script1", &json!([entry]), &json!([]));
    Some(world)
}

fn payload(engine: Engine) -> String {
    match engine {
        Engine::Sqlite => format!("randomblob({PAYLOAD})"),
        Engine::MariaDb | Engine::MySql => format!("repeat('x', {PAYLOAD})"),
        Engine::Postgres => format!("convert_to(repeat('x', {PAYLOAD}), 'UTF8')"),
    }
}

/// The most that the process has had in memory, in megabytes.
fn peak_mb(daemon: &Daemon) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kb = line.unwrap().split_whitespace().nth(1).unwrap();
    kb.parse::<u64>().unwrap() / 1024
}

on_each_database! { world =>
    a_batch_handler_with_large_messages_takes_no_more_memory_than_it_may,
}

fn a_batch_handler_with_large_messages_takes_no_more_memory_than_it_may(world: World) {
    let mut database = world.migrate();
    let payload = payload(world.engine);
    for _ in 0..messages() {
        database.execute(&format!(
            "INSERT INTO queue_message (queue, payload, due_ms, created_ms) VALUES ('work', {payload}, 0, 0)"
        ));
    }
    let daemon = world.start();
    wait_until("all messages to be done", LONG_PATIENCE, || {
        database.number("SELECT count(*) AS n FROM queue_message") == 0
    });
    let peak = peak_mb(&daemon);
    println!(
        "{:?}: {} messages of 8 MB: {peak} MB",
        world.engine,
        messages()
    );
    assert!(peak <= MOST_MB, "{peak} MB");
    let log = daemon.log();
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    daemon.stop();
}
