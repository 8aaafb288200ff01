//! `init`, and then what its last lines say: `cargo test`, `cargo run`, a message.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use crate::world::{Ended, PROGRAM, Running, World, target_dir, without_settings};

/// The build of the new program, when its dependencies are built, and the start.
const PATIENCE: Duration = Duration::from_secs(170);

/// cargo in the new project. It builds into our own target directory, by our own lock file: the dependencies are those
/// of this repository and are compiled once. No lock is held there while tests run.
fn cargo(project: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    without_settings(&mut command);
    command.arg(args[0]).current_dir(project);
    let profile = Path::new(PROGRAM).parent().unwrap().file_name().unwrap();
    if profile == "release" {
        command.arg("--release");
    }
    command.args(&args[1..]);
    // All of them are here, or this test would not have been built.
    command.env("CARGO_NET_OFFLINE", "true");
    command.env("CARGO_TARGET_DIR", target_dir());
    command
}

fn good(output: Output) -> String {
    let ended = Ended::of(output).good();
    ended.out + &ended.err
}

#[test]
fn a_new_project_builds_passes_its_tests_and_consumes_a_message() {
    // Always the same path, as cargo keeps what it builds by it.
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new-project");
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(&place).unwrap();
    let project = place.join("five-minutes");
    let mut init = Command::new(PROGRAM);
    without_settings(&mut init);
    init.args(["init", "five-minutes", "--path", env!("CARGO_MANIFEST_DIR")]);
    good(init.current_dir(&place).output().unwrap());
    fs::copy(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock"),
        project.join("Cargo.lock"),
    )
    .unwrap();

    let said = good(cargo(&project, &["test"]).output().unwrap());
    assert!(said.contains("5 passed; 0 failed"), "{said}");
    assert!(!said.contains("warning:"), "{said}");

    let said = good(cargo(&project, &["run", "--", "check"]).output().unwrap());
    assert!(said.contains("all is well"), "{said}");
    assert!(!project.join("data").exists(), "`check` writes nothing");

    let mut daemon = Running::start(&mut cargo(&project, &["run"]), PATIENCE);
    daemon.wait_for("ready in");
    let said = good(
        cargo(&project, &["run", "--", "send", "greetings", "Ann"])
            .output()
            .unwrap(),
    );
    assert!(said.contains("sent to `greetings`: 1"), "{said}");
    daemon.wait_for("hello Ann");
    daemon.wait_for("remember Ann");
    assert_eq!(daemon.terminate(), Some(0));
    assert!(project.join("data/five-minutes.db").exists());
    fs::remove_dir_all(&place).unwrap();
}

#[test]
fn a_directory_that_is_not_empty_is_refused_with_what_is_in_it() {
    let world = World::empty();
    world.write("orders/notes.txt", "mine");
    let ended = world.run(&["init", "orders"]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("`notes.txt`"), "{ended:?}");
    assert_eq!(
        fs::read_dir(world.path().join("orders")).unwrap().count(),
        1
    );
}

#[test]
fn the_working_directory_may_become_the_project() {
    let world = World::empty();
    world.run(&["init", "."]).good();
    assert_eq!(
        world.files(),
        [
            ".gitignore",
            ".vscode",
            "Cargo.toml",
            "README.md",
            "etc",
            "src"
        ]
    );
}

#[test]
fn an_imported_file_passes_check() {
    let world = World::with_etc("", "[]", "[]");
    fs::remove_file(world.path().join("etc/dev.json")).unwrap();
    let go = "Mysql:\n  Main: \"u:hunter2@tcp(127.0.0.1:3306)/shop?parseTime=True\"\nLogger:\n  MaxSize: 20\nAuth: { AccessSecret: s }\n";
    world.write("etc/dev.yaml", go);
    let missing = world.run(&["check"]);
    assert_eq!(missing.code, 2);
    assert!(missing.err.contains("import etc/dev.yaml"), "{missing:?}");

    let imported = world.run(&["import", "etc/dev.yaml"]).good();
    assert!(
        imported.out.contains("Mysql.Main is databases.main"),
        "{imported:?}"
    );
    assert!(imported.out.contains("Auth: "), "{imported:?}");
    assert!(!imported.out.contains("hunter2"), "{imported:?}");
    world.run(&["check"]).good();
    assert_eq!(world.run(&["import", "etc/dev.yaml"]).code, 2);
    world.run(&["import", "etc/dev.yaml", "--force"]).good();
}

#[test]
fn a_shell_takes_the_completions() {
    let world = World::empty();
    let script = world.run(&["completions", "bash"]).good().out;
    world.write("completions.bash", &script);
    let shell = Command::new("bash")
        .arg("-n")
        .arg("completions.bash")
        .current_dir(world.path())
        .output();
    Ended::of(shell.unwrap()).good();
    assert!(
        script.contains("simplest_script") && script.contains("--delay-time"),
        "{script}"
    );
    assert_eq!(world.run(&["completions", "dos"]).code, 2);
}

#[test]
fn a_wrong_variable_stops_only_what_needs_it() {
    let world = World::empty();
    let run = |value: &str, args: &[&str]| {
        let mut command = world.command(args);
        command
            .env("SCRIPT_ENV", value)
            .env("SCRIPT_PARTITION", value);
        Ended::of(command.output().unwrap())
    };
    for args in [
        &["init", "orders"][..],
        &["completions", "bash"],
        &["--help"],
        &["send", "--help"],
        &["--version"],
    ] {
        run("a/b", args).good();
    }
    let ended = run("a/b", &["check"]);
    assert_eq!(ended.code, 2);
    assert!(
        ended.err.contains("SCRIPT_ENV: `a/b` is no environment"),
        "{ended:?}"
    );
    let ended = run("", &["check", "--etc", "orders/etc"]);
    assert!(
        ended.err.contains("orders/etc/queue_script1.json"),
        "{ended:?}"
    );
}

#[test]
fn a_name_like_an_option_comes_with_advice_that_works() {
    let world = World::empty();
    let said = world.run(&["init", "--", "-x"]).good().out;
    assert!(said.contains("\n  cd ./-x\n"), "{said}");
}
