//! The last lines of a file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;

/// healthchecks.io keeps 100 KB; a person wants the end.
const MOST_BYTES: usize = 8 * 1024;
const MOST_LINES: usize = 40;

/// What a run has written into a file that other runs write into too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    path: PathBuf,
    /// Its part of the file.
    bytes: Range<u64>,
}

impl Output {
    /// From that byte up to what stands there now: what other runs write later is not its own.
    pub(crate) fn since(path: PathBuf, from: u64) -> Self {
        // A file that is not there, or was rolled, has nothing behind that byte.
        let end = path.metadata().map_or(from, |file| file.len());
        let bytes = if end < from { 0..end } else { from..end };
        Self { path, bytes }
    }

    /// Its last lines, where the file still is what it was then.
    pub(super) fn tail(&self) -> io::Result<String> {
        let mut file = File::open(&self.path)?;
        let length = file.metadata()?.len();
        // Rolled meanwhile: what is in it is newer.
        let Range { start: from, end } = match self.bytes.end > length {
            true => 0..length,
            false => self.bytes.clone(),
        };
        let start = from.max(end.saturating_sub(MOST_BYTES as u64));
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(end - start).read_to_end(&mut bytes)?;
        Ok(last_lines(&bytes, start > from))
    }
}

fn last_lines(bytes: &[u8], is_cut: bool) -> String {
    // It may begin in the middle of a character, which has three more bytes at most.
    let rest_of_one = bytes
        .iter()
        .take(3)
        .take_while(|byte| **byte & 0xc0 == 0x80);
    let whole = if is_cut { rest_of_one.count() } else { 0 };
    let text = String::from_utf8_lossy(&bytes[whole..]);
    let text = match (is_cut, text.split_once('\n')) {
        // It begins in the middle of a line.
        (true, Some((_, whole))) => whole,
        _ => &text,
    };
    // What stands for a byte that is none of UTF-8 is longer than that.
    let too_long = text.len().saturating_sub(MOST_BYTES);
    let text = &text[text.ceil_char_boundary(too_long)..];
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(MOST_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn tail(path: &Path, from: u64) -> io::Result<String> {
        Output::since(path.to_owned(), from).tail()
    }

    #[test]
    fn what_other_runs_write_later_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        std::fs::write(&path, "before\nown\n").unwrap();
        let output = Output::since(path.clone(), 7);
        let text = format!("before\nown\n{}", "after\n".repeat(10_000));
        std::fs::write(&path, text).unwrap();
        assert_eq!(output.tail().unwrap(), "own");
        std::fs::write(&path, "new\n").unwrap();
        assert_eq!(output.tail().unwrap(), "new", "another file now");
    }

    #[test]
    fn the_last_lines_of_what_is_new_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        std::fs::write(&path, "old\na\nb\n").unwrap();
        assert_eq!(tail(&path, 4).unwrap(), "a\nb");
        assert_eq!(tail(&path, 0).unwrap(), "old\na\nb");
        assert_eq!(tail(&path, 8).unwrap(), "");
        assert_eq!(tail(&path, 99).unwrap(), "old\na\nb", "another file now");
        assert!(tail(&dir.path().join("none"), 0).is_err());
    }

    #[test]
    fn a_long_output_is_cut_to_whole_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let text: String = (0..10_000).map(|n| format!("line {n} 测\n")).collect();
        std::fs::write(&path, &text).unwrap();
        let lines = tail(&path, 0).unwrap();
        assert_eq!(lines.lines().count(), MOST_LINES);
        assert!(lines.starts_with("line 9960 ") && lines.ends_with("line 9999 测"));
        std::fs::write(&path, "x".repeat(20_000)).unwrap();
        assert_eq!(tail(&path, 0).unwrap().len(), 8 * 1024);
    }

    #[test]
    fn an_output_of_any_bytes_is_a_text_that_is_not_longer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        for bytes in [&[0xff][..], &[0x80], &[0, 0xff, b'\n'], &[0xf0, 0x9f]] {
            std::fs::write(&path, bytes.repeat(20_000)).unwrap();
            let lines = tail(&path, 0).unwrap();
            assert!(lines.len() <= 8 * 1024, "{bytes:?}: {}", lines.len());
            assert!(!lines.is_empty(), "{bytes:?}");
        }
        for start in 0..4 {
            let text = format!("{}{}", "x".repeat(start), "测😀".repeat(10_000));
            std::fs::write(&path, text).unwrap();
            let lines = tail(&path, 0).unwrap();
            assert!(!lines.contains('\u{fffd}') && lines.len() > 8 * 1024 - 4);
        }
    }
}
