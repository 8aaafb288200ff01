//! A log file as one writer has it open: locked shared, and known by its inode.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use chrono::NaiveDate;

use super::lock::{self, Lock};
use crate::private;

/// Opening can lose against a process that rolls at that moment; it cannot lose this often.
const ATTEMPTS: usize = 1000;
/// A line that another process is writing takes microseconds; one that is not whole after this long stays torn. A process that
/// is held up for longer in the middle of a write costs an empty line.
const WRITTEN_AFTER: Duration = Duration::from_millis(50);
const SHORT: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(super) struct OpenFile {
    file: File,
    pub(super) path: PathBuf,
    pub(super) day: NaiveDate,
    identity: (u64, u64),
    /// Bytes, when last read; other processes write too.
    pub(super) size: u64,
    /// Up to here it ends with a whole line.
    whole: u64,
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
                    whole: 0,
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

    /// Whether it ends within a line: a disk that was getting full took part of one, from this process or from another.
    ///
    /// A line that another process is writing at this moment is the same, where it crosses a page. It is whole soon.
    pub(super) fn is_torn(&self) -> bool {
        let begun = Instant::now();
        let mut size = self.size;
        while size != self.whole && self.ends_within_a_line(size) {
            let waited = begun.elapsed();
            if waited > WRITTEN_AFTER {
                return true;
            }
            if waited < SHORT {
                thread::yield_now();
            } else {
                thread::sleep(SHORT);
            }
            let Ok(there) = self.file.metadata() else {
                return false;
            };
            size = there.len();
        }
        false
    }

    fn ends_within_a_line(&self, size: u64) -> bool {
        let mut last = [b'\n'];
        // A pipe has no size. What cannot be read is taken for whole.
        size > 0 && self.file.read_exact_at(&mut last, size - 1).is_ok() && last != *b"\n"
    }

    /// Appends whole lines in one write.
    pub(super) fn append(&mut self, lines: &str) -> io::Result<()> {
        append_whole(&mut &self.file, lines.as_bytes())?;
        self.size += lines.len() as u64;
        self.whole = self.size;
        Ok(())
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

/// Hands all of `bytes` over in one write. The rest of a short one is not sent after it: another process may have written in
/// between, and its line would stand within this one.
fn append_whole(file: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    loop {
        return match file.write(bytes) {
            Ok(count) if count == bytes.len() => Ok(()),
            Ok(count) => {
                let all = bytes.len();
                let text = format!("the disk took {count} of a line's {all} bytes; is it full?");
                Err(io::Error::new(io::ErrorKind::StorageFull, text))
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes this many bytes, then is full.
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
    fn the_rest_of_a_short_write_is_not_sent() {
        let mut disk = Disk(Vec::new(), 4);
        let error = append_whole(&mut disk, b"line\nmore").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the disk took 4 of a line's 9 bytes; is it full?"
        );
        // There is room again, and this line is another process's.
        disk.1 = 100;
        append_whole(&mut disk, b"\nnext\n").unwrap();
        assert_eq!(disk.0, b"line\nnext\n");
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
