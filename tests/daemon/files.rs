//! What the daemon has on the disk: who may read it, and what happens when it is taken away.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::json;

use crate::cron::entry;
use crate::process::Daemon;
use crate::wait::{PATIENCE, wait_for, wait_until};
use crate::world::World;

fn world() -> World {
    let world = World::new(json!({ "heartbeat_interval": "300ms", "shutdown_deadline": "2s" }));
    let queue = json!([{
        "name": "work", "exec_cmd": "ledger", "table": "work", "progress": 2, "progress_lag_limit": 1000,
        "progress_avg_msgcount": 1000, "status": 1,
    }]);
    world.partition("script1", &queue, &json!([]));
    world
}

/// The database file: in the data directory, its only one that ends so.
fn database_file(world: &World) -> std::path::PathBuf {
    let entries = fs::read_dir(world.path("data")).unwrap();
    let mut paths = entries.map(|entry| entry.unwrap().path());
    paths
        .find(|path| path.extension().is_some_and(|e| e == "db"))
        .unwrap()
}

fn ends_for(mut daemon: Daemon, what: &str) {
    let (status, _) = daemon.wait_end(PATIENCE);
    assert_eq!(status.code(), Some(1), "{}", daemon.log());
    let log = daemon.log();
    let is_error = |line: &str| line.contains(" ERROR ") && line.contains(what);
    assert!(log.lines().any(is_error), "{log}");
}

#[test]
fn a_database_file_that_is_removed_ends_the_daemon() {
    let world = world();
    let daemon = world.start();
    fs::remove_file(database_file(&world)).unwrap();
    ends_for(daemon, "was removed while this process had it open");
}

#[test]
fn a_database_file_that_is_replaced_ends_the_daemon() {
    let world = world();
    let daemon = world.start();
    let file = database_file(&world);
    let restored = world.path("restored");
    fs::copy(&file, &restored).unwrap();
    fs::rename(&restored, &file).unwrap();
    ends_for(daemon, "was replaced by another file");
    // Nothing was written to the other one on the way.
    world.send("work", &["message".to_owned()]);
    let daemon = world.start();
    wait_until("the message", PATIENCE, || world.ledger_len() == 1);
    daemon.stop();
}

/// As people clear up after a crash. What this daemon commits then is seen by nobody who opens the file.
#[test]
fn a_log_of_the_database_file_that_is_removed_ends_the_daemon() {
    let world = world();
    let daemon = world.start();
    world.send("work", &["message".to_owned()]);
    wait_until("the message", PATIENCE, || world.ledger_len() == 1);
    let mut log = database_file(&world).into_os_string();
    log.push("-wal");
    fs::remove_file(log).unwrap();
    ends_for(daemon, "`-wal` file");
}

fn open_to_others(dir: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        // It may have been removed meanwhile.
        let Ok(there) = fs::symlink_metadata(&path) else {
            continue;
        };
        if there.mode() & 0o077 != 0 {
            found.push(format!("{} {:o}", path.display(), there.mode()));
        }
        if there.is_dir() {
            open_to_others(&path, found);
        }
    }
}

#[test]
fn nobody_else_may_read_data_and_logs() {
    let world = world();
    world.partition(
        "script1",
        &json!([]),
        &json!([entry("* * * * * *", "sleep:1500:x")]),
    );
    let daemon = world.start();
    wait_until("two fires", PATIENCE, || world.ledger_len() >= 2);
    let mut found = Vec::new();
    for dir in ["data", "logs"] {
        let dir = world.path(dir);
        assert_eq!(
            fs::metadata(&dir).unwrap().permissions().mode() & 0o777,
            0o700
        );
        open_to_others(&dir, &mut found);
    }
    assert_eq!(found, Vec::<String>::new());
    daemon.stop();
}

fn soft_limit(pid: u32) -> u64 {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    line.unwrap()
        .split_whitespace()
        .nth(3)
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn the_daemon_may_open_all_that_it_is_allowed_and_cron_runs_what_is_usual() {
    const SOFT: u64 = 300;
    let world = world();
    world.partition(
        "script1",
        &json!([]),
        &json!([entry("* * * * * *", "hang:x")]),
    );
    let hard = getrlimit(Resource::Nofile).maximum.unwrap();
    let script = format!("ulimit -Sn {SOFT}; exec \"$@\"");
    let mut daemon = world.spawn_in(&["sh", "-c", &script, "sh"], &["run"]);
    daemon.wait_ready();
    assert_eq!(soft_limit(daemon.pid()), hard);
    wait_until("a run", PATIENCE, || world.ledger_len() >= 1);
    assert_eq!(soft_limit(world.ledger().of_body("hang:x")[0].pid), SOFT);
    daemon.stop();
}

#[test]
fn a_job_that_finds_no_descriptor_left_has_not_failed() {
    let world = world();
    let daemon = world.start();
    let pid = Pid::from_raw(i32::try_from(daemon.pid()).unwrap());
    // What a handler opens now is refused. The message is there before: nothing else needs a new descriptor.
    let hard = getrlimit(Resource::Nofile).maximum;
    let limited = |current| Rlimit {
        current,
        maximum: hard,
    };
    let open = || {
        fs::read_dir(format!("/proc/{}/fd", daemon.pid()))
            .unwrap()
            .count()
    };
    prlimit(pid, Resource::Nofile, limited(Some(0))).unwrap();
    world.send("work", &["message".to_owned()]);
    world.output(&["push", "ledger", "--params", "task", "--delay-time", "0"]);
    wait_for("the line about it", PATIENCE, || {
        daemon
            .log()
            .contains("no file descriptor is left")
            .then_some(())
    });
    println!("{} descriptors were open", open());
    assert_eq!(world.ledger_len(), 0);
    prlimit(pid, Resource::Nofile, limited(hard)).unwrap();
    wait_until("both to run", PATIENCE, || world.ledger_len() == 2);
    for body in ["message", "task"] {
        assert_eq!(world.ledger().attempts_of(body), [1], "{}", daemon.log());
    }
    daemon.stop();
}
