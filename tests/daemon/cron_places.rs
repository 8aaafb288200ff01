//! Cron where names differ that mean the same: of a time zone, and of the machine.

use serde_json::json;

use crate::engine::{Engine, on_each_database};
use crate::process::signal_pid;
use crate::wait::{LONG_PATIENCE, PATIENCE, wait_for, wait_until};
use crate::world::World;
use rustix::process::Signal;

on_each_database! { world => daemons_with_two_names_of_one_zone_fire_each_second_once }

fn world(engine: Engine) -> Option<World> {
    World::on(engine, json!({}))
}

fn daemons_with_two_names_of_one_zone_fire_each_second_once(world: World) {
    const RUNS: usize = 6;
    let entry = json!({
        "cron": "* * * * * *", "name": "each second", "exec_cmd": "ledger", "params": "x", "status": 1, "is_log": 1,
    });
    world.partition("script1", &json!([]), &json!([entry]));
    let daemons = ["UTC", "Etc/UTC"].map(|zone| {
        let mut command = world.command(&["run"]);
        command.env("TZ", zone);
        let mut daemon = world.spawn_command(command);
        daemon.wait_ready();
        daemon
    });
    let begun = world.ledger_len();
    wait_until("enough runs", LONG_PATIENCE, || {
        world.ledger_len() >= begun + RUNS
    });
    for daemon in daemons {
        daemon.stop();
    }
    world.wait_empty();
    let mut seconds: Vec<i64> = world
        .database()
        .numbers("SELECT scheduled_ms AS n FROM cron_run ORDER BY scheduled_ms");
    let count = seconds.len();
    seconds.dedup();
    assert_eq!(seconds.len(), count, "no second twice");
    assert_eq!(world.ledger_len(), count);
    let entries = "SELECT count(*) AS n FROM cron_entry";
    assert_eq!(world.database().number(entries), 1);
}

#[test]
fn a_dead_run_is_judged_though_the_machine_was_renamed() {
    let world = World::new(json!({ "heartbeat_interval": "300ms" }));
    let entry = json!({
        "cron": "* * * * * *", "name": "each second", "exec_cmd": "ledger", "params": "hang:x", "status": 1, "is_log": 1,
        "overlap": "forbid",
    });
    world.partition("script1", &json!([]), &json!([entry]));
    let renamed = [
        "unshare",
        "-r",
        "--uts",
        "sh",
        "-c",
        "hostname renamed && exec \"$0\" \"$@\"",
    ];
    let can = [&renamed[..], &["true"]].concat();
    if !world.can(&can) {
        return;
    }
    let first = world.start();
    wait_until("a run", PATIENCE, || world.ledger_len() == 1);
    let mut database = world.database();
    let pid = "SELECT pid AS n FROM crontab_log WHERE status = 'running' AND pid <> 0";
    let pid = wait_for("its pid", PATIENCE, || database.numbers(pid).pop());
    first.kill();
    signal_pid(u32::try_from(pid).unwrap(), Signal::KILL);
    world.wait_empty();
    let mut second = world.spawn_in(&renamed, &["run"]);
    second.wait_ready();
    wait_until("another run", PATIENCE, || world.ledger_len() == 2);
    let row = format!("SELECT status AS t FROM crontab_log WHERE pid = {pid}");
    assert_eq!(database.texts(&row), ["lost"]);
    assert!(!second.log().contains("skipped"), "{}", second.log());
    second.stop();
}
