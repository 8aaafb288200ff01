//! What Prometheus's own tool reports about the metrics and about the rules made for them.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use super::client::get;
use super::{address, settings};
use crate::world::World;

const TOOL: &str = "promtool";

/// Runs it, with this text as its input.
fn promtool(args: &[&str], input: &str) {
    let mut child = Command::new(TOOL)
        .args(args)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/prometheus"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{args:?}: {said}");
}

#[test]
fn it_finds_nothing_wrong_with_the_metrics() {
    let world = World::new(settings(json!({})));
    if !world.can(&[TOOL, "--version"]) {
        return;
    }
    let cron = json!([{ "cron": "@daily", "name": "a \"b\"\\", "exec_cmd": "noop", "status": 1 }]);
    world.partition("script1", &World::table_queue(), &cron);
    let mut daemon = world.start();
    let address = address(&mut daemon);
    promtool(&["check", "metrics"], &get(&address, "/metrics").body);
    daemon.stop();
}

#[test]
fn each_rule_fires_on_trouble_and_is_quiet_on_health() {
    let world = World::new(json!({}));
    if world.can(&[TOOL, "--version"]) {
        promtool(&["check", "rules", "rules.yml"], "");
        promtool(&["test", "rules", "rules_test.yml"], "");
    }
}
