//! What the files of one log are called, and which of them are there.
//!
//! `app-20261122.log` is written to; when it is full it becomes `app-20261122.1.log`, the next one
//! `.2.log`, and packed they end in `.gz`. A number is never used twice while a later one is
//! there, so "higher" means "newer", and no packed file is ever written over.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

/// The day in a file name, as chrono writes and reads it.
const DAY: &str = "%Y%m%d";
/// Characters of a day: `20261122`.
const DAY_CHARS: usize = 8;

/// Where one log lives: a directory, and what its files' names begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    dir: PathBuf,
    prefix: String,
    extension: &'static str,
}

/// One file of a log that is no longer written to, or will not be much longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    pub(super) day: NaiveDate,
    /// None: the day's own file, written after all numbered ones.
    pub(super) number: Option<u32>,
    pub(super) packed: bool,
}

impl Names {
    pub(super) fn new(dir: impl Into<PathBuf>, prefix: impl Into<String>) -> Self {
        Self::with_extension(dir, prefix, "log")
    }

    /// Files that do not end in `.log`.
    pub(super) fn with_extension(
        dir: impl Into<PathBuf>,
        prefix: impl Into<String>,
        extension: &'static str,
    ) -> Self {
        let (dir, prefix) = (dir.into(), prefix.into());
        Self {
            dir,
            prefix,
            extension,
        }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file that is written to on `day`.
    pub(super) fn active(&self, day: NaiveDate) -> PathBuf {
        let (prefix, extension) = (&self.prefix, self.extension);
        self.dir
            .join(format!("{prefix}-{}.{extension}", day.format(DAY)))
    }

    /// The name that the next full file of `day` gets. Hold the gate while it is used.
    pub(super) fn next_rolled(&self, day: NaiveDate) -> io::Result<PathBuf> {
        let used = self.entries()?;
        let highest = used
            .iter()
            .filter(|entry| entry.day == day)
            .filter_map(|entry| entry.number)
            .max();
        let number = highest.unwrap_or(0).saturating_add(1);
        let (prefix, extension) = (&self.prefix, self.extension);
        let name = format!("{prefix}-{}.{number}.{extension}", day.format(DAY));
        Ok(self.dir.join(name))
    }

    /// The lock file: its holder may rename files of this log.
    pub(super) fn gate(&self) -> PathBuf {
        self.dir.join(format!(".{}.lock", self.prefix))
    }

    /// All files of this log, newest first.
    pub(super) fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for item in self.dir.read_dir()? {
            let path = item?.path();
            entries.extend(self.parse(&path));
        }
        // The day's own file was written after the numbered ones, so it sorts as the highest.
        entries.sort_by_key(|entry| (entry.day, entry.number.unwrap_or(u32::MAX)));
        entries.reverse();
        Ok(entries)
    }

    fn parse(&self, path: &Path) -> Option<Entry> {
        let name = path.file_name()?.to_str()?;
        let rest = name.strip_prefix(&self.prefix)?.strip_prefix('-')?;
        let (day, rest) = rest.split_at_checked(DAY_CHARS)?;
        if !day.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (plain, packed) = match rest.strip_suffix(".gz") {
            Some(plain) => (plain, true),
            None => (rest, false),
        };
        let number = match plain.strip_suffix(self.extension)?.strip_suffix('.')? {
            "" => None,
            number => Some(number.strip_prefix('.')?.parse().ok()?),
        };
        Some(Entry {
            path: path.to_owned(),
            day: NaiveDate::parse_from_str(day, DAY).ok()?,
            number,
            packed,
        })
    }
}

/// `path` with `suffix` behind its whole name (`with_extension` would replace the `.log`).
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn day(text: &str) -> NaiveDate {
        NaiveDate::parse_from_str(text, DAY).unwrap()
    }

    fn directory(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            fs::write(dir.path().join(name), "").unwrap();
        }
        dir
    }

    #[test]
    fn files_are_listed_newest_first_and_strangers_are_not_ours() {
        let dir = directory(&[
            "app-20261121.1.log.gz",
            "app-20261122.log",
            "app-20261122.10.log",
            "app-20261122.9.log.gz",
            "app-20261122.9.log.gz.tmp",
            "app-20261199.log",
            "app-2026112.log",
            "app-+2261122.log",
            "app-2-20261122.log",
            "app2-20261122.log",
            "app-20261122.log.bak",
            "app-20261122..log",
            ".app.lock",
            "app-一二三四.log",
        ]);
        let names: Vec<_> = Names::new(dir.path(), "app")
            .entries()
            .unwrap()
            .iter()
            .map(|entry| entry.path.file_name().unwrap().to_owned())
            .collect();
        assert_eq!(
            names,
            [
                "app-20261122.log",
                "app-20261122.10.log",
                "app-20261122.9.log.gz",
                "app-20261121.1.log.gz"
            ]
        );
    }

    #[test]
    fn a_rolled_file_gets_the_number_after_the_highest_of_its_day() {
        let dir = directory(&["a-20261121.7.log", "a-20261122.3.log.gz", "a-20261122.log"]);
        let names = Names::new(dir.path(), "a");
        let next = |text| names.next_rolled(day(text)).unwrap();
        assert_eq!(next("20261122"), dir.path().join("a-20261122.4.log"));
        assert_eq!(next("20261121"), dir.path().join("a-20261121.8.log"));
        assert_eq!(next("20261120"), dir.path().join("a-20261120.1.log"));
    }
}
