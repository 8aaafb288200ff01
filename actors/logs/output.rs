//! What cron processes print: a file for each command, by day and by size.
//!
//! A process writes by itself, so nobody can move it on to another file while it runs: a full file is rolled when the
//! next process is about to get it. The lock belongs to the open file, and the process has that: nothing is packed or
//! deleted that it, or something it started, may still write to.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{Local, NaiveDate};

use super::names::Names;
use super::open_file::OpenFile;
use super::rolling::{Moved, Spec, move_away};
use super::{Limits, LogOptions, keeper};

/// Below the directory of all logs.
pub(super) const DIRECTORY: &str = "cron";
/// Ends the names of these files: not lines of ours, but whatever the processes print.
const EXTENSION: &str = "out";

/// The files of all commands.
#[derive(Clone, Debug)]
pub(crate) struct OutputLogs {
    dir: PathBuf,
    limits: Limits,
}

/// The files of one command.
#[derive(Clone, Debug)]
pub(crate) struct OutputLog {
    spec: Spec,
}

impl OutputLogs {
    pub(crate) fn new(options: &LogOptions) -> Self {
        Self {
            dir: options.path.join(DIRECTORY),
            limits: options.limits(),
        }
    }

    #[cfg(test)]
    pub(crate) fn below(dir: PathBuf) -> Self {
        let limits = Limits::default();
        Self { dir, limits }
    }

    pub(crate) fn of(&self, command: &str) -> OutputLog {
        OutputLog {
            spec: Spec {
                names: Names::with_extension(&self.dir, safe_name(command), EXTENSION),
                limits: self.limits,
            },
        }
    }
}

impl OutputLog {
    /// Where a process that starts now writes to.
    pub(crate) fn path(&self) -> PathBuf {
        self.spec.names.active(Local::now().date_naive())
    }

    /// Opens that file for a process, after rolling it where it is full. One that cannot be rolled just now grows on.
    pub(crate) fn open(&self) -> io::Result<(File, PathBuf)> {
        let today = Local::now().date_naive();
        let path = self.spec.names.active(today);
        let open = OpenFile::at(path.clone(), today)?;
        if !self.spec.limits.are_exceeded(open.size, "")
            || move_away(&self.spec.names, &open)? == Moved::Busy
        {
            return Ok((open.into_file(), path));
        }
        // Let go first: the keeper may look at it at once.
        drop(open);
        let fresh = OpenFile::at(path.clone(), today)?;
        keeper::rolled(&self.spec, today);
        Ok((fresh.into_file(), path))
    }
}

/// The logs of all commands below that directory of logs, whichever daemon started their processes.
pub(super) fn on_disk(path: &Path, limits: Limits) -> impl Iterator<Item = Spec> {
    let dir = path.join(DIRECTORY);
    let files = dir.read_dir().into_iter().flatten().flatten();
    let names: BTreeSet<String> = files
        .filter_map(|file| prefix(file.file_name().to_str()?))
        .collect();
    names.into_iter().map(move |name| Spec {
        names: Names::with_extension(&dir, name, EXTENSION),
        limits,
    })
}

/// Of `report-20261122.out`, `report-20261122.3.out` and their packed forms: `report`.
fn prefix(file: &str) -> Option<String> {
    let plain = file.strip_suffix(".gz").unwrap_or(file);
    let rest = plain.strip_suffix(EXTENSION)?.strip_suffix('.')?;
    let day_and_number = |rest: &str| {
        let (prefix, day) = rest.rsplit_once('-')?;
        NaiveDate::parse_from_str(day, "%Y%m%d").ok()?;
        Some(prefix.to_owned())
    };
    let numbered = |rest: &str| {
        let (rest, number) = rest.rsplit_once('.')?;
        number.parse::<u32>().ok()?;
        day_and_number(rest)
    };
    day_and_number(rest).or_else(|| numbered(rest))
}

/// The command as part of a file's name.
fn safe_name(command: &str) -> String {
    let safe = |c: char| match c.is_alphanumeric() || "-_.".contains(c) {
        true => c,
        false => '_',
    };
    command.chars().map(safe).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::sync::atomic::AtomicBool;

    use super::super::sweep::sweep;
    use super::*;

    fn logs(dir: &Path, max_bytes: u64) -> OutputLogs {
        OutputLogs {
            dir: dir.join(DIRECTORY),
            limits: Limits {
                max_bytes,
                ..Limits::default()
            },
        }
    }

    #[test]
    fn a_full_file_is_rolled_for_the_next_process_and_packed_when_nobody_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let log = logs(dir.path(), 10).of("report/daily");
        let (mut first, path) = log.open().unwrap();
        first.write_all(b"eleven bytes").unwrap();
        let (mut second, again) = log.open().unwrap();
        assert_eq!(path, again);
        first
            .write_all(b", and more of a run that goes on")
            .unwrap();
        second.write_all(b"short").unwrap();
        drop(log.open().unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"short");
        let day = Local::now().format("%Y%m%d");
        let rolled = path.with_file_name(format!("report_daily-{day}.1.out"));
        let whole = b"eleven bytes, and more of a run that goes on";
        assert_eq!(fs::read(&rolled).unwrap(), whole);

        let today = Local::now().date_naive();
        let specs: Vec<Spec> = on_disk(dir.path(), Limits::default()).collect();
        assert_eq!(
            specs,
            [Spec {
                limits: Limits::default(),
                ..log.spec.clone()
            }]
        );
        sweep(&specs[0], today, &AtomicBool::new(false));
        assert!(rolled.exists(), "its run goes on");
        drop(first);
        sweep(&specs[0], today, &AtomicBool::new(false));
        assert!(!rolled.exists());
        assert!(
            path.with_file_name(format!("report_daily-{day}.1.out.gz"))
                .exists()
        );
    }

    #[test]
    fn files_are_known_by_their_command() {
        let cases = [
            ("report-20261122.out", Some("report")),
            ("a-b.c-20261122.3.out.gz", Some("a-b.c")),
            ("报表-20261122.1.out", Some("报表")),
            ("report-20261199.out", None),
            ("report-20261122.x.out", None),
            ("report-20261122.log", None),
            (".report.lock", None),
        ];
        for (file, expected) in cases {
            assert_eq!(prefix(file).as_deref(), expected, "{file}");
        }
    }
}
