//! What cron processes print: a file for each entry, by day and by size.
//!
//! A process writes by itself, so nobody can move it on to another file while it runs: a full file is rolled when the
//! next process is about to get it. The lock belongs to the open file, and the process has that: nothing is packed or
//! deleted that it, or something it started, may still write to.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{Local, NaiveDate};
use parking_lot::Mutex;

use super::names::{Entry, Names};
use super::open_file::OpenFile;
use super::output_name::OutputName;
use super::rolling::{Moved, Spec, move_away};
use super::{Limits, LogOptions, keeper};

/// Below the directory of all logs.
pub(super) const DIRECTORY: &str = "cron";
/// Ends the names of these files: not lines of ours, but whatever the processes print.
const EXTENSION: &str = "out";

/// The files of all entries of a partition.
#[derive(Clone, Debug)]
pub(crate) struct OutputLogs {
    dir: PathBuf,
    limits: Limits,
    stuck: Arc<Mutex<BTreeSet<String>>>,
}

/// The files of one entry.
#[derive(Clone, Debug)]
pub(crate) struct OutputLog {
    spec: Spec,
    name: String,
    /// Files that could not be rolled at the last attempt: each is logged in one line.
    stuck: Arc<Mutex<BTreeSet<String>>>,
}

/// A file that a process may write to.
#[derive(Debug)]
pub(crate) struct OutputFile {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
    /// It is full and could not be rolled; this is the first time.
    pub(crate) stuck: Option<io::Error>,
}

impl OutputLogs {
    pub(crate) fn new(options: &LogOptions) -> Self {
        Self {
            dir: options.path.join(DIRECTORY).join(&options.partition),
            limits: options.limits(),
            stuck: Arc::default(),
        }
    }

    #[cfg(test)]
    pub(crate) fn below(dir: PathBuf) -> Self {
        Self {
            dir,
            limits: Limits::default(),
            stuck: Arc::default(),
        }
    }

    pub(crate) fn of(&self, entry: &OutputName) -> OutputLog {
        let name = entry.as_str().to_owned();
        OutputLog {
            spec: Spec {
                names: Names::with_extension(&self.dir, name.clone(), EXTENSION),
                limits: self.limits,
            },
            name,
            stuck: Arc::clone(&self.stuck),
        }
    }
}

impl OutputLog {
    /// Where a process that starts now writes to.
    pub(crate) fn path(&self) -> PathBuf {
        self.spec.names.active(Local::now().date_naive())
    }

    /// All files of the entry, newest first.
    pub(super) fn entries(&self) -> io::Result<Vec<Entry>> {
        self.spec.names.entries()
    }

    /// Opens that file for a process, after rolling it where it is full. One that cannot be rolled grows on: what a process
    /// prints is worth more than the size of its file.
    pub(crate) fn open(&self) -> io::Result<OutputFile> {
        let today = Local::now().date_naive();
        let path = self.spec.names.active(today);
        let open = OpenFile::at(path.clone(), today)?;
        if !self.spec.limits.are_exceeded(open.size, "") {
            return Ok(self.opened(open, path, None));
        }
        let fresh = match move_away(&self.spec.names, &open) {
            Ok(Moved::Yes) => OpenFile::at(path.clone(), today),
            Ok(Moved::Busy) => return Ok(self.opened(open, path, None)),
            Err(cause) => Err(cause),
        };
        match fresh {
            Ok(fresh) => {
                // Let go first: the keeper may check it at once.
                drop(open);
                keeper::rolled(&self.spec, today);
                Ok(self.opened(fresh, path, None))
            }
            Err(cause) => {
                let message = format!(
                    "`{}` is full and cannot be rolled, it grows on: {cause}",
                    path.display()
                );
                let cause = io::Error::new(cause.kind(), message);
                Ok(self.opened(open, path, Some(cause)))
            }
        }
    }

    fn opened(&self, open: OpenFile, path: PathBuf, stuck: Option<io::Error>) -> OutputFile {
        let mut known = self.stuck.lock();
        let stuck = match stuck {
            Some(cause) => known.insert(self.name.clone()).then_some(cause),
            None => {
                known.remove(&self.name);
                None
            }
        };
        OutputFile {
            file: open.into_file(),
            path,
            stuck,
        }
    }
}

/// The logs of all entries below that directory of logs, whichever daemon started their processes. Versions before had those
/// of all partitions in one directory.
pub(super) fn on_disk(path: &Path, limits: Limits) -> impl Iterator<Item = Spec> {
    let all = path.join(DIRECTORY);
    let below = all.read_dir().into_iter().flatten().flatten();
    let below = below.map(|file| file.path()).filter(|path| path.is_dir());
    let directories: Vec<PathBuf> = below.chain([all.clone()]).collect();
    directories
        .into_iter()
        .flat_map(move |dir| in_directory(&dir, limits))
}

fn in_directory(dir: &Path, limits: Limits) -> Vec<Spec> {
    let files = dir.read_dir().into_iter().flatten().flatten();
    let names: BTreeSet<String> = files
        .filter_map(|file| prefix(file.file_name().to_str()?))
        .collect();
    let spec = |name| Spec {
        names: Names::with_extension(dir, name, EXTENSION),
        limits,
    };
    names.into_iter().map(spec).collect()
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::sync::atomic::AtomicBool;

    use super::super::sweep::sweep;
    use super::*;

    fn logs(dir: &Path, max_bytes: u64) -> OutputLogs {
        OutputLogs {
            dir: dir.join(DIRECTORY).join("script1"),
            limits: Limits {
                max_bytes,
                ..Limits::default()
            },
            stuck: Arc::default(),
        }
    }

    fn name(entry: &str) -> OutputName {
        OutputName::new(entry, None)
    }

    #[test]
    fn a_full_output_file_is_rolled_and_packed() {
        let dir = tempfile::tempdir().unwrap();
        let log = logs(dir.path(), 10).of(&name("report/daily"));
        let OutputFile { mut file, path, .. } = log.open().unwrap();
        file.write_all(b"eleven bytes").unwrap();
        let mut second = log.open().unwrap();
        assert_eq!(path, second.path);
        file.write_all(b", and more of a run that goes on").unwrap();
        second.file.write_all(b"short").unwrap();
        drop(log.open().unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"short");
        let day = Local::now().format("%Y%m%d");
        let rolled = path.with_file_name(format!("report%2Fdaily-{day}.1.out"));
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
        drop(file);
        sweep(&specs[0], today, &AtomicBool::new(false));
        assert!(!rolled.exists());
        assert!(
            path.with_file_name(format!("report%2Fdaily-{day}.1.out.gz"))
                .exists()
        );
    }

    #[test]
    fn an_unrollable_output_file_grows_on() {
        let dir = tempfile::tempdir().unwrap();
        let log = logs(dir.path(), 10).of(&name("report"));
        let mut first = log.open().unwrap();
        first.file.write_all(b"eleven bytes").unwrap();
        // Who rolls takes this lock, which a directory of that name forbids.
        let gate = dir.path().join(DIRECTORY).join("script1/.report.lock");
        fs::create_dir(&gate).unwrap();
        for is_new in [true, false, false] {
            let mut next = log.open().unwrap();
            assert_eq!(next.stuck.is_some(), is_new, "{:?}", next.stuck);
            next.file.write_all(b", and on").unwrap();
            assert_eq!(next.path, first.path);
        }
        let whole = b"eleven bytes, and on, and on, and on";
        assert_eq!(fs::read(&first.path).unwrap(), whole);
        fs::remove_dir(&gate).unwrap();
        assert!(log.open().unwrap().stuck.is_none());
        assert_eq!(fs::read(&first.path).unwrap(), b"", "rolled");
    }

    #[test]
    fn a_long_name_is_a_name_of_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let log = logs(dir.path(), 10).of(&name(&"报".repeat(255)));
        assert!(log.open().is_ok());
    }

    #[test]
    fn files_of_versions_before_are_looked_after() {
        let dir = tempfile::tempdir().unwrap();
        let all = dir.path().join(DIRECTORY);
        fs::create_dir_all(all.join("script2")).unwrap();
        for file in ["report_daily-20261121.out", "script2/report-20261121.out"] {
            fs::write(all.join(file), "x").unwrap();
        }
        let today = NaiveDate::from_ymd_opt(2026, 11, 22).unwrap();
        for spec in on_disk(dir.path(), Limits::default()) {
            sweep(&spec, today, &AtomicBool::new(false));
        }
        for file in [
            "report_daily-20261121.1.out.gz",
            "script2/report-20261121.1.out.gz",
        ] {
            assert!(all.join(file).exists(), "{file}");
        }
    }

    #[test]
    fn files_are_known_by_their_entry() {
        let cases = [
            ("report-20261122.out", Some("report")),
            ("a-b.c-20261122.3.out.gz", Some("a-b.c")),
            ("报表-20261122.1.out", Some("报表")),
            (
                "report%2Fdaily~3f0e4c0e-20261122.out",
                Some("report%2Fdaily~3f0e4c0e"),
            ),
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
