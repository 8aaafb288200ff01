//! The last lines of a file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// healthchecks.io keeps 100 KB; a person wants the end.
const MOST_BYTES: usize = 8 * 1024;
const MOST_LINES: usize = 40;

/// The last lines of what stands from that byte on, where the file still is what it was then.
pub(super) fn tail(path: &Path, from: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    // Rolled meanwhile: what is in it is newer.
    let from = if from > length { 0 } else { from };
    let start = from.max(length.saturating_sub(MOST_BYTES as u64));
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES as u64).read_to_end(&mut bytes)?;
    let is_cut = start > from;
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
    Ok(lines[lines.len().saturating_sub(MOST_LINES)..].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
