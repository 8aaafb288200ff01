//! What an idle daemon takes of memory, against README's figure.

use std::fs;
use std::time::Duration;

use crate::world::{Running, World};

const PATIENCE: Duration = Duration::from_secs(60);
const SETTINGS: &str = r#"{"workers": 2}"#;
const QUEUES: &str = r#"[{"name": "demo", "exec_cmd": "demo_greet", "table": "demo", "progress": 2, "max_progress": 10,
    "progress_lag_limit": 5000, "progress_avg_msgcount": 1000, "status": 1}]"#;

/// Versions of the system's library and the kernel differ in what they take.
const TOLERANCE: f64 = 1.25;
/// What a build without optimization takes more of its own (7.7 MB in place of 5); README's numbers are of a release build.
const UNOPTIMIZED: f64 = 1.5;

/// The number before this text in README, in MB.
fn promised(unit: &str) -> f64 {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (before, _) = readme
        .split_once(unit)
        .unwrap_or_else(|| panic!("README says no `{unit}`"));
    before.rsplit(' ').next().unwrap().parse().unwrap()
}

/// A line of `/proc/PID/status`, in MB.
fn taken(pid: u32, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    let kilobytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024.0 / 1e6
}

#[cfg(target_os = "linux")]
#[test]
fn an_idle_daemon_takes_what_readme_says() {
    let world = World::with_etc(SETTINGS, QUEUES, "[]");
    let mut daemon = Running::start(&mut world.command(&[]), PATIENCE);
    daemon.wait_for("ready in");
    world.run(&["send", "demo", "Ann"]).good();
    // The consumer has run, and the task that it pushed.
    daemon.wait_for("a delayed task remembers");
    let (all, own) = (
        taken(daemon.pid(), "VmRSS:"),
        taken(daemon.pid(), "RssAnon:"),
    );
    println!("{all:.1} MB resident, {own:.1} MB of its own");
    let more = if cfg!(debug_assertions) {
        UNOPTIMIZED
    } else {
        1.0
    };
    assert!(
        own <= promised(" MB of its own") * TOLERANCE * more,
        "{own}"
    );
    // Without optimization the program's file, whose pages count as resident, is several times as large.
    if !cfg!(debug_assertions) {
        assert!(all <= promised(" MB resident") * TOLERANCE, "{all}");
    }
    assert_eq!(daemon.terminate(), Some(0));
}
