//! The settings: their defaults, and every refusal with its place.

use super::*;
use crate::config::{Commands, Environment};
use crate::jsonc::testing;

fn read(text: &str) -> (Option<Settings>, Vec<String>) {
    let commands = Commands {
        delayed: ["delay_test".to_owned()].into(),
        ..Commands::default()
    };
    let mut reading = Reading {
        environment: Environment::Dev,
        commands: &commands,
        lookup: &testing::environment,
        servers: None,
        machine_zone: None,
        notes: Vec::new(),
    };
    let (settings, faults) = testing::reading(text, |root| Settings::read(root, &mut reading));
    (settings.flatten(), faults)
}

fn good(text: &str) -> Settings {
    let (settings, faults) = read(text);
    assert_eq!(faults, [""; 0], "{text}");
    settings.expect("no fault and yet no settings")
}

/// All defaults, written out.
const DEFAULTS: &str = r#"{
    "database":  { "url": "sqlite://data/simplest_script.db", "max_connections": 8 },
    "databases": { },
    "redis":     { "default": { "url": "redis://127.0.0.1:6379/0" } },
    "kafka":     { "default": { "brokers": "127.0.0.1:9092", "properties": {} } },
    "delayed":   { },
    "logger":    { "path": "logs", "level": "info", "max_size_mb": 100, "max_backups": 10, "max_age_days": 7, "compress": true },
    "http":      { "listen": "127.0.0.1:7100", "token": null },
    "alert":     { "webhooks": [] },
    "app":       { },
    "workers": 0,
    "lag_check_interval": "3m", "consumer_lease": "5m", "heartbeat_interval": "5s",
    "delay_concurrency": 1000, "misfire_grace": "10s", "shutdown_deadline": "25s", "cron_command": null,
    "delay_retention": null, "crontab_log_retention": null, "dead_letter_retention": null,
    "audit_retention": "365d", "idempotency_retention": "1d",
    "reload_on_change": false,
}"#;

#[test]
fn http_may_be_none() {
    let http = good(r#"{"http": null}"#).http;
    assert_eq!((http.listen, http.token), (None, None));
}

#[test]
fn every_key_has_its_default() {
    let wanted = format!("{:#?}", Settings::default());
    assert_eq!(format!("{:#?}", good("{}")), wanted);
    assert_eq!(format!("{:#?}", good(DEFAULTS)), wanted);
    let parts = r#"{"database": {}, "logger": {}, "http": {}, "alert": {}}"#;
    assert_eq!(format!("{:#?}", good(parts)), wanted);
}

#[test]
fn missing_keys_of_an_object_have_their_defaults() {
    let settings = good(
        r#"{"logger": {"level": "debug"}, "http": {"listen": null}, "delay_retention": "30d", "workers": 3,
            "delayed": {"delay_test": {"timeout": "${SOON}", "backoff": {"base": 2, "max": 4}}}}"#,
    );
    assert_eq!(settings.logger.level, log::LevelFilter::Debug);
    assert_eq!(settings.logger.max_size_mb, 100);
    assert_eq!((settings.http.listen, settings.workers), (None, 3));
    assert_eq!(settings.delay_retention, Some(30 * A_DAY));
    assert_eq!(good(r#"{"audit_retention": null}"#).audit_retention, None);
    let delayed = settings.delayed["delay_test"];
    assert_eq!(delayed.timeout, Some(Duration::from_secs(90)));
    assert_eq!(delayed.retry.max_attempts.get(), 5);
}

#[test]
fn named_servers_take_the_place_of_the_default_one() {
    let settings = good(r#"{"redis": {"cache": {"url": "redis://h"}}, "kafka": {}}"#);
    assert_eq!(settings.redis.keys().collect::<Vec<_>>(), ["cache"]);
    assert!(settings.kafka.is_empty());
}

#[test]
fn the_users_own_settings_are_any_type() {
    #[derive(serde::Deserialize)]
    struct Mine {
        name: String,
        limits: Vec<u32>,
    }
    let settings = good(r#"{"app": {"name": "${NAME}", "limits": [1, 2]}}"#);
    let mine: Mine = settings.app().unwrap();
    assert_eq!((mine.name.as_str(), mine.limits), ("zeshi", vec![1, 2]));
    assert!(settings.app::<Vec<u32>>().is_err());
}

#[test]
fn secrets_are_not_printed() {
    let settings = good(
        r#"{"database": {"url": "root:hunter2@tcp(h)/db"}, "redis": {"default": {"url": "redis://:hunter2@h"}},
            "kafka": {"default": {"brokers": "h:1", "properties": {"sasl.password": "hunter2"}}},
            "http": {"token": "hunter2"}, "alert": {"webhooks": ["https://h/hunter2"]}, "app": {"key": "hunter2"}}"#,
    );
    let shown = format!("{settings:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("mysql://root:***@h:3306/db"), "{shown}");
}

#[test]
fn faults_never_show_secrets() {
    let (_, faults) = read(
        r#"{"database": "root:hunter2@tcp(h)/db", "databases": {"a": {"url": "root:hunter2@h"}, "b": {"url": "mysql://u:hunter2@h:x/db"}},
            "redis": {"default": "redis://:hunter2@h", "b": {"url": "http://hunter2"}},
            "http": {"token": ["hunter2"]}, "alert": {"webhooks": ["hunter2"]}}"#,
    );
    assert_eq!(faults.len(), 7, "{faults:#?}");
    assert!(!faults.concat().contains("hunter2"), "{faults:#?}");
}

#[test]
fn a_lease_outlasts_the_interval_that_renews_it() {
    for (text, place) in [
        (r#"{"consumer_lease": "3m"}"#, "f:1:20: `consumer_lease`"),
        (
            r#"{"lag_check_interval": "5m"}"#,
            "f:1:24: `lag_check_interval`",
        ),
        (
            r#"{"lag_check_interval": 9, "consumer_lease": 8}"#,
            "f:1:45: `consumer_lease`",
        ),
    ] {
        let (_, faults) = read(text);
        assert!(
            faults.len() == 1 && faults[0].starts_with(place),
            "{text} {faults:?}"
        );
        assert!(
            faults[0].contains("must be longer than `lag_check_interval`"),
            "{faults:?}"
        );
    }
}

#[test]
fn bad_values_are_refused() {
    for (text, wanted) in [
        (
            r#"{"worker": 1}"#,
            "`worker`: unknown key; did you mean `workers`?",
        ),
        (
            r#"{"workers": 1025}"#,
            "wanted a whole number from 0 to 1024, found 1025",
        ),
        (
            r#"{"database": {"max_connections": 0}}"#,
            "wanted a whole number from 1 to 1000, found 0",
        ),
        (
            r#"{"databases": {"main": {}}}"#,
            "`databases.main`: `url` is missing: the database, such as",
        ),
        (
            r#"{"databases": {"": {"url": "mysql://h/d"}}}"#,
            "wanted a name, found an empty string",
        ),
        (
            r#"{"http": {"listen": "7100"}}"#,
            "wanted an address with a port, such as `127.0.0.1:7100`",
        ),
        (
            r#"{"http": {"token": ""}}"#,
            "an empty token guards nothing",
        ),
        (
            r#"{"logger": {"level": "fatal"}}"#,
            "wanted one of `off`, `error`",
        ),
        (
            r#"{"logger": {"compress": 1}}"#,
            "wanted `true` or `false`, found 1",
        ),
        (
            r#"{"heartbeat_interval": "2m"}"#,
            "wanted a duration from 100ms to 1m (after three missed",
        ),
        (
            r#"{"heartbeat_interval": 0}"#,
            "wanted a duration from 100ms to 1m",
        ),
        (
            r#"{"misfire_grace": 0}"#,
            "with less a busy second would be a misfire",
        ),
        (
            r#"{"delay_retention": 0}"#,
            "`null` keeps finished rows for ever",
        ),
        (
            r#"{"crontab_log_retention": 0}"#,
            "`null` keeps finished rows for ever",
        ),
        (
            r#"{"audit_retention": 0}"#,
            "`null` keeps finished rows for ever",
        ),
        (
            r#"{"idempotency_retention": 0}"#,
            "`null` keeps finished rows for ever",
        ),
        (
            r#"{"dead_letter_retention": "0s"}"#,
            "`null` keeps finished rows for ever",
        ),
        (
            r#"{"cron_command": ""}"#,
            "wanted a string that is not empty",
        ),
        (
            r#"{"delayed": {"delay_tst": {}}}"#,
            "no delayed task `delay_tst` is registered; did you mean `delay_test`?",
        ),
        (
            r#"{"kafka": {"default": {"brokers": "h"}}}"#,
            "`kafka.default.brokers`: `h` is no `host:port`",
        ),
        (
            r#"{"app": {"a": "${UNSET}"}}"#,
            "`app.a`: the environment variable `UNSET` is not set",
        ),
        (
            r#"{"database": {"url": "${UNSET}"}}"#,
            "the environment variable `UNSET` is not set",
        ),
        ("[]", "wanted an object `{…}`, found an array `[…]`"),
    ] {
        let (_, faults) = read(text);
        assert!(
            faults.len() == 1 && faults[0].contains(wanted),
            "{text}\n{faults:#?}"
        );
    }
}
