//! The three files together, from the disk.

use std::{collections::BTreeSet, fs};

use super::*;

mod documents;

const QUEUE: &str = r#"[{"name": "a", "exec_cmd": "ledger", "table": "t", "progress": 1,
"progress_lag_limit": 0, "progress_avg_msgcount": 1, "status": 1}]"#;

/// A directory of its own with these files, read for dev and script1.
fn load_files(files: &[(&str, &[u8])]) -> (String, Result<Config, Report>) {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(dir.path().join(name), content).unwrap();
    }
    let ledger = BTreeSet::from(["ledger".to_owned()]);
    let commands = Commands {
        consumers: ledger.clone(),
        delayed: ledger.clone(),
        cron: ledger,
        ..Commands::default()
    };
    let places = Places {
        etc: dir.path().to_owned(),
        environment: Environment::default(),
        partition: Partition::default(),
    };
    let loaded = load_with(&places, &commands, &crate::jsonc::testing::environment);
    (format!("{}/", dir.path().display()), loaded)
}

/// The report with the directory left out.
fn report(files: &[(&str, &[u8])]) -> String {
    let (dir, loaded) = load_files(files);
    loaded
        .unwrap_err()
        .to_string()
        .replace(&dir, "")
        .replace(dir.trim_end_matches('/'), "etc")
}

#[test]
fn three_good_files_are_a_configuration() {
    let (_, loaded) = load_files(&[
        ("dev.json", b"\xef\xbb\xbf{}"),
        ("queue_script1.json", QUEUE.as_bytes()),
        (
            "crontab_script1.json",
            br#"[{"cron": "0 * * * * *", "name": "c", "exec_cmd": "gone", "status": 4}]"#,
        ),
    ]);
    let config = loaded.unwrap();
    assert_eq!((config.queues.len(), config.crontab.len()), (1, 1));
    assert_eq!(
        config.why_not_live(),
        ["`c`: status 4 is release; this is dev"]
    );
    assert_eq!(config.notes.len(), 1);
}

#[test]
fn all_faults_of_all_files_come_in_one_report_in_order() {
    let found = report(&[
        ("dev.json", b"{\"workers\": -1,\n\"colour\": 1}"),
        ("queue_script1.json", b"[{]"),
        ("crontab_script1.json", b"\"\xff"),
    ]);
    let starts = [
        "dev.json:1:13: `workers`: wanted",
        "dev.json:2:1: `colour`: unknown key",
        "queue_script1.json:1:3: a key in double quotes",
        "crontab_script1.json:1:2: byte 0xff is not UTF-8",
        "4 faults; nothing was started",
    ];
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!(lines.len(), starts.len(), "{found}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}\n{start}");
    }
}

#[test]
fn a_missing_file_is_reported_with_what_would_be_right() {
    assert_eq!(
        report(&[("release.json", b"{}"), ("queue_script1.json", b"")]),
        "dev.json: there is no such file; write `{}` into it for the defaults; the directory has \
         `queue_script1.json`, `release.json`; `--env`, `--partition` and `--etc` choose others\n\
         queue_script1.json: is empty; write `[]` into it for none\n\
         crontab_script1.json: there is no such file; write `[]` into it for none; the directory has \
         `queue_script1.json`, `release.json`; `--env`, `--partition` and `--etc` choose others\n\
         3 faults; nothing was started"
    );
}

#[test]
fn a_missing_directory_is_one_fault() {
    let places = Places {
        etc: PathBuf::from("/nowhere/etc"),
        environment: Environment::default(),
        partition: Partition::default(),
    };
    let report = load_with(
        &places,
        &Commands::default(),
        &crate::jsonc::testing::environment,
    )
    .unwrap_err();
    assert!(
        report
            .to_string()
            .ends_with("\n1 fault; nothing was started"),
        "{report}"
    );
    assert!(report.to_string().contains("`--etc DIR`"), "{report}");
}

#[test]
fn a_server_is_looked_for_in_settings_that_are_faulty_themselves() {
    let named = QUEUE.replace("\"table\": \"t\"", "\"key\": \"k\", \"redis\": \"cache\"");
    let found = report(&[
        ("dev.json", br#"{"redis": {"cache": {"url": 1}}}"#),
        ("queue_script1.json", named.as_bytes()),
        ("crontab_script1.json", b"[]"),
    ]);
    assert!(
        found.starts_with("dev.json:1:29: `redis.cache.url`: wanted a string"),
        "{found}"
    );
    assert!(found.ends_with("1 fault; nothing was started"), "{found}");
    // Nobody knows what the cut file would have named.
    let found = report(&[
        ("dev.json", b"{"),
        ("queue_script1.json", named.as_bytes()),
        ("crontab_script1.json", b"[]"),
    ]);
    assert!(found.ends_with("1 fault; nothing was started"), "{found}");
}

#[test]
fn a_file_of_faults_is_no_endless_report() {
    let many = format!("[{}]", "1,".repeat(100_000));
    let (_, loaded) = load_files(&[
        ("dev.json", b"{}"),
        ("queue_script1.json", many.as_bytes()),
        ("crontab_script1.json", b"[]"),
    ]);
    let report = loaded.unwrap_err();
    assert_eq!(report.count(), 100_000);
    assert!(report.to_string().lines().count() < 1_100);
    assert!(
        report
            .to_string()
            .ends_with("100000 faults; nothing was started")
    );
}
