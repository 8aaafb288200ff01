//! A log file as one writer has it open: locked shared, and known by its inode.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;

use chrono::NaiveDate;

use super::lock::{self, Lock};
use crate::private;

/// Opening can lose against a process that rolls at that moment; it cannot lose this often.
const ATTEMPTS: usize = 1000;

#[derive(Debug)]
pub(super) struct OpenFile {
    file: File,
    pub(super) path: PathBuf,
    pub(super) day: NaiveDate,
    identity: (u64, u64),
    /// Bytes, when last looked at; other processes write too.
    pub(super) size: u64,
}

/// Whether a write that failed left part of a line behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Torn {
    No,
    Yes,
}

impl OpenFile {
    /// Opens what is at `path`, or makes it, with the directories above it.
    pub(super) fn at(path: PathBuf, day: NaiveDate) -> io::Result<Self> {
        for _ in 0..ATTEMPTS {
            let file = open_or_create(&path)?;
            // Busy, or gone from its path: it was rolled between our open and our lock.
            if lock::shared(&file)? == Lock::Held && lock::is_at(&file, &path)? {
                // A log that others can read is worth more than none.
                let _ = private::close_to_others(&file);
                let there = file.metadata()?;
                return Ok(Self {
                    file,
                    path,
                    day,
                    identity: (there.dev(), there.ino()),
                    size: there.len(),
                });
            }
            thread::yield_now();
        }
        Err(io::Error::other("another process keeps it locked"))
    }

    /// For a process that writes by itself, and has the lock with the file.
    pub(super) fn into_file(self) -> File {
        self.file
    }

    /// The same with its size of now; None: the path leads elsewhere.
    pub(super) fn refreshed(self) -> Option<Self> {
        let there = fs::metadata(&self.path).ok()?;
        let size = there.len();
        ((there.dev(), there.ino()) == self.identity).then_some(Self { size, ..self })
    }

    /// Whether the path still leads here.
    pub(super) fn is_current(&self) -> io::Result<bool> {
        lock::is_at(&self.file, &self.path)
    }

    /// Appends whole lines in one write.
    pub(super) fn append(&self, lines: &str) -> Result<(), (io::Error, Torn)> {
        append_whole(&mut &self.file, lines.as_bytes())
    }
}

fn open_or_create(path: &Path) -> io::Result<File> {
    let mut options = private::options();
    // Reading as well: network file systems lock shared only what may be read.
    options.read(true).append(true).create(true);
    match (options.open(path), path.parent()) {
        (Err(error), Some(dir)) if error.kind() == io::ErrorKind::NotFound => {
            private::create_dir_all(dir)?;
            options.open(path)
        }
        (result, _) => result,
    }
}

/// Hands all of `bytes` over, in one write unless the disk is just getting full.
fn append_whole(file: &mut impl Write, bytes: &[u8]) -> Result<(), (io::Error, Torn)> {
    let mut done = 0;
    while done < bytes.len() {
        let torn = if done == 0 { Torn::No } else { Torn::Yes };
        match file.write(&bytes[done..]) {
            Ok(0) => return Err((io::ErrorKind::WriteZero.into(), torn)),
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((error, torn)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, then is full.
    struct Disk(Vec<u8>, usize);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.1 - self.0.len());
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_fits_only_in_part_is_torn_and_one_that_does_not_fit_is_not() {
        let mut disk = Disk(Vec::new(), 4);
        let torn = append_whole(&mut disk, b"line\nmore").unwrap_err().1;
        assert_eq!(torn, Torn::Yes);
        let torn = append_whole(&mut disk, b"next\n").unwrap_err().1;
        assert_eq!(torn, Torn::No);
    }

    #[test]
    fn a_file_that_stays_locked_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.log");
        let held = File::create(&path).unwrap();
        assert_eq!(lock::exclusive(&held).unwrap(), Lock::Held);
        let error = OpenFile::at(path, NaiveDate::MIN).unwrap_err();
        assert_eq!(error.to_string(), "another process keeps it locked");
    }
}
