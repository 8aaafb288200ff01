//! Arbitrary bytes as each of the three files: the entry of `fuzz/` and of a seeded test.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Commands, Environment, Partition, Places, Report, load_texts};
use crate::jsonc::file;

const SETTINGS: &str =
    r#"{"redis": {"default": {"url": "redis://h"}, "cache": {"url": "redis://h"}}}"#;

/// Reads the bytes as the settings, as the queues and as the crontab, each beside good files.
///
/// # Panics
///
/// When a report is not as people need it, or a configuration is refused without one.
#[doc(hidden)]
pub fn configuration(bytes: &[u8]) {
    let places = Places {
        etc: PathBuf::from("etc"),
        environment: Environment::Dev,
        partition: Partition::default(),
    };
    for fuzzed in [places.settings(), places.queues(), places.crontab()] {
        if let Err(report) = read(&places, &fuzzed, bytes) {
            judge(&report);
        }
    }
}

fn read(places: &Places, fuzzed: &Path, bytes: &[u8]) -> Result<(), Report> {
    let handlers = || BTreeSet::from(["ledger".to_owned(), "noop".to_owned()]);
    let commands = Commands {
        consumers: handlers(),
        delayed: handlers(),
        cron: handlers(),
        ..Commands::default()
    };
    let environment = |name: &str| match name {
        "TZ" => Some(String::new()),
        "NAME" => Some("名\n${NAME}".to_owned()),
        _ => None,
    };
    let text = |path: &Path, _: &str| {
        let name = path.display().to_string();
        if path == fuzzed {
            return file::text(&name, bytes.to_vec());
        }
        let settings = path == places.settings();
        Ok(if settings { SETTINGS } else { "[]" }.to_owned())
    };
    let config = load_texts(places, &commands, &environment, &text)?;
    // What the start shows of it.
    let _ = format!("{config:?} {:?}", config.why_not_live());
    Ok(())
}

/// What holds for each report, whatever is wrong.
fn judge(report: &Report) {
    let text = report.to_string();
    assert!(text.ends_with("; nothing was started"), "{text}");
    assert!(text.lines().count() > 1, "{text}");
    assert!(
        text.lines()
            .rev()
            .skip(1)
            .all(|line| line.starts_with("etc/")),
        "{text}"
    );
    assert!(
        !text.contains(|c: char| c.is_control() && c != '\n'),
        "{text:?}"
    );
    assert!(!text.contains("a fault of ours"), "{text}");
}

#[cfg(test)]
mod tests;
