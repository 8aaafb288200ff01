//! What one run printed, of a file that it shares.

use std::io;

use super::run_output::{OutputPart, bytes_of, from_a_line_on, read_part};
use crate::state::PrintedPart;

/// The last whole lines of a run's part of a file that fit into `most` bytes, and whether that is all of it. None: the part is
/// not there any more.
pub(crate) fn read_printed(
    printed: &PrintedPart,
    most: usize,
) -> io::Result<Option<(OutputPart, bool)>> {
    let Some(range) = printed.range() else {
        return Ok(None);
    };
    let first = range.end.saturating_sub(bytes_of(most));
    let start = first.max(range.start).min(range.end);
    let bytes = usize::try_from(range.end - start).unwrap_or(most);
    let part = read_part(printed.path(), Some(start), bytes)?;
    Ok(Some(match start > range.start {
        true => (from_a_line_on(part), false),
        false => (part, true),
    }))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::path::Path;

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
        let (part, is_all) = read_printed(part, most).unwrap()?;
        Some((String::from_utf8(part.bytes).unwrap(), is_all))
    }

    #[test]
    fn a_run_has_its_lines_of_a_shared_file() {
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
    fn a_renamed_file_is_not_the_fresh_one() {
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
    fn an_emptied_file_is_not_a_whole_output() {
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
