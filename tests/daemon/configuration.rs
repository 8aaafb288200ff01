//! What is reported about `etc/` and the command line, and that nothing happens when it is not right.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::json;

use crate::world::World;

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");
const DAEMON: &str = env!("CARGO_BIN_EXE_simplest_script");
/// The files that the Go project's README shows, as they are.
const GO_QUEUES: &str = include_str!("go/queue_script1.json");
const GO_CRONTAB: &str = include_str!("go/crontab_script1.json");

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What stands in the world's directory.
fn files(world: &World) -> Vec<String> {
    let entries = fs::read_dir(world.path("")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[track_caller]
fn refused(world: &World, args: &[&str]) -> String {
    let output = world.run(args);
    assert_eq!(
        output.status.code(),
        Some(2),
        "{args:?}: {}",
        stderr(&output)
    );
    assert_eq!(output.stdout, b"", "{args:?}");
    assert_eq!(files(world), ["etc"], "nothing is written by {args:?}");
    stderr(&output)
}

#[test]
fn all_faults_of_all_files_come_in_one_report_and_nothing_starts() {
    let world = World::new(json!({}));
    world.etc_text(
        "dev.json",
        "// settings\n{ \"databse\": {},\n  \"shutdown_deadline\": \"soon\",\n  \"workers\": -1, }",
    );
    world.etc_text(
        "queue_script1.json",
        r#"[
  {"name": "a", "exec_cmd": "ledgr", "table": "a", "progress": 0, "progress_lag_limt": 1,
   "progress_avg_msgcount": 1, "status": 1},
  {"name": "a", "exec_cmd": "ledger", "table": "b", "progress": "2", "progress_lag_limit": 1,
   "progress_avg_msgcount": 1, "status": 16}
]"#,
    );
    world.etc_text(
        "crontab_script1.json",
        r#"[
  {"cron": "* * * * *", "name": "five", "exec_cmd": "ledger", "status": 1},
  {"cron": "0 0 0 31 2 *", "name": "never", "exec_cmd": "ledger", "status": 1},
  {"cron": "0 * * * * *", "name": "unknown", "exec_cmd": "legder", "status": 1},
  {"cron": "0 * * * * *", "name": "elsewhere", "exec_cmd": "not_here", "status": 4}
]"#,
    );
    let expected = [
        ("etc/dev.json:2:3: `databse`", "did you mean `database`?"),
        ("etc/dev.json:3:", "found \"soon\""),
        ("etc/dev.json:4:", "found -1"),
        ("etc/queue_script1.json:2:", "`[0].exec_cmd`"),
        ("etc/queue_script1.json:2:", "`[0].progress`"),
        (
            "etc/queue_script1.json:2:",
            "did you mean `progress_lag_limit`?",
        ),
        ("etc/queue_script1.json:4:", "`[1].name`"),
        ("etc/queue_script1.json:4:", "`[1].progress`"),
        ("etc/queue_script1.json:5:", "`[1].status`"),
        ("etc/crontab_script1.json:2:", "five fields"),
        ("etc/crontab_script1.json:3:", "never fires"),
        ("etc/crontab_script1.json:4:", "did you mean `ledger`?"),
    ];
    for args in [
        &["run"][..],
        &[],
        &["check"],
        &["send", "a", "x"],
        &["push", "ledger", "--delay-time", "1"],
    ] {
        let report = refused(&world, args);
        for (place, what) in expected {
            let found = report
                .lines()
                .any(|line| line.starts_with(place) && line.contains(what));
            assert!(found, "{place} … {what}, in:\n{report}");
        }
        assert_eq!(report.lines().count(), expected.len() + 1, "{report}");
        assert!(
            report.contains("12 faults; nothing was started"),
            "{report}"
        );
    }
}

#[test]
fn a_missing_directory_file_environment_or_partition_is_refused() {
    let world = World::new(json!({}));
    assert!(refused(&world, &["--etc", "nowhere", "run"]).contains("nowhere"));
    assert!(refused(&world, &["--env", "release"]).contains("etc/release.json"));
    assert!(refused(&world, &["--env", "prod", "check"]).contains("`release`"));
    assert!(refused(&world, &["--partition", "a/b"]).contains("partition"));
    assert!(refused(&world, &["--partition", "script7"]).contains("queue_script7.json"));
}

#[test]
fn flags_of_the_go_project_are_answered_with_what_replaces_them() {
    let world = World::new(json!({}));
    for (args, answer) in [
        (&["-mode", "queue"][..], "`run`"),
        (&["-mode=crontab"], "`exec CMD"),
        (&["-f", "etc/dev.yaml"], "--etc"),
        (&["-f=etc/dev.yaml", "-mode", "queue"], "--etc"),
    ] {
        let said = refused(&world, args);
        assert!(said.contains(answer), "{said}");
        assert!(said.contains("Go project"), "{said}");
    }
}

#[test]
fn the_repositorys_own_configuration_is_right() {
    let world = World::new(json!({}));
    let etc = Path::new(REPOSITORY).join("etc");
    let args = ["--etc", etc.to_str().unwrap(), "check"];
    let output = world.command_of(Path::new(DAEMON), &args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(said.contains("all is well"), "{said}");
    assert!(said.contains("next 2"), "the next fires are shown: {said}");
    assert_eq!(files(&world), ["etc"], "`check` writes nothing");
}

#[test]
fn the_go_projects_files_are_right_and_say_why_they_are_not_live_here() {
    let world = World::new(json!({}));
    world.etc_text("queue_script1.json", GO_QUEUES);
    world.etc_text("crontab_script1.json", GO_CRONTAB);
    let said = world.output(&["check"]);
    for name in ["kafka测试", "redis测试", "测试定时任务"] {
        let why = format!("`{name}`: status 4 is release; this is dev");
        assert!(said.lines().any(|line| line == why), "{said}");
    }
    assert!(
        said.contains("0 of 2 queues and 0 of 1 cron entries are live"),
        "{said}"
    );
    assert_eq!(files(&world), ["etc"]);

    let daemon = world.start();
    assert!(
        daemon
            .log()
            .contains("`kafka测试`: status 4 is release; this is dev")
    );
    daemon.stop();
}
