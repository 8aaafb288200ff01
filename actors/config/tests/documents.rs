//! The examples of configuration in the documents, read as the daemon reads them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::super::*;
use crate::testing_support::documents::{Block, blocks};

/// Each block as the file that it shows, beside empty ones.
fn read(block: &Block, kind: &str) -> Result<Config, Report> {
    let handlers = || BTreeSet::from(["greet".to_owned(), "report".to_owned()]);
    let commands = Commands {
        consumers: handlers(),
        delayed: handlers(),
        cron: handlers(),
        ..Commands::default()
    };
    let places = Places {
        etc: PathBuf::from("etc"),
        environment: Environment::Dev,
        partition: Partition::default(),
    };
    let (shown, ours) = match kind {
        "queue" => (places.queues(), "[]"),
        "crontab" => (places.crontab(), "[]"),
        _ => (places.settings(), "{}"),
    };
    assert_ne!(block.text.trim(), ours, "{}: nothing is shown", block.place);
    let text = |path: &Path, _: &str| {
        let is_settings = path == places.settings();
        Ok(match path == shown {
            true => completed(&block.text),
            false => if is_settings { "{}" } else { "[]" }.to_owned(),
        })
    };
    load_texts(&places, &commands, &secret, &text)
}

/// What a document leaves out as `…`.
fn completed(text: &str) -> String {
    text.replace("\"…\"", "\"broker:9092\"")
}

/// A secret of the form that the receiver of each kind wants.
fn secret(name: &str) -> Option<String> {
    Some(match name {
        "ALERT_SECRET" => "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".to_owned(),
        "DINGTALK_SECRET" => "SEC0123456789abcdef".to_owned(),
        name => name.to_lowercase(),
    })
}

#[test]
fn each_example_of_settings_is_read() {
    for block in blocks("json settings") {
        match read(&block, "settings") {
            Ok(_) => {}
            // A build without TLS for Kafka names the feature, one with it misses the certificate.
            Err(report) if block.text.contains("SASL_SSL") => {
                let missing = if HAS_TLS { "kafka-ca.pem" } else { "`tls`" };
                let report = report.to_string();
                assert!(report.contains(missing), "{}: {report}", block.place);
            }
            Err(report) => panic!("{}: {report}", block.place),
        }
    }
}

#[test]
fn each_example_of_entries_is_live_in_dev() {
    for block in blocks("json queue") {
        let config =
            read(&block, "queue").unwrap_or_else(|report| panic!("{}: {report}", block.place));
        assert_eq!(config.why_not_live(), [""; 0], "{}", block.place);
        assert_eq!(config.notes, [""; 0], "{}", block.place);
    }
    for block in blocks("json crontab") {
        let config =
            read(&block, "crontab").unwrap_or_else(|report| panic!("{}: {report}", block.place));
        assert_eq!(config.why_not_live(), [""; 0], "{}", block.place);
    }
}

#[test]
fn each_example_for_models_is_read() {
    for block in blocks("json model") {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("generateModel.json");
        fs::write(&path, block.text.replace("${DB_PASSWORD}", "secret")).unwrap();
        if let Err(report) = load_models(&path) {
            panic!("{}: {report}", block.place);
        }
    }
}

#[test]
fn all_other_json_is_json() {
    for block in blocks("json") {
        let value: Result<serde_json::Value, _> = serde_json::from_str(&block.text);
        assert!(value.is_ok(), "{}: {value:?}", block.place);
    }
}
