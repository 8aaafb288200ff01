//! Commands that cannot be started, and the errors about them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::super::testing::World;
use super::super::{ExitStatus, Turn};
use super::*;
use crate::logs::{OutputLogs, OutputName};

#[test]
fn a_command_is_logged_as_a_shell_reads_it() {
    let command = Command {
        program: "/opt/my app/simplest_script".into(),
        args: ["exec", "--uk", "a-1", "每日报表", r#"{"day":1}"#]
            .map(Into::into)
            .to_vec(),
        env: vec![
            ("SCRIPT_ENV".into(), "release".into()),
            ("SCRIPT_ETC".into(), "my etc".into()),
        ],
        output: Output::File("/dev/null".into()),
        handed: None,
    };
    assert_eq!(
        command.shell_quoted_in(Path::new("/srv/a b")),
        r#"(cd '/srv/a b' && SCRIPT_ENV=release SCRIPT_ETC='my etc' '/opt/my app/simplest_script' exec --uk a-1 每日报表 '{"day":1}')"#
    );
}

#[test]
fn another_shell_runs_what_is_logged_in_the_same_place() {
    let world = World::new();
    let mut command = world.shell("pwd; echo \"$SCRIPT_ENV\"");
    command.env = vec![("SCRIPT_ENV".into(), "release".into())];
    let shown = format!("{}; pwd", command.shell_quoted_in(world.dir.path()));
    let output = std::process::Command::new("/bin/sh")
        .args(["-c", &shown])
        .env("SCRIPT_ENV", "dev")
        .current_dir("/")
        .output()
        .unwrap();
    let place = world.dir.path().canonicalize().unwrap();
    let expected = format!("{}\nrelease\n/\n", place.display());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}

fn message(command: &Command) -> String {
    command.start().unwrap_err().to_string()
}

#[test]
fn a_program_that_is_gone_is_named() {
    let world = World::new();
    let gone = world.path("gone");
    let text = message(&world.command(gone.to_str().unwrap(), &[]));
    assert!(text.contains(gone.to_str().unwrap()), "{text}");
    assert!(text.contains("No such file"), "{text}");
    assert!(text.contains("cron_command"), "{text}");
    let text = message(&world.command("simplest_script_not_there", &[]));
    assert!(text.contains("no directory of `PATH`"), "{text}");
}

#[tokio::test]
async fn forbidden_programs_are_distinguished_from_broken_ones() {
    let world = World::new();
    let path = world.path("program");
    fs::write(&path, "\u{1}not a program").unwrap();
    let command = world.command(path.to_str().unwrap(), &[]);
    assert!(message(&command).contains("check its mode"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    // Not directly: a process that another test starts right now may hold the file for writing.
    let error = world
        .spawner
        .spawn(command, Turn::Fresh)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("no program of this machine"), "{error}");
}

#[test]
fn a_nul_character_is_refused() {
    let world = World::new();
    assert!(message(&world.shell("a\0b")).contains("an argument holds a NUL"));
    let mut command = world.shell("true");
    command.env.push(("A".into(), "b\0".into()));
    assert!(message(&command).contains("a variable holds a NUL"));
}

#[test]
fn arguments_that_are_too_long_are_named_as_that() {
    let world = World::new();
    // Linux takes 128 KiB a word, macOS 1 MiB in all.
    let text = message(&world.shell(&"x".repeat(2 << 20)));
    assert!(text.contains("shorten `params`"), "{text}");
}

#[test]
fn every_error_says_what_to_do() {
    for code in [
        libc::EAGAIN,
        libc::ENOMEM,
        libc::EMFILE,
        libc::ETXTBSY,
        libc::EIO,
    ] {
        let error = io::Error::from_raw_os_error(code);
        let error = SpawnError::Start {
            program: "p".into(),
            error,
        };
        assert!(error.to_string().split("; ").count() >= 2, "{error}");
        assert_eq!(error.is_passing(), code == libc::ETXTBSY);
    }
}

#[tokio::test]
async fn output_is_appended_and_its_directories_are_made() {
    let world = World::new();
    let mut command = world.command("sh", &["-c", "echo out; echo err >&2"]);
    let log = OutputLogs::below(world.path("logs/cron")).of(&OutputName::new("日志", None));
    command.output = Output::Log(log.clone());
    for _ in 0..2 {
        let child = world
            .spawner
            .spawn(command.clone(), Turn::Fresh)
            .await
            .unwrap();
        assert!(child.output_error.is_none());
        assert_eq!(child.exited().await, ExitStatus::Exited(0));
    }
    let text = fs::read_to_string(log.path()).unwrap();
    assert_eq!(text, "out\nerr\nout\nerr\n");
}

#[tokio::test]
async fn a_run_without_a_log_file_runs_all_the_same() {
    let world = World::new();
    fs::write(world.path("file"), "").unwrap();
    let mut command = world.shell("echo lost; exit 3");
    command.output = Output::File(world.path("file/below.log"));
    let child = world.spawner.spawn(command, Turn::Fresh).await.unwrap();
    let error = child.output_error.as_ref().unwrap().to_string();
    assert!(error.contains("file/below.log"), "{error}");
    assert_eq!(child.exited().await, ExitStatus::Exited(3));
}
