//! Which parts of their file the last runs of a cron entry printed, as far as this daemon started them.
//!
//! Runs of a day share the file, and a full one is renamed before the next run gets a fresh one. So the file is known again
//! by its inode; once it has another name, its part is not found any more.

use std::collections::VecDeque;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

/// Runs that are known, the last ones.
const MOST_RUNS: usize = 20;

/// The part of a file that one run printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PrintedPart {
    path: PathBuf,
    inode: u64,
    from: u64,
    /// None while it may grow.
    to: Option<u64>,
}

impl PrintedPart {
    /// What is printed to this file from now on.
    pub(crate) fn begun(path: &Path, file: &fs::Metadata) -> Self {
        Self {
            path: path.to_owned(),
            inode: file.ino(),
            from: file.len(),
            to: None,
        }
    }

    /// Up to what is there now. None: the file was renamed.
    pub(crate) fn ended(mut self) -> Option<Self> {
        self.to = Some(self.length()?);
        Some(self)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where it lies in the file. None: the file was renamed, or is shorter than it was.
    pub(crate) fn range(&self) -> Option<Range<u64>> {
        let length = self.length()?;
        (self.to.unwrap_or(self.from) <= length).then(|| self.from..self.to.unwrap_or(length))
    }

    /// Of the file, while it has its name.
    fn length(&self) -> Option<u64> {
        let file = fs::metadata(&self.path).ok()?;
        (file.is_file() && file.ino() == self.inode).then_some(file.len())
    }
}

/// See the module's header.
#[derive(Debug, Default)]
pub(crate) struct PrintedParts(Mutex<VecDeque<(String, PrintedPart)>>);

impl PrintedParts {
    pub(crate) fn begun(&self, run_id: &str, part: PrintedPart) {
        let mut parts = self.0.lock();
        if parts.len() == MOST_RUNS {
            parts.pop_front();
        }
        parts.push_back((run_id.to_owned(), part));
    }

    /// What comes from now on is printed by others. It asks for the length of the file, and blocks while the disk does not answer.
    pub(crate) fn ended(&self, run_id: &str) {
        let Some(part) = self.of(run_id).and_then(PrintedPart::ended) else {
            self.0.lock().retain(|(id, _)| id != run_id);
            return;
        };
        let mut parts = self.0.lock();
        if let Some((_, its)) = parts.iter_mut().find(|(id, _)| id == run_id) {
            *its = part;
        }
    }

    pub(crate) fn of(&self, run_id: &str) -> Option<PrintedPart> {
        let parts = self.0.lock();
        let its = parts.iter().find(|(id, _)| id == run_id);
        its.map(|(_, part)| part.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_runs_with_a_file_are_known() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let part = PrintedPart::begun(file.path(), &file.as_file().metadata().unwrap());
        let parts = PrintedParts::default();
        for n in 0..=MOST_RUNS {
            parts.begun(&n.to_string(), part.clone());
        }
        assert_eq!(parts.of("0"), None);
        assert_eq!(parts.of("1"), Some(part.clone()));
        parts.ended("1");
        assert_eq!(parts.of("1"), part.ended());
        drop(file);
        parts.ended("2");
        assert_eq!(parts.of("2"), None);
    }
}
