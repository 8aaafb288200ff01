//! When a cron run has ended, for those who follow its output.

use std::fs::{File, OpenOptions, create_dir_all};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;

use chrono::{Duration, Local};
use serde_json::{Value, json};

use crate::wait::{PATIENCE, wait_until};
use crate::world::World;

/// What `ledger` prints when it has ended.
const RESULT: &str = "{\"data\":null,\"status\":0}\n";
/// Bytes that are written into a full pipe until it takes no more.
const PAGE: usize = 4096;

fn entry(name: &str) -> Value {
    json!({ "cron": "0 0 0 1 1 *", "name": name, "exec_cmd": "ledger", "params": name, "status": 1, "is_log": 1 })
}

fn order(world: &World, name: &str) -> String {
    let said = world.output(&["cron", "run", name]);
    let (_, run) = said.trim_end().rsplit_once(": run ").unwrap();
    run.to_owned()
}

/// A pipe that takes nothing more, in the place of a file.
fn full_pipe(path: &Path) -> File {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    let mut pipe = options.open(path).unwrap();
    let page = vec![b'\n'; PAGE];
    let mut size = PAGE;
    // Pages first, then single bytes: a write of less than a page is whole or not made.
    while size > 0 {
        match pipe.write(&page[..size]) {
            Ok(_) => {}
            Err(cause) if cause.kind() == ErrorKind::WouldBlock => size /= 2,
            Err(cause) => panic!("{cause}"),
        }
    }
    pipe
}

fn read_on(pipe: &mut File, text: &mut String) {
    let mut bytes = vec![0; PAGE];
    match pipe.read(&mut bytes) {
        Ok(read) => text.push_str(&String::from_utf8_lossy(&bytes[..read])),
        Err(cause) => assert_eq!(cause.kind(), ErrorKind::WouldBlock, "{cause}"),
    }
}

/// A run whose output takes nothing for a while: as long as its last line is not there, it has not ended.
#[test]
fn a_run_has_not_ended_before_its_last_line_is_in_its_output() {
    let world = World::new(json!({}));
    world.partition(
        "script1",
        &json!([]),
        &json!([entry("held"), entry("marker")]),
    );
    let mut database = world.migrate();
    let directory = world.path("logs/cron/script1");
    create_dir_all(&directory).unwrap();
    // The day may end meanwhile.
    let today = Local::now().date_naive();
    let mut pipes: Vec<File> = [today, today + Duration::days(1)]
        .map(|day| full_pipe(&directory.join(format!("held-{}.out", day.format("%Y%m%d")))))
        .into();
    let daemon = world.start();
    let mut open = |run: &str| {
        let open = format!("SELECT count(*) FROM cron_run WHERE uk = '{run}' AND state < 3");
        database.number(&open) == 1
    };
    let held = order(&world, "held");
    wait_until("its handler to return", PATIENCE, || {
        world.ledger().of_body("held").len() == 1
    });
    // A whole run after that: if the first one ended by itself, it would have ended before this one.
    let marker = order(&world, "marker");
    wait_until("the other run", PATIENCE, || {
        world.ledger().of_body("marker").len() == 1 && !open(&marker)
    });
    let was_open = open(&held);
    let mut printed = [String::new(), String::new()];
    wait_until("its last line", PATIENCE, || {
        for (pipe, text) in pipes.iter_mut().zip(&mut printed) {
            read_on(pipe, text);
        }
        printed.iter().any(|text| text.ends_with(RESULT))
    });
    wait_until("its end", PATIENCE, || !open(&held));
    assert!(was_open, "it had ended, and its last line was not there");
    daemon.stop();
}

/// Each of many runs, followed from before it begins.
#[test]
fn whoever_follows_a_run_sees_its_last_line() {
    let world = World::new(json!({}));
    world.partition("script1", &json!([]), &json!([entry("report")]));
    let daemon = world.start();
    for n in 1..=5 {
        let run = order(&world, "report");
        let followed = world.output(&["cron", "logs", &run, "-f"]);
        assert_eq!(followed.matches(RESULT).count(), n, "{followed}");
        assert!(followed.ends_with(RESULT), "{followed}");
    }
    daemon.stop();
}
