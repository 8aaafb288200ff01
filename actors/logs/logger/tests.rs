//! Business logs as their readers find them, and what a fatal line does to a process.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use serde_json::json;

use super::super::registry::Registry;
use super::super::{Limits, LogOptions, StderrFormat, init};
use super::*;

/// The lines of the only file of logger `name` below `dir`.
fn lines(dir: &Path, name: &str) -> Vec<Value> {
    let files = dir.join(name).read_dir().unwrap();
    let files = files.map(|file| file.unwrap().path());
    let files: Vec<_> = files.filter(|path| !path.ends_with(".app.lock")).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let path = &files[0];
    let file = path.file_name().unwrap().to_str().unwrap();
    assert!(
        file.starts_with("app-2") && file.ends_with(".log"),
        "{file}"
    );
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn messages(lines: &[Value]) -> Vec<&str> {
    lines
        .iter()
        .filter_map(|line| line["message"].as_str())
        .collect()
}

#[test]
fn each_method_writes_its_level_from_the_settings_level_up() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::new(dir.path());
    let log = Logger::new(registry.sink("testLog"));
    log.debug("hidden");
    log.info("i");
    registry.configure(dir.path(), Limits::default(), LevelFilter::Debug);
    log.debug(String::from("d"));
    log.warn(format_args!("{}", "w"));
    registry.configure(dir.path(), Limits::default(), LevelFilter::Error);
    log.warn("hidden");
    log.error("e");
    let lines = lines(dir.path(), "testLog");
    let seen: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line["level"].as_str().unwrap(),
                line["message"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [("INFO", "i"), ("DEBUG", "d"), ("WARN", "w"), ("ERROR", "e")]
    );
}

#[test]
fn fields_add_up_in_a_new_logger() {
    #[derive(Serialize)]
    struct Order {
        order: u32,
    }
    let dir = tempfile::tempdir().unwrap();
    let log = Logger::new(Registry::new(dir.path()).sink("pay"));
    let order = log.with_fields(Order { order: 7 });
    order
        .with_fields(json!({ "order": 8, "shop": "a" }))
        .info("");
    order.info("");
    order.with_fields(5).info("");
    log.info("");
    let lines = lines(dir.path(), "pay");
    assert_eq!(lines[0]["fields"], json!({ "order": 8, "shop": "a" }));
    assert_eq!(lines[1]["fields"], json!({ "order": 7 }));
    assert_eq!(lines[2]["fields"], json!({ "order": 7, "value": 5 }));
    assert_eq!(lines[3].get("fields"), None);
}

#[test]
fn the_caller_is_the_line_that_logged() {
    let dir = tempfile::tempdir().unwrap();
    let log = Logger::new(Registry::new(dir.path()).sink("pay")).with_caller();
    let before = line!();
    log.info("");
    let lines = lines(dir.path(), "pay");
    assert_eq!(lines[0]["line"], before + 1);
    assert_eq!(lines[0]["file"], "tests.rs");
    assert_eq!(lines[0]["caller"], format!("{}:{}", file!(), before + 1));
}

#[test]
fn a_logger_made_early_follows_the_settings() {
    let dir = tempfile::tempdir().unwrap();
    let (before, after) = (dir.path().join("before"), dir.path().join("after"));
    let registry = Registry::new(&before);
    let log = Logger::new(registry.sink("a"));
    log.info("1");
    registry.configure(&after, Limits::default(), LevelFilter::Info);
    log.info("2");
    Logger::new(registry.sink("a")).info("3");
    assert_eq!(messages(&lines(&before, "a")), ["1"]);
    assert_eq!(messages(&lines(&after, "a")), ["2", "3"]);
}

#[test]
fn loggers_go_to_any_thread() {
    fn any_thread<T: Clone + Send + Sync + 'static>() {}
    any_thread::<Logger>();
}

/// Set for the process that the test below starts: its log directory.
const CHILD: &str = "SIMPLEST_SCRIPT_TEST_FATAL";

#[test]
fn a_fatal_line_is_kept_and_ends_the_process() {
    if let Some(dir) = env::var_os(CHILD) {
        let options = LogOptions {
            path: dir.into(),
            level: LevelFilter::Info,
            partition: "script1".to_owned(),
            max_size_mb: 100,
            max_backups: 10,
            max_age_days: 7,
            compress: true,
            stderr: StderrFormat::Plain,
        };
        let _guard = init(&options).unwrap();
        assert!(init(&options).is_err(), "set up twice");
        log::info!("started\nwell");
        log::info!(target: "rdkafka::client", "chatter");
        log::warn!(target: "rdkafka::client", "broker gone");
        log::info!(target: "business", "of business code");
        super::logger("pay/1").fatal("out of \"money\"");
    }
    let dir = tempfile::tempdir().unwrap();
    let test = module_path!().split_once("::").unwrap().1;
    let test = format!("{test}::a_fatal_line_is_kept_and_ends_the_process");
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", &test, "--nocapture"])
        .env(CHILD, dir.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let lines = lines(dir.path(), "pay_1");
    assert_eq!(lines[0]["level"], "FATAL");
    assert_eq!(messages(&lines), ["out of \"money\""]);

    let daemon = dir.path().read_dir().unwrap().map(|it| it.unwrap().path());
    let daemon: Vec<_> = daemon.filter(|path| path.is_file()).collect();
    assert_eq!(daemon.len(), 1, "{daemon:?}");
    let text = fs::read_to_string(&daemon[0]).unwrap();
    // Standard error showed the same; the time in front is 24 characters.
    assert_eq!(String::from_utf8(output.stderr).unwrap(), text);
    let sentences: Vec<_> = text.lines().map(|line| &line[24..]).collect();
    assert_eq!(
        sentences,
        [
            "INFO  started\\nwell",
            "WARN  rdkafka: broker gone",
            "INFO  of business code",
            "WARN  logger name `pay/1` is written as `pay_1`; a name is 1 to 64 of A-Z a-z 0-9 _ -",
            "ERROR logger `pay_1` ends this process: out of \"money\"",
        ]
    );
}
