//! Standard output that nobody reads, or that is full: the work is done all the same, and the exit status shows it.
//! And work that is refused.

use std::fs::File;
use std::io::pipe;
use std::process::{Command, Output};

use crate::world::{Ended, World};

const QUEUES: &str = r#"[{"name": "demo", "exec_cmd": "demo_greet", "table": "demo", "progress": 1,
    "progress_lag_limit": 1, "progress_avg_msgcount": 1, "status": 1}]"#;
/// Writes there fail as on a full disk. Linux has it.
const FULL: &str = "/dev/full";
/// A command, and its exit status when all its output is read.
const COMMANDS: [(&[&str], i32); 9] = [
    (&["migrate"], 0),
    (&["check"], 0),
    (&["send", "demo", "Ann"], 0),
    (&["push", "delay_test", "--delay-time", "60"], 0),
    (&["exec", "no_such"], 1),
    (&["dead", "list"], 0),
    (&["completions", "bash"], 0),
    (&["init", "orders"], 0),
    (&["import", "test.yaml", "--env", "test"], 0),
];

fn world() -> World {
    let world = World::with_etc("{}", QUEUES, "[]");
    world.write("test.yaml", "Kafka: { Brokers: \"127.0.0.1:9092\" }");
    world
}

/// Its standard error alone, and its exit status.
fn without_output(command: &mut Command, stdout: impl Into<std::process::Stdio>) -> Ended {
    let child = command.stdout(stdout).stderr(std::process::Stdio::piped());
    let output: Output = child.spawn().unwrap().wait_with_output().unwrap();
    Ended::of(output)
}

#[test]
fn a_closed_pipe_changes_no_exit_status() {
    let world = world();
    for (args, code) in COMMANDS {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let ended = without_output(&mut world.command(args), writer);
        assert_eq!(
            (ended.code, ended.err.contains("panic")),
            (code, false),
            "{args:?}: {ended:?}"
        );
    }
    assert!(world.path().join("etc/test.json").exists());
}

#[test]
fn a_full_disk_is_reported_and_ends_with_1() {
    let world = world();
    for (args, _) in COMMANDS {
        let Ok(full) = File::options().write(true).open(FULL) else {
            eprintln!("LEFT OUT: there is no {FULL} here");
            return;
        };
        let ended = without_output(&mut world.command(args), full);
        assert_eq!(ended.code, 1, "{args:?}: {ended:?}");
        assert!(
            ended.err.contains("standard output cannot be written"),
            "{args:?}: {ended:?}"
        );
    }
}

#[test]
fn a_refused_task_leaves_nothing_behind() {
    let world = World::with_etc("{}", QUEUES, "[]");
    let ended = world.run(&["push", "delay_tst", "--delay-time", "1"]);
    assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{ended:?}");
    let said = "no delayed task `delay_tst` is registered; did you mean `delay_test`?\n";
    assert_eq!(ended.err, said);
    assert_eq!(world.files(), ["etc"]);
}
