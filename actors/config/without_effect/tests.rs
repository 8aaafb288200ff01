//! Each combination in which a key changes nothing, and beside it one in which the key counts.

use crate::config::settings::Settings;
use crate::config::{Commands, Environment, Reading, crontab, queue};
use crate::jsonc::testing;

/// The notes of a file of one entry or of the settings, and no fault.
fn notes(file: &str, text: &str) -> Vec<String> {
    let commands = Commands {
        consumers: ["one".to_owned(), "many".to_owned()].into(),
        batch_consumers: ["many".to_owned()].into(),
        delayed: ["task".to_owned()].into(),
        cron: ["job".to_owned()].into(),
    };
    let mut reading = Reading {
        environment: Environment::Dev,
        commands: &commands,
        lookup: &testing::environment,
        servers: None,
        machine_zone: None,
        notes: Vec::new(),
    };
    let (_, faults) = testing::reading(text, |root| match file {
        "queue" => queue::read(root, &mut reading).len(),
        "crontab" => crontab::read(root, &mut reading).len(),
        _ => usize::from(Settings::read(root, &mut reading).is_some()),
    });
    assert_eq!(faults, [""; 0], "{text}");
    reading.notes
}

fn of_queue(keys: &str) -> Vec<String> {
    const REST: &str = r#""name": "q", "table": "t", "progress": 1, "progress_lag_limit": 0, "progress_avg_msgcount": 1"#;
    notes("queue", &format!("[{{{REST}, {keys}}}]"))
}

fn of_crontab(keys: &str) -> Vec<String> {
    notes(
        "crontab",
        &format!(r#"[{{"name": "c", "exec_cmd": "job", "status": 1, {keys}}}]"#),
    )
}

#[test]
fn batch_keys_of_a_consumer_without_batches_are_noted() {
    let note = |key| {
        format!("`q`: `{key}` has no effect: the consumer `one` takes its messages one by one")
    };
    assert_eq!(
        of_queue(r#""exec_cmd": "one", "status": 1, "batch_size": 5, "batch_wait": "1s""#),
        [note("batch_size"), note("batch_wait")]
    );
    let counts = r#""exec_cmd": "many", "status": 1, "batch_size": 5, "batch_wait": "1s""#;
    assert_eq!(of_queue(counts), [""; 0]);
    let elsewhere = r#""exec_cmd": "one", "status": 4, "batch_size": 5"#;
    assert_eq!(of_queue(elsewhere), [""; 0], "it is noted where it is live");
}

#[test]
fn a_wait_of_a_batch_of_one_is_noted() {
    assert_eq!(
        of_queue(r#""exec_cmd": "many", "status": 1, "batch_size": 1, "batch_wait": "1s""#),
        ["`q`: `batch_wait` has no effect: a batch of 1 message never waits"]
    );
}

#[test]
fn a_backoff_without_a_second_attempt_is_noted() {
    let why = "`backoff` has no effect: with a `max_attempts` of 1 nothing is tried again";
    assert_eq!(
        of_queue(r#""exec_cmd": "one", "status": 1, "max_attempts": 1, "backoff": "1s""#),
        [format!("`q`: {why}")]
    );
    assert_eq!(
        notes(
            "dev",
            r#"{"delayed": {"task": {"max_attempts": 1, "backoff": 2}}}"#
        ),
        [format!("`delayed.task`: {why}")]
    );
    for counts in [
        r#""max_attempts": 2, "backoff": "1s""#,
        r#""max_attempts": 1"#,
    ] {
        let keys = format!(r#""exec_cmd": "one", "status": 1, {counts}"#);
        assert_eq!(of_queue(&keys), [""; 0]);
    }
}

#[test]
fn a_zone_of_a_series_is_noted() {
    assert_eq!(
        of_crontab(r#""cron": "@every 90s", "timezone": "Asia/Shanghai""#),
        ["`c`: `timezone` has no effect: `@every` counts from the last fire, in any zone"]
    );
    assert_eq!(
        of_crontab(r#""cron": "@every 90s", "timezone": null"#),
        [""; 0]
    );
    assert_eq!(
        of_crontab(r#""cron": "@daily", "timezone": "Asia/Shanghai""#),
        [""; 0]
    );
}

#[test]
fn settings_that_nothing_reads_are_noted() {
    let of = |text| notes("dev", text);
    assert_eq!(
        of(r#"{"database": {"max_connections": 4}, "http": {}, "alert": {"webhooks": []}}"#),
        ["`database`: `max_connections` has no effect: SQLite has one connection that writes",]
    );
    let server = r#"{"database": {"url": "mysql://u@h/d", "max_connections": 4}, "http": null}"#;
    assert_eq!(of(server), [""; 0]);
    let others = r#"{"databases": {"main": {"url": "sqlite://d.db", "max_connections": 4}}}"#;
    assert_eq!(of(others), [""; 0], "a pool of handlers has that many");
}
