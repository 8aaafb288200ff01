//! Where a cron run's output is, for people who read it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chrono::{Local, NaiveDate};
use flate2::read::GzDecoder;

use super::OutputLog;

/// A file is made in the moment before the first run that writes to it is started, and the clock of the file system may be
/// behind ours.
const BEFORE_ITS_FIRST_RUN: Duration = Duration::from_secs(1);

impl OutputLog {
    /// The file that a run of that moment wrote to, in unix milliseconds: of those of its day the last one that was there
    /// already, as far as the file system tells. Runs of a day share it, until it is full.
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

fn is_packed(path: &Path) -> bool {
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
    use super::*;
    use crate::clock::now_ms;

    #[test]
    fn a_run_is_found_in_the_last_file_that_was_there_when_it_began() {
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
