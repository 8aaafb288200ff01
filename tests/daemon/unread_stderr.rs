//! Standard error is a pipe that nobody reads: a log collector that stands still, Ctrl-S in a terminal.

use std::fs;
use std::io::{ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;

use rustix::fs::OFlags;
use rustix::fs::{fcntl_getfl, fcntl_setfl};
use rustix::process::Signal;
use serde_json::json;

use crate::cron::entry;
use crate::process::Daemon;
use crate::wait::{PATIENCE, wait_until};
use crate::world::World;

/// A pipe that takes nothing any more.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    let full = loop {
        if let Err(cause) = writer.write_all(&[b'.'; 1024]) {
            break cause;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}

fn world() -> World {
    let world = World::new(json!({ "heartbeat_interval": "300ms" }));
    let queue = json!([{
        "name": "work", "exec_cmd": "ledger", "table": "work", "progress": 2, "progress_lag_limit": 1000,
        "progress_avg_msgcount": 1000, "status": 1,
    }]);
    world.partition("script1", &queue, &json!([entry("* * * * * *", "tick")]));
    world
}

/// Its log is read from the file.
fn start_unread(world: &World, stderr: PipeWriter) -> Daemon {
    let today = chrono::Local::now().format("%Y%m%d");
    let log = world.path(&format!("logs/script1-{today}.log"));
    let mut daemon = Daemon::spawn_with(world.command(&["run"]), stderr.into(), &log);
    daemon.wait_ready();
    daemon
}

#[test]
fn the_daemon_works_and_stops_while_nobody_reads_its_log() {
    let world = world();
    let (mut reader, writer) = full_pipe();
    let mut daemon = start_unread(&world, writer);
    world.send("work", &["panic:message".to_owned(), "plain".to_owned()]);
    wait_until("fires and messages", PATIENCE, || {
        let ledger = world.ledger();
        ledger.of_body("tick").len() >= 3
            && !ledger.of_body("plain").is_empty()
            && !ledger.of_body("panic:message").is_empty()
    });
    daemon.signal(Signal::TERM);
    let (status, took) = daemon.wait_end(PATIENCE);
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    assert!(daemon.log().contains("stopped after"), "{}", daemon.log());
    println!("stopped after {took:?} with a full pipe as standard error");
    drop(daemon);
    world.wait_empty();
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert!(rest.iter().all(|byte| *byte == b'.'), "nothing fitted in");
}

#[test]
fn a_reader_that_comes_back_gets_the_lines() {
    let world = world();
    let (mut reader, writer) = full_pipe();
    let daemon = start_unread(&world, writer);
    wait_until("a fire", PATIENCE, || {
        !world.ledger().of_body("tick").is_empty()
    });
    let mut text = String::new();
    let mut chunk = [0; 4096];
    while !text.contains(" ready in ") {
        let count = reader.read(&mut chunk).unwrap();
        assert!(count > 0, "closed");
        text.push_str(&String::from_utf8_lossy(&chunk[..count]));
    }
    daemon.stop();
}

#[test]
fn a_process_that_aborts_does_not_wait_for_its_reader() {
    let world = world();
    let (_reader, writer) = full_pipe();
    let mut daemon = start_unread(&world, writer);
    world.send("work", &["abort:message".to_owned()]);
    let (status, _) = daemon.wait_end(PATIENCE);
    assert_eq!(status.code(), None, "{status}");
}

#[test]
fn a_start_that_fails_ends_though_nobody_reads_why() {
    let world = world();
    let (_reader, writer) = full_pipe();
    // The directory of the database cannot be made.
    std::fs::write(world.path("data"), "a file").unwrap();
    let command = world.command(&["run"]);
    let mut daemon = Daemon::spawn_with(command, writer.into(), &world.path("none"));
    let (status, _) = daemon.wait_end(PATIENCE);
    assert_eq!(status.code(), Some(1));
}

/// A snapshot of the log's disk, a network disk that hangs: here a pipe in the place of the log file.
#[test]
fn the_daemon_works_and_stops_while_the_disk_of_its_log_stands_still() {
    let world = world();
    let today = chrono::Local::now().format("%Y%m%d");
    let log = world.path(&format!("logs/script1-{today}.log"));
    fs::create_dir_all(log.parent().unwrap()).unwrap();
    let made = Command::new("mkfifo").arg(&log).status().unwrap();
    assert!(made.success());
    let mut full = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(&log)
        .unwrap();
    while full.write_all(&[b'.'; 1024]).is_ok() {}
    let mut daemon = world.start();
    daemon.wait_ready();
    world.send("work", &["panic:message".to_owned(), "plain".to_owned()]);
    wait_until("fires and messages", PATIENCE, || {
        let ledger = world.ledger();
        ledger.of_body("tick").len() >= 3
            && !ledger.of_body("plain").is_empty()
            && !ledger.of_body("panic:message").is_empty()
    });
    daemon.stop();
}
