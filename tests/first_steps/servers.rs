//! `check --online` against real servers. A server that is not installed is left out, which is printed.

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::world::{Running, World};

const PATIENCE: Duration = Duration::from_secs(30);

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A private server; `None` where none is installed.
fn redis(world: &World, port: u16) -> Option<Running> {
    if Command::new("redis-server")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!(
            "LEFT OUT: no `redis-server` is installed, so `check --online` was not tried against one"
        );
        return None;
    }
    // Its report goes to standard output, and is waited for on standard error.
    let start = format!(
        "exec redis-server --port {port} --bind 127.0.0.1 --save '' --appendonly no --dir . 1>&2"
    );
    let mut command = Command::new("sh");
    command.arg("-c").arg(start).current_dir(world.path());
    let mut server = Running::start(&mut command, PATIENCE);
    server.wait_for("Ready to accept connections");
    Some(server)
}

#[test]
fn redis_says_its_version_and_how_long_the_lists_are() {
    let port = free_port();
    let settings =
        format!(r#"{{"redis": {{"default": {{"url": "redis://127.0.0.1:{port}/3"}}}}}}"#);
    let entry = |name: &str| {
        format!(
            r#"{{"name": "{name}", "exec_cmd": "demo_greet", "key": "{name}", "progress": 1, "progress_lag_limit": 1,
                "progress_avg_msgcount": 1, "status": 1}}"#
        )
    };
    let queues = format!("[{}, {}]", entry("orders"), entry("no_list"));
    let world = World::with_etc(&settings, &queues, "[]");
    let Some(_server) = redis(&world, port) else {
        return;
    };
    let run = |args: &str| {
        let output = Command::new("redis-cli")
            .args(["-p", &port.to_string(), "-n", "3"])
            .args(args.split(' '))
            .output();
        assert!(output.unwrap().status.success(), "{args}");
    };
    run("LPUSH orders 1 2 3");
    run("SET no_list x");

    let ended = world.run(&["check", "--online", "--json"]);
    assert_eq!(ended.code, 1, "one of the keys is no list: {ended:?}");
    let said: Value = serde_json::from_str(&ended.out).unwrap();
    let found = said["online"].as_array().unwrap();
    let redis = found
        .iter()
        .find(|server| server["kind"] == "redis")
        .unwrap();
    assert_eq!(redis["reached"], true, "{redis}");
    assert!(
        redis["version"].as_str().unwrap().starts_with("Redis "),
        "{redis}"
    );
    assert_eq!(redis["queues"][0]["waiting"], 3);
    assert!(
        redis["queues"][1]["problem"]
            .as_str()
            .unwrap()
            .contains("WRONGTYPE"),
        "{redis}"
    );
}
