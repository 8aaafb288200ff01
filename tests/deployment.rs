//! What ships beside the program: the systemd unit and the image say what the documents promise of them.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The default of the setting, in seconds.
const SHUTDOWN_DEADLINE_S: u32 = 25;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap()
}

const UNIT: &str = "etc/systemd/simplest_script@.service";

fn unit(key: &str) -> String {
    let unit = text(UNIT);
    let mut values = unit
        .lines()
        .filter_map(|line| line.split_once('=').filter(|(name, _)| *name == key));
    let value = values.next().map(|(_, value)| value.to_owned());
    assert_eq!(values.next(), None, "`{key}` twice");
    value.unwrap_or_default()
}

#[test]
fn the_unit_leaves_cron_runs_alone_and_waits_for_a_stop() {
    assert_eq!(unit("KillMode"), "process");
    assert_eq!(unit("OOMPolicy"), "continue");
    assert_eq!(unit("RestartPreventExitStatus"), "2");
    assert_eq!(unit("UMask"), "0077");
    let patience: u32 = unit("TimeoutStopSec").parse().unwrap();
    assert!(patience > SHUTDOWN_DEADLINE_S);
    assert_eq!(unit("ExecReload"), format!("{} reload", unit("ExecStart")));
    for deletes_files_of_runs in ["PrivateTmp", "RuntimeDirectory"] {
        assert_eq!(unit(deletes_files_of_runs), "");
    }
    let shown = text("docs/en/operations.md");
    for line in [
        "ExecReload=",
        "KillMode=process",
        "OOMPolicy=continue",
        "UMask=0077",
        "TimeoutStopSec=35",
    ] {
        assert!(shown.contains(line), "operations.md shows `{line}`");
    }
}

#[test]
fn systemd_understands_the_unit() {
    let verify = Command::new("systemd-analyze")
        .arg("verify")
        .arg(path(UNIT))
        .output();
    let Ok(output) = verify else {
        println!("LEFT OUT: `systemd-analyze` is not installed here");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    // The program and its user are not installed where tests run.
    let faults: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("simplest_script@"))
        .collect();
    let unknown = faults
        .iter()
        .find(|line| line.contains("Unknown") || line.contains("Failed to parse"));
    assert_eq!(unknown, None, "{said}");
}

#[test]
fn the_image_keeps_its_data_and_says_what_does_not_survive() {
    let image = text("Dockerfile");
    assert!(image.contains(r#"VOLUME ["/srv/data"]"#));
    assert!(image.contains("do not survive: cron runs in progress"));
    assert!(
        image.contains(r#"ENTRYPOINT ["tini", "--","#),
        "orphans are reaped"
    );
    let toml = text("Cargo.toml");
    let rust = toml
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'))
        .unwrap();
    assert!(
        image.contains(&format!("FROM rust:{rust}-")),
        "the oldest compiler that builds it: {rust}"
    );
}
