//! Which part of a file one run printed.
//!
//! Runs of a day share the file, and a full one is renamed before the next run gets a fresh one. So the file is known again
//! by its inode; once it has another name, its part is not found any more.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::run_output::{OutputPart, bytes_of, from_a_line_on, read_part};

/// See the module's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PrintedPart {
    path: PathBuf,
    inode: u64,
    from: u64,
    /// None while it may grow.
    to: Option<u64>,
}

/// The inode and the length of a file that is there.
fn found(path: &Path) -> Option<(u64, u64)> {
    let file = fs::metadata(path).ok()?;
    file.is_file().then(|| (file.ino(), file.len()))
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
        let (inode, length) = found(&self.path)?;
        self.to = Some(length);
        (inode == self.inode).then_some(self)
    }

    /// Its last whole lines that fit into `most` bytes, and whether that is all of it. None: the file was renamed, or is shorter
    /// than it was.
    pub(crate) fn read(&self, most: usize) -> io::Result<Option<(OutputPart, bool)>> {
        let Some((_, length)) = found(&self.path).filter(|(inode, _)| *inode == self.inode) else {
            return Ok(None);
        };
        if length < self.to.unwrap_or(self.from) {
            return Ok(None);
        }
        let end = self.to.unwrap_or(length).min(length);
        let start = end.saturating_sub(bytes_of(most)).max(self.from).min(end);
        let bytes = usize::try_from(end - start).unwrap_or(most);
        let part = read_part(&self.path, Some(start), bytes)?;
        Ok(Some(match start > self.from {
            true => (from_a_line_on(part), false),
            false => (part, true),
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn print(path: &Path, text: &str) {
        let mut options = fs::OpenOptions::new();
        let mut file = options.create(true).append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn begun(path: &Path) -> PrintedPart {
        PrintedPart::begun(path, &fs::metadata(path).unwrap())
    }

    fn shown(part: &PrintedPart, most: usize) -> Option<(String, bool)> {
        let (part, is_all) = part.read(most).unwrap()?;
        Some((String::from_utf8(part.bytes).unwrap(), is_all))
    }

    #[test]
    fn a_run_has_its_own_lines_of_a_file_that_others_share() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.out");
        print(&path, "before\n");
        let part = begun(&path);
        assert_eq!(shown(&part, 100), Some((String::new(), true)));
        print(&path, "first\nsecond\n");
        assert_eq!(
            shown(&part, 100),
            Some(("first\nsecond\n".to_owned(), true))
        );
        let part = part.ended().unwrap();
        print(&path, "of the next run\n");
        assert_eq!(
            shown(&part, 100),
            Some(("first\nsecond\n".to_owned(), true))
        );
        assert_eq!(shown(&part, 9), Some(("second\n".to_owned(), false)));
    }

    #[test]
    fn a_file_that_was_renamed_is_not_taken_for_the_fresh_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.out");
        print(&path, "before\n");
        let part = begun(&path);
        print(&path, "first\n");
        fs::rename(&path, dir.path().join("report.1.out")).unwrap();
        assert_eq!(shown(&part, 100), None);
        print(&path, "of the next run, which is longer\n");
        assert_eq!(shown(&part, 100), None);
        assert_eq!(part.ended(), None);
    }

    #[test]
    fn a_file_that_was_emptied_is_not_shown_as_all_of_a_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.out");
        print(&path, "before\n");
        let part = begun(&path);
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(0)
            .unwrap();
        assert_eq!(shown(&part, 100), None);
    }
}
