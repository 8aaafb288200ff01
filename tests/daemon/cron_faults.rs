//! What can go wrong with a fire and its run: each leaves the right row and an error line, and the daemon goes on.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;

use rustix::process::{Resource, Signal, getrlimit};
use serde_json::{Value, json};

use crate::database::Database;
use crate::process::{Daemon, signal_pid, wait_stopped};
use crate::wait::{PATIENCE, wait_for, wait_until};
use crate::world::{World, ledger_program};

/// Each second, with what is special about it.
fn entry(params: &str, special: Value) -> Value {
    let mut entry = json!({
        "cron": "* * * * * *", "name": "the entry", "exec_cmd": "ledger", "params": params, "status": 1, "is_log": 1,
    });
    let special = special.as_object().unwrap().clone();
    entry.as_object_mut().unwrap().extend(special);
    entry
}

fn world(settings: Value, entry: Value) -> World {
    let world = World::new(settings);
    world.partition("script1", &json!([]), &json!([entry]));
    world
}

/// `status result` of the first run that ended so.
#[track_caller]
fn ended(database: &mut Database, status: &str) -> String {
    let end = format!(
        "SELECT status || ' ' || result AS t FROM crontab_log WHERE status = '{status}' ORDER BY id LIMIT 1"
    );
    wait_for(&format!("a run that ends as {status}"), PATIENCE, || {
        database.texts(&end).pop()
    })
}

/// It lives, has left no zombie, and stops as it should.
#[track_caller]
fn lives_on(mut daemon: Daemon) {
    assert_eq!(daemon.has_ended(), None, "{}", daemon.log());
    let own = format!(" {} ", daemon.pid());
    wait_until("no zombie to be there", PATIENCE, || {
        let stats = fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let stat = fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
            Some(stat.rsplit_once(')')?.1.to_owned())
        });
        let mut zombies = stats.filter(|stat| stat.starts_with(&format!(" Z{own}")));
        zombies.next().is_none()
    });
    daemon.stop();
}

/// A program that tests put before the ledger.
fn script(world: &World, name: &str, text: &str) -> String {
    let path = world.path(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_run_that_exceeds_its_timeout_ends_with_all_it_started() {
    let world = world(
        json!({ "cron_command": "./with-child" }),
        entry("hang:x", json!({ "timeout": "1s", "overlap": "forbid" })),
    );
    let ledger = ledger_program();
    let text = format!("sleep 1000 &\nexec {} \"$@\"", ledger.display());
    script(&world, "with-child", &text);
    let mut daemon = world.start();
    let mut database = world.database();
    let end = ended(&mut database, "timeout");
    assert!(end.contains("after its timeout of 1 s"), "{end}");
    daemon.wait_log("exceeds its timeout and is ended");
    let hung = world.ledger().of_body("hang:x")[0].pid;
    assert!(!fs::exists(format!("/proc/{hung}")).unwrap());
    // Quiet first: every fire starts a child of its own.
    world.etc("crontab_script1.json", &json!([]));
    daemon.signal(Signal::TERM);
    daemon.wait_end(PATIENCE);
    let daemon = world.start();
    wait_until("all children to end", PATIENCE, || {
        world.processes() == [daemon.pid()]
    });
    lives_on(daemon);
}

#[test]
fn a_run_of_an_earlier_daemon_keeps_its_timeout() {
    let world = world(
        json!({}),
        entry("hang:x", json!({ "timeout": "4s", "overlap": "forbid" })),
    );
    let first = world.start();
    wait_until("a run", PATIENCE, || world.ledger_len() > 0);
    let pid = world.ledger().lines[0].pid;
    first.kill();
    let mut next = world.start();
    next.wait_log("of an earlier daemon goes on and is watched");
    let mut database = world.database();
    let end =
        format!("SELECT status AS t FROM crontab_log WHERE pid = {pid} AND status <> 'running'");
    let end = wait_for("its end", PATIENCE, || database.texts(&end).pop());
    assert_eq!(end, "timeout");
    assert!(!world.processes().contains(&pid));
    lives_on(next);
}

#[test]
fn a_result_that_did_not_reach_the_database_is_picked_up_by_the_next_daemon() {
    let world = world(
        json!({}),
        entry("sleep:500:x", json!({ "overlap": "forbid" })),
    );
    let daemon = world.start();
    let mut database = world.database();
    let pid = "SELECT pid AS n FROM crontab_log WHERE status = 'running' AND pid <> 0";
    wait_until("a run", PATIENCE, || !database.numbers(pid).is_empty());
    let run = database.texts("SELECT uk AS t FROM cron_run WHERE state = 2");
    // So that no end can be written, neither by the daemon nor by the run.
    database.execute("BEGIN IMMEDIATE");
    daemon.kill();
    world.wait_empty();
    database.execute("COMMIT");
    let [uk] = &run[..] else { panic!("{run:?}") };
    let said = fs::read_to_string(world.path(&format!("data/runs/{uk}.json"))).unwrap();
    assert!(said.contains(r#""event":"ended""#), "{said}");
    let next = world.start();
    let end =
        format!("SELECT status AS t FROM crontab_log WHERE uk = '{uk}' AND status <> 'running'");
    let status = wait_for("its end", PATIENCE, || database.texts(&end).pop());
    assert_eq!(status, "success");
    lives_on(next);
}

#[test]
fn a_program_that_is_gone_fails_its_runs_and_the_next_upgrade_is_used() {
    let world = world(json!({}), entry("x", json!({})));
    let ledger = ledger_program();
    // As an upgrade does it: a link that is turned.
    let (link, new) = (world.path("program"), world.path("new"));
    let turn = |to: &Path| {
        std::os::unix::fs::symlink(to, &new).unwrap();
        fs::rename(&new, &link).unwrap();
    };
    turn(&ledger);
    let mut daemon = world.spawn_command(world.command_of(&link, &["run"]));
    daemon.wait_ready();
    let mut database = world.database();
    ended(&mut database, "success");
    fs::remove_file(&link).unwrap();
    let end = ended(&mut database, "failed");
    assert!(end.contains("No such file"), "{end}");
    daemon.wait_log("put it back");
    let upgrade = format!(
        "echo upgraded >> upgraded; exec {} \"$@\"",
        ledger.display()
    );
    turn(Path::new(&script(&world, "upgrade", &upgrade)));
    wait_until("the upgrade to run", PATIENCE, || {
        world.path("upgraded").exists()
    });
    lives_on(daemon);
}

#[test]
fn a_full_process_table_fails_runs_until_there_is_room() {
    const NOBODY: u32 = 65534;
    let world = world(json!({}), entry("x", json!({})));
    // The limit does not hold for root.
    let mut command = world.command(&["run"]);
    if rustix::process::geteuid().is_root() {
        for path in ["", "etc"] {
            chown(world.path(path), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        command.uid(NOBODY).gid(NOBODY);
    }
    let mut daemon = world.spawn_command(command);
    daemon.wait_ready();
    let mut database = world.database();
    ended(&mut database, "success");
    let (pid, as_root) = (daemon.pid(), rustix::process::geteuid().is_root());
    let limit = |soft: &str| {
        let mut command = world.command_of(Path::new("prlimit"), &["--pid", &pid.to_string()]);
        command.arg(format!("--nproc={soft}:"));
        // Its own user may, whatever root is not allowed in a container.
        if as_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        assert!(command.status().unwrap().success());
    };
    limit("1");
    let end = ended(&mut database, "failed");
    assert!(end.contains("process table is full"), "{end}");
    daemon.wait_log("the process table is full: raise RLIMIT_NPROC");
    let hard = getrlimit(Resource::Nproc).maximum;
    limit(&hard.map_or("unlimited".to_owned(), |hard| hard.to_string()));
    let last = database.number("SELECT max(id) AS n FROM crontab_log");
    let later =
        format!("SELECT count(*) AS n FROM crontab_log WHERE status = 'success' AND id > {last}");
    wait_until("runs to go on", PATIENCE, || database.number(&later) > 0);
    lives_on(daemon);
}

#[test]
fn runs_go_on_where_no_log_can_be_written() {
    // Root may write anywhere; below a file nobody can.
    let world = world(
        json!({ "logger": { "path": "file/logs" } }),
        entry("x", json!({})),
    );
    fs::write(world.path("file"), "").unwrap();
    let mut daemon = world.start();
    daemon
        .wait_log("its output goes nowhere: cannot append to `file/logs/cron/script1/the%20entry-");
    ended(&mut world.database(), "success");
    lives_on(daemon);
}

#[test]
fn a_run_that_cannot_be_announced_has_failed() {
    let world = world(json!({}), entry("x", json!({})));
    world.migrate();
    fs::write(world.path("data/runs"), "").unwrap();
    let mut daemon = world.start();
    let end = ended(&mut world.database(), "failed");
    assert!(end.contains("`data/` cannot be written"), "{end}");
    daemon.wait_log("its file below `data/` cannot be written: cannot write run file");
    assert_eq!(world.ledger_len(), 0, "no run without its file");
    fs::remove_file(world.path("data/runs")).unwrap();
    ended(&mut world.database(), "success");
    lives_on(daemon);
}

#[test]
fn a_full_data_directory_delays_fires_and_loses_none_that_has_its_row() {
    // A small file system of its own, which nobody else sees.
    let world = world(json!({ "misfire_grace": "1s" }), entry("x", json!({})));
    fs::create_dir(world.path("data")).unwrap();
    let mount = "mount -t tmpfs -o size=4m tmpfs data && exec \"$@\"";
    let wrapper = ["unshare", "-rm", "sh", "-c", mount, "sh"];
    if !world.can(&["unshare", "-rm", "true"]) {
        return;
    }
    let mut daemon = world.spawn_in(&wrapper, &["run"]);
    daemon.wait_ready();
    wait_until("a run", PATIENCE, || world.ledger_len() > 0);
    let inside = format!(
        "/proc/{}/root{}",
        daemon.pid(),
        world.real_path("data").display()
    );
    let filling = Path::new(&inside).join("filling");
    let full = fs::write(&filling, vec![0; 8 << 20]);
    assert!(full.is_err(), "there is no room for that");
    daemon.wait_log("was missed");
    daemon.wait_log(" is away, trying again");
    fs::remove_file(&filling).unwrap();
    daemon.wait_log(" is back after ");
    let before = world.ledger_len();
    wait_until("fires to go on", PATIENCE, || {
        world.ledger_len() > before + 1
    });
    assert!(world.ledger().doubled().is_empty());
    // The files as they are at one moment, which is what a crash would leave: SQLite makes a database of them.
    daemon.signal(Signal::STOP);
    wait_stopped(daemon.pid());
    fs::create_dir(world.path("copy")).unwrap();
    for file in ["simplest_script.db", "simplest_script.db-wal"] {
        fs::copy(Path::new(&inside).join(file), world.path("copy").join(file)).unwrap();
    }
    daemon.signal(Signal::CONT);
    let mut database = world.database_at(&world.path("copy/simplest_script.db"));
    let twice = "SELECT count(*) - count(DISTINCT scheduled_ms) AS n FROM cron_run";
    assert_eq!(database.number(twice), 0);
    let strange = "SELECT status || result AS t FROM crontab_log WHERE status NOT IN ('success', 'running')
        AND result NOT LIKE '%the database was away for longer%' AND result NOT LIKE '%No space left%'";
    assert_eq!(database.texts(strange), [""; 0]);
    drop(database);
    lives_on(daemon);
}

#[test]
fn a_daemon_in_another_pid_namespace_leaves_the_runs_of_this_one_alone() {
    let world = world(
        json!({ "heartbeat_interval": "300ms" }),
        entry("sleep:6000:x", json!({ "overlap": "forbid" })),
    );
    if !world.can(&["unshare", "-r", "--pid", "--fork", "--kill-child", "true"]) {
        return;
    }
    let first = world.start();
    let mut database = world.database();
    let pid = "SELECT pid AS n FROM crontab_log WHERE status = 'running' AND pid <> 0";
    let pid = wait_for("a run", PATIENCE, || database.numbers(pid).pop());
    wait_until("the run to have begun", PATIENCE, || {
        world
            .run_files()
            .iter()
            .any(|text| text.contains("\"event\":\"started\""))
    });
    first.kill();
    let wrapper = ["unshare", "-r", "--pid", "--fork", "--kill-child"];
    let mut container = world.spawn_in(&wrapper, &["run"]);
    container.wait_ready();
    // It knows that the other's boot is over, and that its run may go on.
    container.wait_log("skipped, an earlier run still runs");
    let row = format!("SELECT status AS t FROM crontab_log WHERE pid = {pid}");
    let skips = |log: String| log.matches("skipped, an earlier run still runs").count();
    wait_until("its look after runs, twice", PATIENCE, || {
        skips(container.log()) >= 2
    });
    assert_eq!(database.texts(&row), ["running"]);
    let pid = u32::try_from(pid).unwrap();
    signal_pid(container.pid(), Signal::KILL);
    container.wait_end(PATIENCE);
    // Its own end, or that which a daemon beside it sees.
    let last = world.start();
    let end = wait_for("its end", PATIENCE, || {
        database
            .texts(&row)
            .pop()
            .filter(|status| status != "running")
    });
    assert_eq!(end, "success");
    assert_eq!(world.ledger().of_body("sleep:6000:x")[0].pid, pid);
    lives_on(last);
}

/// As in a container that has none, or on a system without.
#[test]
fn a_run_beyond_its_timeout_is_ended_without_proc() {
    let world = world(
        json!({}),
        entry(
            "hang:x",
            json!({ "timeout": "1s", "overlap": "replace", "cron": "*/3 * * * * *" }),
        ),
    );
    let hidden = [
        "unshare",
        "-r",
        "--mount",
        "sh",
        "-c",
        "mount -t tmpfs none /proc && exec \"$0\" \"$@\"",
    ];
    if !world.can(&[&hidden[..], &["true"]].concat()) {
        return;
    }
    let mut daemon = world.spawn_in(&hidden, &["run"]);
    daemon.wait_ready();
    let mut database = world.database();
    let result = ended(&mut database, "timeout");
    assert!(
        result.contains("ended after its timeout of 1 s"),
        "{result}"
    );
    let pid = "SELECT pid AS n FROM crontab_log WHERE status = 'timeout' ORDER BY id LIMIT 1";
    let pid = u32::try_from(database.number(pid)).unwrap();
    assert!(
        !Path::new("/proc").join(pid.to_string()).exists(),
        "its process is gone"
    );
    assert!(
        !daemon.log().contains("cannot be ended"),
        "{}",
        daemon.log()
    );
    daemon.stop();
}

#[test]
fn a_run_that_is_replaced_is_no_error() {
    let world = world(json!({}), entry("hang:x", json!({ "overlap": "replace" })));
    let daemon = world.start();
    let mut database = world.database();
    let ended = "SELECT count(*) AS n FROM crontab_log WHERE status = 'killed'";
    wait_until("three runs that were replaced", PATIENCE, || {
        database.number(ended) >= 3
    });
    let log = daemon.log();
    daemon.stop();
    let loud = log
        .lines()
        .filter(|line| line.contains(" ERROR ") || line.contains(" WARN "));
    assert_eq!(loud.collect::<Vec<_>>(), [""; 0]);
    let first = "SELECT uk AS t FROM crontab_log WHERE status = 'killed' ORDER BY id LIMIT 1";
    let uk = database.texts(first).remove(0);
    let lines = log
        .lines()
        .filter(|line| line.contains(&format!("run {uk} ended")));
    assert_eq!(lines.count(), 1, "{log}");
}
