//! What a rolling file promises: no line lost, none torn, nobody stopped.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::{env, thread};

use chrono::TimeZone;
use flate2::read::GzDecoder;

use super::*;
use crate::logs::line;
use crate::logs::sweep::sweep;

fn noon() -> DateTime<Local> {
    Local.with_ymd_and_hms(2026, 11, 22, 12, 0, 0).unwrap()
}

fn seconds(count: i64) -> TimeDelta {
    TimeDelta::seconds(count)
}

fn spec(dir: &Path, max_bytes: u64) -> Spec {
    Spec {
        names: Names::new(dir, "app"),
        limits: Limits {
            max_bytes,
            max_backups: 0,
            max_age_days: 0,
            compress: true,
        },
    }
}

fn file(spec: &Spec) -> RollingFile {
    RollingFile::new(spec.clone(), line::warning, |_, _| {}, |_, _| {})
}

fn read(path: PathBuf) -> String {
    let mut text = String::new();
    let file = File::open(&path).unwrap();
    if path.extension().is_some_and(|it| it == "gz") {
        GzDecoder::new(file).read_to_string(&mut text).unwrap();
    } else {
        (&file).read_to_string(&mut text).unwrap();
    }
    text
}

fn in_dir(dir: &Path) -> Vec<String> {
    let names = dir.read_dir().unwrap();
    let mut names: Vec<_> = names
        .map(|item| item.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Small, so that a test rolls hundreds of times.
const TINY_BYTES: u64 = 4 * 1024;
const WRITERS: usize = 3;
const LINES: usize = 6_000;

fn write_lines(file: &RollingFile, writer: usize) {
    for number in 0..LINES {
        // Of many lengths, with an end that shows whether the line is whole.
        let filling = "·".repeat(number % 50);
        file.write(noon(), &format!("{writer} {number} {filling} end\n"));
    }
}

/// Each line of each writer is there once and whole, packed files included.
fn assert_all_lines(spec: &Spec) {
    let mut seen: HashMap<(usize, usize), usize> = HashMap::new();
    let entries = spec.names.entries().unwrap();
    for entry in &entries {
        for line in read(entry.path.clone()).lines() {
            let parts: Vec<_> = line.split(' ').collect();
            let [writer, number, filling, "end"] = parts[..] else {
                panic!("torn line in {}: {line}", entry.path.display());
            };
            let (writer, number) = (writer.parse().unwrap(), number.parse().unwrap());
            assert_eq!(filling.chars().count(), number % 50, "{line}");
            *seen.entry((writer, number)).or_default() += 1;
        }
    }
    assert_eq!(seen.len(), WRITERS * LINES, "lines are lost");
    assert!(seen.values().all(|&count| count == 1), "lines are doubled");
    assert!(entries.len() > 50, "only {} files", entries.len());
    assert!(entries.iter().any(|entry| entry.packed), "none was packed");
}

#[test]
fn threads_lose_and_tear_no_line() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(dir.path(), TINY_BYTES);
    thread::scope(|scope| {
        let spec = &spec;
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| scope.spawn(move || write_lines(&file(spec), writer)))
            .collect();
        while writers.iter().any(|writer| !writer.is_finished()) {
            sweep(spec, noon().date_naive(), &AtomicBool::new(false));
        }
    });
    sweep(&spec, noon().date_naive(), &AtomicBool::new(false));
    assert_all_lines(&spec);
}

/// Set for the writing processes of the test below: the directory, and the writer's number.
const CHILD: &str = "SIMPLEST_SCRIPT_TEST_ROLLING";

#[test]
fn processes_lose_and_tear_no_line() {
    if let Ok(child) = env::var(CHILD) {
        let (writer, dir) = child.split_once(' ').unwrap();
        let file = file(&spec(Path::new(dir), TINY_BYTES));
        write_lines(&file, writer.parse().unwrap());
        // No destructor, no flush: what was written must be there.
        std::process::exit(0);
    }
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(dir.path(), TINY_BYTES);
    let path = module_path!().split_once("::").unwrap().1;
    let start = |writer: usize| {
        Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                &format!("{path}::processes_lose_and_tear_no_line"),
            ])
            .env(CHILD, format!("{writer} {}", dir.path().display()))
            .spawn()
            .unwrap()
    };
    let mut children: Vec<Child> = (0..WRITERS).map(start).collect();
    while children
        .iter_mut()
        .any(|it| it.try_wait().unwrap().is_none())
    {
        if dir.path().join("app-20261122.log").exists() {
            sweep(&spec, noon().date_naive(), &AtomicBool::new(false));
        }
    }
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    sweep(&spec, noon().date_naive(), &AtomicBool::new(false));
    assert_all_lines(&spec);
}

#[test]
fn a_new_day_is_a_new_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = file(&spec(dir.path(), 0));
    let midnight = Local.with_ymd_and_hms(2026, 11, 23, 0, 0, 0).unwrap();
    file.write(midnight - TimeDelta::milliseconds(1), "old\n");
    file.write(midnight, "new\n");
    assert_eq!(read(dir.path().join("app-20261122.log")), "old\n");
    assert_eq!(read(dir.path().join("app-20261123.log")), "new\n");
}

#[test]
fn a_full_file_is_rolled_and_numbers_go_up() {
    let dir = tempfile::tempdir().unwrap();
    let file = file(&spec(dir.path(), 10));
    for line in ["first\n", "second\n", "longer than the limit\n", "last\n"] {
        file.write(noon(), line);
    }
    let read = |name: &str| read(dir.path().join(name));
    assert_eq!(read("app-20261122.1.log"), "first\n");
    assert_eq!(read("app-20261122.2.log"), "second\n");
    assert_eq!(read("app-20261122.3.log"), "longer than the limit\n");
    assert_eq!(read("app-20261122.log"), "last\n");
}

#[test]
fn a_file_that_somebody_moved_or_deleted_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let file = file(&spec(dir.path(), 0));
    let path = dir.path().join("app-20261122.log");
    file.write(noon(), "one\n");
    fs::rename(&path, dir.path().join("taken")).unwrap();
    file.write(noon(), "two\n");
    assert_eq!(read(path.clone()), "two\n");
    fs::remove_dir_all(dir.path()).unwrap();
    file.write(noon(), "three\n");
    assert_eq!(read(path), "three\n");
}

#[test]
fn while_the_gate_is_held_a_full_file_grows_on() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec(dir.path(), 5);
    let file = file(&spec);
    let gate = lock::gate(&spec.names.gate()).unwrap().unwrap();
    file.write(noon(), "one\n");
    file.write(noon(), "two\n");
    assert_eq!(read(dir.path().join("app-20261122.log")), "one\ntwo\n");
    drop(gate);
    file.write(noon(), "three\n");
    assert_eq!(read(dir.path().join("app-20261122.log")), "three\n");
}

#[test]
fn a_full_disk_drops_lines_and_logs_how_many() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        eprintln!("left out: there is no /dev/full here");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app-20261122.log");
    symlink(full, &path).unwrap();
    let file = file(&spec(dir.path(), 0));
    for second in [0, 1, 9, 10, 19] {
        file.write(noon() + seconds(second), "lost\n");
    }
    fs::remove_file(&path).unwrap();
    file.write(noon() + seconds(19), "lost as well\n");
    assert!(!path.exists(), "tried again too early");
    file.write(noon() + seconds(20), "kept\n");
    file.write(noon() + seconds(20), "kept\n");
    let text = read(path);
    let (notice, lines) = text.split_once('\n').unwrap();
    assert!(
        notice.contains("WARN  lines dropped here: 6; No space left on device (os error 28)"),
        "{notice}"
    );
    assert_eq!(lines, "kept\nkept\n");
}

#[test]
fn a_directory_that_cannot_be_made_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    fs::write(&logs, "in the way").unwrap();
    let file = file(&spec(&logs, 0));
    file.write(noon(), "lost\n");
    fs::remove_file(&logs).unwrap();
    file.write(noon() + RETRY_AFTER, "kept\n");
    let text = read(logs.join("app-20261122.log"));
    assert!(
        text.contains("lines dropped here: 1; Not a directory"),
        "{text}"
    );
    assert!(text.ends_with("\nkept\n"), "{text}");
}

#[test]
fn a_read_only_directory_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let mode = |bits| fs::set_permissions(dir.path(), fs::Permissions::from_mode(bits)).unwrap();
    mode(0o555);
    if fs::write(dir.path().join("probe"), "").is_ok() {
        eprintln!("left out: this user may write everywhere");
        return;
    }
    let file = file(&spec(dir.path(), 0));
    file.write(noon(), "lost\n");
    mode(0o755);
    assert_eq!(in_dir(dir.path()), [""; 0]);
    file.write(noon() + RETRY_AFTER, "kept\n");
    assert!(read(dir.path().join("app-20261122.log")).ends_with("\nkept\n"));
}

#[test]
fn a_clock_that_was_set_back_does_not_prolong_an_outage() {
    assert!(is_fresh(noon(), noon()));
    assert!(!is_fresh(noon(), noon() + RETRY_AFTER));
    assert!(!is_fresh(noon(), noon() - seconds(3600)));
}

#[test]
fn an_unrollable_file_grows_until_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let file = file(&spec(dir.path(), 5));
    let gate = dir.path().join(".app.lock");
    // A directory cannot be opened as a lock file.
    fs::create_dir(&gate).unwrap();
    file.write(noon(), "one\n");
    file.write(noon(), "two\n");
    fs::remove_dir(&gate).unwrap();
    file.write(noon() + seconds(9), "three\n");
    file.write(noon() + RETRY_AFTER, "four\n");
    let rolled = read(dir.path().join("app-20261122.1.log"));
    assert_eq!(rolled, "one\ntwo\nthree\n");
    assert_eq!(read(dir.path().join("app-20261122.log")), "four\n");
}

#[test]
fn a_torn_line_does_not_reach_into_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let file = file(&spec(dir.path(), 0));
    let path = dir.path().join("app-20261122.log");
    // Before this process opened the file, and while it has it open.
    fs::write(&path, "half a li").unwrap();
    file.write(noon(), "whole\n");
    file.write(noon(), "whole\n");
    let mut other = File::options().append(true).open(&path).unwrap();
    other.write_all(b"another ha").unwrap();
    file.write(noon(), "whole\n");
    other.write_all(b"theirs\n").unwrap();
    file.write(noon(), "whole\n");
    assert_eq!(
        read(path),
        "half a li\nwhole\nwhole\nanother ha\nwhole\ntheirs\nwhole\n"
    );
}

/// Set for the writing processes of the test below: the directory, and the writer's number.
const FULL_CHILD: &str = "SIMPLEST_SCRIPT_TEST_FULL";

/// A limit on the size of files stands for the disk: it takes part of a line too, at the same byte for all processes.
#[test]
fn processes_at_a_full_disk_tear_no_line_of_another() {
    if let Ok(child) = env::var(FULL_CHILD) {
        let (writer, dir) = child.split_once(' ').unwrap();
        let file = file(&spec(Path::new(dir), 0));
        for number in 0..120 {
            let filling = "·".repeat(number % 50 * 10);
            // Each line tries again, however full the disk was for the one before.
            let now = noon() + seconds(11 * i64::try_from(number).unwrap());
            file.write(now, &format!("{writer} {number} {filling} end\n"));
        }
        std::process::exit(0);
    }
    let dir = tempfile::tempdir().unwrap();
    let test = module_path!().split_once("::").unwrap().1;
    let test = format!("{test}::processes_at_a_full_disk_tear_no_line_of_another");
    let start = |writer: usize| {
        // 64 blocks of 512 or 1024 bytes, as the shell has it.
        let limited = "trap '' XFSZ; ulimit -f 64; exec \"$@\"";
        let mut command = Command::new("sh");
        command.args(["-c", limited, "sh"]);
        command.arg(env::current_exe().unwrap());
        command.args(["--exact", &test]);
        command.env(FULL_CHILD, format!("{writer} {}", dir.path().display()));
        // The limit holds for these too, where they are files.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let children: Vec<Child> = (0..WRITERS).map(start).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let path = dir.path().join("app-20261122.log");
    let full = fs::metadata(&path).unwrap().len();
    assert!([32 * 1024, 64 * 1024].contains(&full), "{full} bytes");
    // Somebody made room.
    let after = file(&spec(dir.path(), 0));
    after.write(noon(), "0 0  end\n");
    let bytes = fs::read(path).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let is_whole = |line: &&str| {
        let parts: Vec<_> = line.split(' ').collect();
        let [_, number, filling, "end"] = parts[..] else {
            return false;
        };
        let number = number.parse::<usize>();
        number.is_ok_and(|number| filling.chars().count() == number % 50 * 10)
    };
    let torn: Vec<_> = text.lines().filter(|line| !is_whole(line)).collect();
    assert!(torn.len() <= 1, "{torn:?}");
    assert_eq!(text.lines().last(), Some("0 0  end"));
}
