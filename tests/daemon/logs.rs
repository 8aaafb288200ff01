//! Business logs and the daemon's own from outside: many processes that write one file, a disk that is full, a directory
//! that turns read-only.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::cron::entry;
use crate::process::Daemon;
use crate::wait::{LONG_PATIENCE, PATIENCE, wait_until};
use crate::world::World;

/// Lines of one job in the test of three kinds of processes: more than fit into a file, so that each rolls some.
const LINES: usize = 7_000;
/// As the acceptance of logs wants it.
const PROCESSES: usize = 4;
const LINES_OF_A_PROCESS: usize = 50_000;
/// A thousandth of what is usual: 200,000 lines then fill some fifty files.
const MAX_SIZE_MB: u64 = 1;

fn world() -> World {
    World::new(json!({
        "heartbeat_interval": "300ms",
        "logger": { "max_size_mb": MAX_SIZE_MB, "max_backups": 0, "max_age_days": 0 },
    }))
}

/// The files of a log, rolled and packed ones too.
fn files(directory: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(directory)
        .unwrap()
        .map(|file| file.unwrap().path());
    files
        .filter(|path| path.to_string_lossy().contains("app-"))
        .collect()
}

/// How many whole lines each job wrote, after it was seen that each is there once.
fn counted(directory: &Path) -> BTreeMap<String, usize> {
    let mut numbers: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for path in files(directory) {
        let mut text = String::new();
        let file = File::open(&path).unwrap();
        match path.extension().is_some_and(|extension| extension == "gz") {
            true => GzDecoder::new(file).read_to_string(&mut text),
            false => (&file).read_to_string(&mut text),
        }
        .unwrap();
        for line in text.lines() {
            let whole: Value = serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("{}: {error}: {line}", path.display()));
            let message = whole["message"].as_str().unwrap();
            let words: Vec<&str> = message.split(' ').collect();
            let [job, number, filling, "end"] = words[..] else {
                panic!("{}: {line}", path.display());
            };
            let number: usize = number.parse().unwrap();
            assert_eq!(filling.chars().count(), 1 + number % 200, "{line}");
            numbers.entry(job.to_owned()).or_default().push(number);
        }
    }
    let counted = numbers.into_iter().map(|(job, mut numbers)| {
        numbers.sort_unstable();
        let count = numbers.len();
        let expected: Vec<usize> = (0..count).collect();
        assert_eq!(numbers, expected, "{job}: lines are lost or doubled");
        (job, count)
    });
    counted.collect()
}

#[test]
fn a_cron_process_a_consumer_and_a_command_share_a_logger_and_lose_no_line() {
    let world = world();
    let body = format!("log:shared:{LINES}");
    let mut cron = entry("* * * * * *", &body);
    cron["overlap"] = json!("forbid");
    world.partition("script1", &World::table_queue(), &json!([cron]));
    let daemon = world.start();
    world.send("work", &vec![body.clone(); 3]);
    world.output(&["exec", "ledger", &body]);
    wait_until("runs of all three kinds", LONG_PATIENCE, || {
        let ledger = world.ledger();
        let count = |kind| ledger.of_kind(kind).count();
        // One run of the handler for cron is the command's.
        count("queue") >= 3 && count("cron") >= 3
    });
    daemon.stop();
    world.wait_empty();
    let counted = counted(&world.path("logs/shared"));
    let jobs = world.ledger().lines.len();
    assert_eq!(counted.len(), jobs, "{counted:?}");
    assert!(counted.values().all(|count| *count == LINES), "{counted:?}");
    let rolled = files(&world.path("logs/shared")).len();
    assert!(rolled > jobs, "{rolled} files of {jobs} jobs");
}

#[test]
fn four_processes_write_200_000_lines_and_none_is_lost_or_torn() {
    let world = world();
    world.migrate();
    let body = format!("log:many:{LINES_OF_A_PROCESS}");
    let start = |_| {
        let mut command = world.command(&["exec", "ledger", &body]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let mut processes: Vec<_> = (0..PROCESSES).map(start).collect();
    for process in &mut processes {
        assert!(process.wait().unwrap().success());
    }
    let counted = counted(&world.path("logs/many"));
    assert_eq!(counted.len(), PROCESSES, "{counted:?}");
    assert!(
        counted.values().all(|count| *count == LINES_OF_A_PROCESS),
        "{counted:?}"
    );
    let files = files(&world.path("logs/many"));
    let packed = files
        .iter()
        .filter(|path| path.to_string_lossy().ends_with(".gz"));
    println!("{} files, {} of them packed", files.len(), packed.count());
    assert!(files.len() > 30, "{} files", files.len());
}

/// A daemon whose `logs` is a file system of its own, which nobody else sees; None where this machine has no such thing.
fn with_small_logs(world: &World, size: &str) -> Option<(Daemon, PathBuf)> {
    world.partition(
        "script1",
        &World::table_queue(),
        &json!([entry("* * * * * *", "tick")]),
    );
    fs::create_dir(world.path("logs")).unwrap();
    let mount = format!("mount -t tmpfs -o size={size} tmpfs logs && exec \"$@\"");
    if !world.can(&["unshare", "-rm", "true"]) {
        return None;
    }
    let mut daemon = world.spawn_in(&["unshare", "-rm", "sh", "-c", &mount, "sh"], &["run"]);
    daemon.wait_ready();
    let inside = format!(
        "/proc/{}/root{}",
        daemon.pid(),
        world.real_path("logs").display()
    );
    Some((daemon, inside.into()))
}

/// One message after another, each with a line for the logger `pay`, until `seen`.
fn log_until(world: &World, what: &str, seen: impl Fn() -> bool) {
    wait_until(what, LONG_PATIENCE, || {
        let before = world.ledger().of_kind("queue").count();
        world.send("work", &["log:pay:20".to_owned()]);
        wait_until("the message to be worked off", PATIENCE, || {
            world.ledger().of_kind("queue").count() > before
        });
        seen()
    });
}

/// The warnings of a log that cannot be written.
fn warnings(daemon: &Daemon, of: &str) -> usize {
    let log = daemon.log();
    let lines = log
        .lines()
        .filter(|line| line.contains("cannot be written: ") && line.contains(of));
    lines.count()
}

fn text_of(directory: &Path) -> String {
    let files = fs::read_dir(directory).into_iter().flatten();
    let files = files.map(|file| file.unwrap().path());
    files
        .map(|path| fs::read_to_string(path).unwrap_or_default())
        .collect()
}

#[test]
fn a_full_disk_of_logs_is_one_warning_for_each_log_and_never_the_end() {
    let world = world();
    let Some((daemon, logs)) = with_small_logs(&world, "16m") else {
        return;
    };
    log_until(&world, "the first line", || {
        text_of(&logs.join("pay")).contains("\"message\"")
    });
    let filling = logs.join("filling");
    let mut filler = File::create(&filling).unwrap();
    // Not a block is left.
    while filler.write_all(&[0; 4096]).is_ok() {}
    drop(filler);
    log_until(&world, "both logs to be full", || {
        warnings(&daemon, "/pay/app-") > 0 && warnings(&daemon, "/script1-") > 0
    });
    // The daemon works on, and logs no more of it.
    let fires = world.ledger().of_body("tick").len();
    log_until(&world, "fires to go on", || {
        world.ledger().of_body("tick").len() > fires + 2
    });
    fs::remove_file(&filling).unwrap();
    log_until(&world, "both logs to go on", || {
        let notice = "lines dropped here: ";
        text_of(&logs.join("pay")).contains(notice) && text_of(&logs).contains(notice)
    });
    // A line that was cut stands alone.
    for line in text_of(&logs.join("pay")).lines() {
        assert!(line.matches("\"message\":").count() <= 1, "{line}");
    }
    assert_eq!(warnings(&daemon, "/pay/app-"), 1, "{}", daemon.log());
    assert_eq!(warnings(&daemon, "/script1-"), 1, "{}", daemon.log());
    daemon.stop();
}

#[test]
fn a_directory_of_logs_that_turns_read_only_is_one_warning_for_each_log_and_never_the_end() {
    let world = world();
    let Some((daemon, logs)) = with_small_logs(&world, "16m") else {
        return;
    };
    let pid = daemon.pid().to_string();
    let inside = |command: &str| {
        let enter = [
            "--preserve-credentials",
            "-U",
            "-m",
            "-t",
            &pid,
            "sh",
            "-c",
            command,
        ];
        let directory = world.real_path("logs");
        let mut entered = Command::new("nsenter");
        let done = entered.args(enter).env("LOGS", directory).status().unwrap();
        assert!(done.success(), "{command}");
    };
    log_until(&world, "the first line", || {
        text_of(&logs.join("pay")).contains("\"message\"")
    });
    inside("mount -t tmpfs -o ro tmpfs \"$LOGS\"");
    log_until(&world, "both logs to fail", || {
        warnings(&daemon, "/pay/app-") > 0 && warnings(&daemon, "/script1-") > 0
    });
    let fires = world.ledger().of_body("tick").len();
    log_until(&world, "fires to go on", || {
        world.ledger().of_body("tick").len() > fires + 2
    });
    inside("umount \"$LOGS\"");
    log_until(&world, "both logs to go on", || {
        let notice = "lines dropped here: ";
        text_of(&logs.join("pay")).contains(notice) && text_of(&logs).contains(notice)
    });
    assert_eq!(warnings(&daemon, "/pay/app-"), 1, "{}", daemon.log());
    assert_eq!(warnings(&daemon, "/script1-"), 1, "{}", daemon.log());
    daemon.stop();
}

#[test]
fn the_name_of_a_logger_leads_nowhere_else() {
    let world = world();
    world.migrate();
    let output = world.run(&["exec", "ledger", "log:../../etc:1"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("logger name `../../etc` is written as `______etc`"),
        "{said}"
    );
    assert_eq!(counted(&world.path("logs/______etc")).len(), 1);
    let mut made: Vec<_> = fs::read_dir(world.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    made.sort();
    assert_eq!(made, ["data", "etc", "ledger", "logs"]);
}
