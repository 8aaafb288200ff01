//! What is packed, what is deleted, and what is left alone.

use std::fs;
use std::io::Read;

use chrono::{Local, TimeZone};
use flate2::read::GzDecoder;

use super::*;
use crate::logs::names::Names;
use crate::logs::rolling::RollingFile;
use crate::logs::{Limits, line};

const KEEP_ALL: Limits = Limits {
    max_bytes: 0,
    max_backups: 0,
    max_age_days: 0,
    compress: false,
};

fn today() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 22).unwrap()
}

fn spec(dir: &Path, limits: Limits) -> Spec {
    Spec {
        names: Names::new(dir, "app"),
        limits,
    }
}

fn directory(names: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in names {
        fs::write(dir.path().join(name), format!("{name}\n")).unwrap();
    }
    dir
}

/// The directory's files after a sweep, without lock files.
fn swept(dir: &Path, limits: Limits) -> Vec<String> {
    sweep(&spec(dir, limits), today(), &AtomicBool::new(false));
    let names = dir.read_dir().unwrap();
    let mut names: Vec<_> = names
        .map(|item| item.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

fn unpacked(path: &Path) -> String {
    let mut text = String::new();
    let mut file = GzDecoder::new(File::open(path).unwrap());
    file.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn the_newest_finished_files_are_kept() {
    let dir = directory(&[
        "app-20261120.1.log.gz",
        "app-20261121.log",
        "app-20261121.1.log",
        "app-20261122.9.log",
        "app-20261122.10.log",
        "app-20261122.log",
    ]);
    let limits = Limits {
        max_backups: 3,
        ..KEEP_ALL
    };
    assert_eq!(
        swept(dir.path(), limits),
        [
            "app-20261121.log",
            "app-20261122.10.log",
            "app-20261122.9.log",
            "app-20261122.log"
        ]
    );
}

#[test]
fn files_older_than_the_days_kept_go_and_strangers_stay() {
    let dir = directory(&[
        "app-20261115.log",
        "app-20261114.log",
        "app-20261114.1.log.gz",
        "app-20261114.txt",
        "other-20261114.log",
        "app-20261122.log",
    ]);
    let limits = Limits {
        max_age_days: 7,
        ..KEEP_ALL
    };
    assert_eq!(
        swept(dir.path(), limits),
        [
            "app-20261114.txt",
            "app-20261115.log",
            "app-20261122.log",
            "other-20261114.log"
        ]
    );
}

#[test]
fn half_packed_files_are_packed_anew() {
    let dir = directory(&[
        "app-20261121.log",
        "app-20261122.1.log",
        "app-20261122.1.log.gz.tmp",
        "app-20261122.log",
        "app-20261123.log",
    ]);
    let limits = Limits {
        compress: true,
        ..KEEP_ALL
    };
    assert_eq!(
        swept(dir.path(), limits),
        [
            "app-20261121.1.log.gz",
            "app-20261122.1.log.gz",
            "app-20261122.log",
            "app-20261123.log"
        ]
    );
    let content = unpacked(&dir.path().join("app-20261121.1.log.gz"));
    assert_eq!(content, "app-20261121.log\n");
    let content = unpacked(&dir.path().join("app-20261122.1.log.gz"));
    assert_eq!(content, "app-20261122.1.log\n");
}

#[test]
fn a_past_day_is_packed_beside_its_archive() {
    let dir = directory(&["app-20261121.1.log.gz", "app-20261121.log"]);
    let limits = Limits {
        compress: true,
        ..KEEP_ALL
    };
    assert_eq!(
        swept(dir.path(), limits),
        ["app-20261121.1.log.gz", "app-20261121.2.log.gz"]
    );
}

#[test]
fn a_file_in_use_is_not_packed() {
    let dir = directory(&[]);
    let limits = Limits {
        max_backups: 1,
        compress: true,
        ..KEEP_ALL
    };
    let late = Local.with_ymd_and_hms(2026, 11, 21, 23, 59, 59).unwrap();
    let file = RollingFile::new(
        spec(dir.path(), limits),
        line::warning,
        |_, _| {},
        |_, _| {},
    );
    file.write(late, "yesterday\n");
    assert_eq!(swept(dir.path(), limits), ["app-20261121.log"]);
    file.release_before(today() - chrono::Days::new(1));
    assert_eq!(swept(dir.path(), limits), ["app-20261121.log"]);
    file.release_before(today());
    assert_eq!(swept(dir.path(), limits), ["app-20261121.1.log.gz"]);
}

#[test]
fn a_stopped_packing_leaves_the_file_as_it_was() {
    let dir = directory(&["app-20261122.1.log"]);
    let source = File::open(dir.path().join("app-20261122.1.log")).unwrap();
    let target = dir.path().join("target");
    let copied = copy_packed(&source, &target, &AtomicBool::new(true)).unwrap();
    assert_eq!(copied, Copied::Stopped);
    let limits = Limits {
        compress: true,
        max_backups: 1,
        ..KEEP_ALL
    };
    let stopped = AtomicBool::new(true);
    sweep(&spec(dir.path(), limits), today(), &stopped);
    assert!(dir.path().join("app-20261122.1.log").exists());
}

#[test]
fn a_log_that_was_never_written_has_nothing_to_sweep() {
    let dir = directory(&[]);
    sweep(
        &spec(&dir.path().join("none"), KEEP_ALL),
        today(),
        &AtomicBool::new(false),
    );
}
