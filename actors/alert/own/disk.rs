//! `disk`: a disk below the data or the log directory that is nearly full, does not answer, or answers by
//! errors.
//!
//! Nearly full is what is below a share and below a number of bytes: a tenth of a large disk is much, and so is one gigabyte
//! of a small one. A read-only file system, and one that does not say how large it is, are never full.

use std::collections::BTreeMap;

use super::Condition;
use super::probe::{DiskFacts, DiskFailure, DiskSight};
use super::rules::{Findings, Unknown};

/// A question that has waited for this many seconds is not answered, and errors that have lasted for as long do not pass.
const SILENT_SECONDS: u64 = 60;
const GB: u64 = 1_000_000_000;

pub(super) fn findings(disks: &[DiskSight], free_percent: u64, free_gb: u64) -> Findings {
    let mut conditions = Vec::new();
    let mut unknown = Vec::new();
    let mut by_device: BTreeMap<u64, &str> = BTreeMap::new();
    for disk in disks {
        if let Some(facts) = disk.facts {
            let first = *by_device.entry(facts.device).or_insert(&disk.path);
            if first != disk.path {
                continue;
            }
            conditions.extend(nearly_full(&disk.path, facts, free_percent, free_gb));
        } else {
            unknown.push(disk.path.clone());
        }
        if disk.silent_seconds >= SILENT_SECONDS {
            conditions.push(silent(disk));
        }
        let failure = disk.failure.as_ref();
        let lasting = failure.filter(|failure| failure.lasts_seconds >= SILENT_SECONDS);
        conditions.extend(lasting.map(|failure| failed(&disk.path, failure)));
    }
    Findings {
        conditions,
        unknown: Unknown::Of(unknown),
    }
}

fn nearly_full(path: &str, facts: DiskFacts, free_percent: u64, free_gb: u64) -> Option<Condition> {
    let DiskFacts {
        free_bytes,
        total_bytes,
        is_read_only,
        ..
    } = facts;
    if is_read_only || total_bytes == 0 {
        return None;
    }
    let percent = u128::from(free_bytes) * 100 / u128::from(total_bytes);
    let is_low = percent < u128::from(free_percent) && free_bytes < free_gb.saturating_mul(GB);
    is_low.then(|| Condition {
        subject: path.to_owned(),
        since_ms: i64::MAX,
        summary: format!("the disk below `{path}` is nearly full"),
        text: format!(
            "{percent} % ({}) of {} are free",
            shown(free_bytes),
            shown(total_bytes)
        ),
        remedy: "what cannot be written waits: make room, or a larger disk".to_owned(),
        ..Condition::default()
    })
}

fn silent(disk: &DiskSight) -> Condition {
    let path = &disk.path;
    Condition {
        subject: format!("{path} (no answer)"),
        since_ms: i64::MAX,
        summary: format!("the disk below `{path}` does not answer"),
        text: format!("it was asked {} s ago how full it is", disk.silent_seconds),
        remedy: "a network file system whose server is gone does that".to_owned(),
        ..Condition::default()
    }
}

fn failed(path: &str, failure: &DiskFailure) -> Condition {
    Condition {
        subject: format!("{path} (errors)"),
        since_ms: i64::MAX,
        summary: format!("the disk below `{path}` cannot be asked how full it is"),
        text: format!("for {} s: {}", failure.lasts_seconds, failure.cause),
        remedy: "a disk that fails, and a directory that was removed, do that".to_owned(),
        ..Condition::default()
    }
}

/// In the unit that disks are sold by.
fn shown(bytes: u64) -> String {
    match bytes {
        0..GB => format!("{} MB", bytes / 1_000_000),
        _ => format!("{} GB", bytes / GB),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(path: &str, free_bytes: u64, total_bytes: u64) -> DiskSight {
        DiskSight {
            path: path.to_owned(),
            facts: Some(DiskFacts {
                free_bytes,
                total_bytes,
                is_read_only: false,
                device: free_bytes,
            }),
            silent_seconds: 0,
            failure: None,
        }
    }

    fn subjects(disks: &[DiskSight]) -> Vec<String> {
        let found = findings(disks, 10, 20).conditions;
        found.into_iter().map(|one| one.subject).collect()
    }

    #[test]
    fn a_full_disk_is_judged_by_share_and_bytes() {
        const MB: u64 = 1_000_000;
        for (free, total, is_wrong) in [
            (50 * MB, GB, true),
            (150 * MB, GB, false),
            (9 * GB, 100 * GB, true),
            (10 * GB, 100 * GB, false),
            (19 * GB, 10_000 * GB, true),
            (21 * GB, 10_000 * GB, false),
            (900 * GB, 10_000 * GB, false),
            (0, 1, true),
            (0, 0, false),
        ] {
            let found = subjects(&[disk("data", free, total)]);
            assert_eq!(!found.is_empty(), is_wrong, "{free} of {total}");
        }
        let found = findings(&[disk("data", 9 * GB, 100 * GB)], 10, 20).conditions;
        assert_eq!(found[0].text, "9 % (9 GB) of 100 GB are free");
    }

    #[test]
    fn a_file_system_that_cannot_be_written_is_never_full() {
        let mut read_only = disk("data", 0, 100 * GB);
        read_only.facts.as_mut().unwrap().is_read_only = true;
        assert_eq!(subjects(&[read_only]), [""; 0]);
    }

    #[test]
    fn two_paths_of_one_disk_are_one_alert() {
        let both = [disk("data", 1, 100 * GB), disk("logs", 1, 100 * GB)];
        assert_eq!(subjects(&both), ["data"]);
    }

    #[test]
    fn a_silent_disk_is_unknown_first_and_wrong_later() {
        let mut disk = disk("data", 1, 1);
        disk.facts = None;
        let found = findings(std::slice::from_ref(&disk), 10, 20);
        assert_eq!(found.conditions, []);
        assert_eq!(found.unknown, Unknown::Of(vec!["data".to_owned()]));
        disk.silent_seconds = SILENT_SECONDS;
        assert_eq!(subjects(&[disk]), ["data (no answer)"]);
    }

    #[test]
    fn a_disk_that_answers_by_errors_for_a_minute_is_wrong() {
        let failing = |lasts_seconds| DiskSight {
            facts: None,
            failure: Some(DiskFailure {
                cause: "Input/output error".to_owned(),
                lasts_seconds,
            }),
            ..disk("data", 1, 1)
        };
        assert_eq!(subjects(&[failing(SILENT_SECONDS - 1)]), [""; 0]);
        assert_eq!(subjects(&[failing(SILENT_SECONDS)]), ["data (errors)"]);
    }
}
