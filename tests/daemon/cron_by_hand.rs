//! The line of a fire in the log, pasted into a shell.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::wait::{PATIENCE, wait_until};
use crate::world::World;

#[test]
fn the_line_of_a_fire_runs_the_same_in_another_shell() {
    let world = World::new(json!({}));
    let settings = json!({ "database": { "url": "sqlite://other/dir/release.db" } });
    std::fs::create_dir(world.path("etc 2")).unwrap();
    let entry = json!({
        "cron": "* * * * * *", "name": "it's", "exec_cmd": "ledger", "params": "a b", "status": 4, "is_log": 1,
    });
    world.write("etc 2/release.json", &settings);
    world.write("etc 2/queue_script7.json", &json!([]));
    world.write("etc 2/crontab_script7.json", &json!([entry]));
    let args = [
        "--etc",
        "etc 2",
        "--env",
        "release",
        "--partition",
        "script7",
        "run",
    ];
    let mut daemon = world.spawn(&args);
    let line = daemon.wait_log("` fired, pid ");
    daemon.stop();
    world.wait_empty();
    let runs = world.ledger_len();
    let (_, command) = line.split_once(": (").unwrap();
    // Another shell: elsewhere, with variables of another configuration.
    let output = Command::new("/bin/sh")
        .args(["-c", &format!("({command}")])
        .current_dir("/")
        .env("SCRIPT_ENV", "dev")
        .env("SCRIPT_PARTITION", "script1")
        .env("LEDGER", world.path("ledger"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{command}: {output:?}");
    wait_until("its line", PATIENCE, || world.ledger_len() == runs + 1);
    let ledger = world.ledger();
    let last = ledger.lines.last().unwrap();
    assert_eq!(last.body, "a b");
    assert!(
        !world.path("data").exists(),
        "no database of another environment is made"
    );
}
