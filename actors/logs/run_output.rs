//! Where a cron run's output is, for people who read it.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chrono::{Local, NaiveDate};
use flate2::read::GzDecoder;

use super::OutputLog;

/// A file is made in the moment before the first run that writes to it is started, and the clock of the file system may be
/// behind ours.
const BEFORE_ITS_FIRST_RUN: Duration = Duration::from_secs(1);

impl OutputLog {
    /// The file that a run of that moment wrote to, in unix milliseconds: of those of its day the last one that was
    /// there already, as far as the file system shows. Runs of a day share it, until it is full.
    pub(crate) fn of_run(&self, started_ms: i64) -> io::Result<Option<PathBuf>> {
        let started =
            SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(started_ms).unwrap_or(0));
        let files = self.of_day(chrono::DateTime::<Local>::from(started).date_naive())?;
        // One that is packed was made anew by that, from an older one.
        let came_later = |path: &Path| {
            let made = fs::metadata(path).and_then(|file| file.created());
            !is_packed(path) && made.is_ok_and(|made| made > started + BEFORE_ITS_FIRST_RUN)
        };
        let there = files.iter().take_while(|path| !came_later(path)).last();
        Ok(there.or(files.first()).cloned())
    }
}

/// All of a file, unpacked where it is packed.
pub(crate) fn read_output(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut bytes = Vec::new();
    match is_packed(path) {
        true => GzDecoder::new(file).read_to_end(&mut bytes)?,
        false => file.read_to_end(&mut bytes)?,
    };
    Ok(bytes)
}

/// A part of a file. Places are bytes of the unpacked file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OutputPart {
    pub(crate) bytes: Vec<u8>,
    /// Where the part begins.
    pub(crate) from: u64,
    /// The file goes on behind the part, as far as it was there when it was read.
    pub(crate) goes_on: bool,
}

/// At most `most` bytes of a file, from there on; or its last lines, as many whole ones as fit. A part ends between two
/// characters. No more than the part is held, however large the file is.
pub(crate) fn read_part(path: &Path, from: Option<u64>, most: usize) -> io::Result<OutputPart> {
    match is_packed(path) {
        false => part_of_file(File::open(path)?, from, most),
        true => part_of_packed(|| Ok(GzDecoder::new(File::open(path)?)), from, most),
    }
}

fn part_of_file(mut file: File, from: Option<u64>, most: usize) -> io::Result<OutputPart> {
    let end = file.metadata()?.len();
    let tail = end.saturating_sub(bytes_of(most));
    let start = from.unwrap_or(tail);
    file.seek(SeekFrom::Start(start))?;
    let part = take_part(file, start, most)?;
    Ok(match from {
        Some(_) => part,
        None => from_a_line_on(part),
    })
}

/// What lies before the part is unpacked and dropped. The end of the file is known when it has been unpacked once.
fn part_of_packed<R: Read>(
    open: impl Fn() -> io::Result<R>,
    from: Option<u64>,
    most: usize,
) -> io::Result<OutputPart> {
    let start = match from {
        Some(from) => from,
        None => io::copy(&mut open()?, &mut io::sink())?.saturating_sub(bytes_of(most)),
    };
    let mut reader = open()?;
    io::copy(&mut reader.by_ref().take(start), &mut io::sink())?;
    let part = take_part(reader, start, most)?;
    Ok(match from {
        Some(_) => part,
        None => from_a_line_on(part),
    })
}

fn take_part(reader: impl Read, from: u64, most: usize) -> io::Result<OutputPart> {
    let mut bytes = Vec::new();
    reader.take(bytes_of(most) + 1).read_to_end(&mut bytes)?;
    let goes_on = bytes.len() > most;
    bytes.truncate(most);
    // A character that is not whole yet comes with the next part.
    if let Err(cut) = str::from_utf8(&bytes)
        && cut.error_len().is_none()
        && cut.valid_up_to() > 0
    {
        bytes.truncate(cut.valid_up_to());
    }
    Ok(OutputPart {
        bytes,
        from,
        goes_on,
    })
}

/// Without the rest of the line in whose middle it begins, unless that is all there is.
pub(super) fn from_a_line_on(part: OutputPart) -> OutputPart {
    let end = part.bytes.iter().position(|byte| *byte == b'\n');
    let cut = match end {
        Some(end) if part.from > 0 && end + 1 < part.bytes.len() => end + 1,
        _ => 0,
    };
    OutputPart {
        from: part.from + bytes_of(cut),
        bytes: part.bytes[cut..].to_vec(),
        goes_on: part.goes_on,
    }
}

pub(super) fn bytes_of(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

pub(crate) fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz")
}

impl OutputLog {
    /// The oldest first. A directory that is not there has none.
    fn of_day(&self, day: NaiveDate) -> io::Result<Vec<PathBuf>> {
        let entries = match self.entries() {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let of_day = entries.into_iter().rev().filter(|entry| entry.day == day);
        Ok(of_day.map(|entry| entry.path).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{OutputLogs, OutputName};
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::clock::now_ms;

    #[test]
    fn parts_of_a_file_make_the_whole_file_packed_or_not() {
        let dir = tempfile::tempdir().unwrap();
        let text = "first line\n测试 zwei\nlast line\n";
        let plain = dir.path().join("a.out");
        fs::write(&plain, text).unwrap();
        let packed = dir.path().join("a.out.gz");
        let mut encoder = GzEncoder::new(File::create(&packed).unwrap(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap();
        for path in [&plain, &packed] {
            for most in 4..40 {
                let (mut whole, mut from) = (String::new(), 0);
                loop {
                    let part = read_part(path, Some(from), most).unwrap();
                    assert_eq!(part.from, from);
                    from += bytes_of(part.bytes.len());
                    whole += str::from_utf8(&part.bytes).unwrap();
                    if !part.goes_on {
                        break;
                    }
                    assert!(!part.bytes.is_empty(), "{most}");
                }
                assert_eq!(whole, text, "{most}");
            }
            let last = read_part(path, None, 15).unwrap();
            assert_eq!(last.bytes, b"last line\n");
            assert_eq!(last.from, bytes_of(text.len() - last.bytes.len()));
            assert!(!last.goes_on);
            let behind = read_part(path, Some(1000), 9).unwrap();
            assert_eq!((behind.bytes.len(), behind.goes_on), (0, false));
        }
    }

    #[test]
    fn a_run_is_found_in_its_rolled_file() {
        let dir = tempfile::tempdir().unwrap();
        let log = OutputLogs::below(dir.path().to_owned()).of(&OutputName::new("report", None));
        assert_eq!(log.of_run(now_ms()).unwrap(), None, "it never ran");
        let path = log.open().unwrap().path;
        assert_eq!(log.of_run(now_ms()).unwrap(), Some(path.clone()));
        let yesterday = now_ms() - 24 * 3600 * 1000;
        assert_eq!(log.of_run(yesterday).unwrap(), None, "of another day");
        let day = Local::now().format("%Y%m%d");
        let rolled = dir.path().join(format!("report-{day}.1.out"));
        fs::rename(&path, &rolled).unwrap();
        assert_eq!(
            log.of_run(now_ms()).unwrap(),
            Some(rolled),
            "it goes on writing there"
        );
    }
}
