//! What a person sees who starts a fresh clone with `cargo run`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::process::Daemon;
use crate::wait::wait_until;
use crate::world::World;

/// A person waits no longer.
const SHOWN_WITHIN: Duration = Duration::from_secs(15);

#[test]
fn within_15_s_a_cron_run_a_message_and_a_delayed_task_are_in_the_log() {
    let world = World::new(json!({}));
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("etc")).unwrap() {
        let from = entry.unwrap().path();
        if from.is_dir() {
            continue;
        }
        fs::copy(&from, world.path("etc").join(from.file_name().unwrap())).unwrap();
    }
    let program = Path::new(env!("CARGO_BIN_EXE_simplest_script"));
    let daemon = Daemon::spawn(world.command_of(program, &[]), &world.path("daemon.err"));
    let shown = |what: &[&str]| {
        let log = daemon.log();
        log.lines()
            .any(|line| what.iter().all(|part| line.contains(part)))
    };
    wait_until(
        "a cron run, a message and a delayed task",
        SHOWN_WITHIN,
        || {
            shown(&["cron `demo track`", "ended: success"])
                && shown(&["demo: a message"])
                && shown(&["demo: a delayed task"])
        },
    );
    assert!(shown(&["try `"]), "and what to try next");
    daemon.stop();
    world.wait_empty();
}
