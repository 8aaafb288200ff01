//! Good configurations, the Go project's own among them: `check` is green, and prints what it should.
//!
//! A case is a directory below `tests/accepted` (see `corpus`). It is checked in each environment of which it holds the
//! expectations, `dev.txt` to `pre.txt`: each line must be part of what `check` prints. `settings.json`, where there is
//! one, is the settings file of each of them.

#![expect(clippy::unwrap_used, reason = "a test without its world fails")]

mod corpus;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use corpus::{World, cases, corpus};

/// The fewest checks; fewer means that the corpus was not found.
const LEAST_CHECKS: usize = 20;

#[test]
fn each_good_configuration_is_accepted_where_it_should_be() {
    let corpus = corpus("accepted");
    let mut checks = 0;
    let mut wrong = String::new();
    for name in cases(&corpus) {
        let case = corpus.join(&name);
        for environment in ["dev", "test", "release", "pre"] {
            let Ok(expected) = fs::read_to_string(case.join(format!("{environment}.txt"))) else {
                continue;
            };
            checks += 1;
            if let Err(what) = accepted(&case, environment, &expected) {
                let _ = writeln!(wrong, "--- {name} in {environment}: {what}");
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(checks >= LEAST_CHECKS, "{checks} checks");
}

fn accepted(case: &Path, environment: &str, expected: &str) -> Result<(), String> {
    let world = World::of(case, &["--env", environment]);
    let settings = fs::read(case.join("settings.json")).unwrap_or_else(|_| b"{}".to_vec());
    fs::write(world.etc().join(format!("{environment}.json")), settings).unwrap();
    let output = world.check();
    let printed = String::from_utf8(output.stdout).map_err(|error| error.to_string())?;
    let report = String::from_utf8(output.stderr).map_err(|error| error.to_string())?;
    if output.status.code() != Some(0) || !report.is_empty() {
        return Err(format!("{}\n{report}", output.status));
    }
    if !world.written().is_empty() {
        return Err(format!("it wrote {:?}", world.written()));
    }
    match expected.lines().find(|line| !printed.contains(line)) {
        Some(missing) => Err(format!("without: {missing}\nfound:\n{printed}")),
        None => Ok(()),
    }
}
