use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Instant;

use super::*;
use crate::logs::Limits;
use crate::logs::names::Names;
use crate::logs::rolling::Spec;

fn queue(dir: &Path) -> (FileQueue, std::path::PathBuf) {
    let spec = Spec {
        names: Names::new(dir, "app"),
        limits: Limits::default(),
    };
    let path = spec.names.active(Local::now().date_naive());
    let file = RollingFile::new(spec, line::warning, |_, _| {}, |_, _| {});
    (FileQueue::start(Arc::new(file)).unwrap(), path)
}

#[test]
fn every_line_is_written_in_its_order() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, path) = queue(dir.path());
    let lines: Vec<String> = (0..50_000)
        .map(|n| format!("{n} of many lines\n"))
        .collect();
    for line in &lines {
        queue.write(Local::now(), line);
    }
    queue.flush(Duration::from_secs(60));
    assert_eq!(std::fs::read_to_string(path).unwrap(), lines.concat());
}

/// A pipe that nobody reads stands for the disk.
#[test]
fn a_standing_disk_loses_lines_and_counts_them() {
    let dir = tempfile::tempdir().unwrap();
    let (queue, path) = queue(dir.path());
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let line = format!("{}\n", "x".repeat(1023));
    let begun = Instant::now();
    // Twice as much as the pipe and the queue hold.
    for _ in 0..2 * (64 + 1024) {
        queue.write(Local::now(), &line);
    }
    queue.flush(Duration::from_secs(60));
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    let dropped = queue.0.dropped();
    assert!(dropped > 500, "{dropped}");

    let mut lines = BufReader::new(File::open(&path).unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap().len(), 1023);
    while queue.0.pending() > 200 * 1024 {
        lines.next().unwrap().unwrap();
    }
    queue.write(Local::now(), "the last\n");
    let dropped_line = loop {
        let line = lines.next().unwrap().unwrap();
        if line.contains("dropped") {
            break line;
        }
    };
    assert!(
        dropped_line.contains(&format!("stood still: {dropped}")),
        "{dropped_line}"
    );
    assert_eq!(lines.next().unwrap().unwrap(), "the last");
}
