//! `cron logs -f`: what a run prints, until it has ended and its last line is shown.
//!
//! **No line is left out.** A run's row says that it has ended only after all that the run has printed stands in its file
//! (`cli/exec.rs`; the daemon writes the row of a process that is gone). So the row is asked first, and the file is read to
//! its end after that. The file stays open: it may be rolled and packed by the next run of the entry.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use super::logs::{last_lines, show};
use crate::bootstrap::failure::{Failure, chain};
use crate::cli::print::{print, print_error};
use crate::logs::{OutputLog, is_packed};
use crate::operations::cron_log::{cannot_read, file_of};
use crate::store::Reader;
use crate::store::daemon_orders::{CronRun, RUN_STARTING};

/// Between two polls of a file that is followed.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Polls between two questions whether its run goes on.
pub(super) const POLLS_A_QUESTION: u32 = 5;
/// Bytes that are read of a file at once.
const PORTION: u64 = 1 << 20;

/// Shows the last lines first.
pub(super) async fn follow(
    reader: &dyn Reader,
    log: &OutputLog,
    mut run: CronRun,
    lines: usize,
) -> Result<(), Failure> {
    let path = loop {
        match file_of(log, &run).map_err(Failure::refused)? {
            // A run that starts makes its file, or rolls one that is full.
            _ if run.status == RUN_STARTING => {}
            Some(path) if !is_packed(&path) => break path,
            None if run.ended_ms.is_none() => {}
            // Only the file of a run that has ended is packed.
            Some(_) | None => {
                show(log, &run, lines)?;
                return said_end(&run);
            }
        }
        tokio::time::sleep(POLL_INTERVAL).await;
        run = again(reader, run).await?;
    };
    let mut followed = Followed::open(&path)?;
    print_error(&format!("{}:\n", path.display()));
    let there = followed.read_on()?;
    followed.print(last_lines(&there, lines))?;
    loop {
        run = again(reader, run).await?;
        for _ in 0..POLLS_A_QUESTION {
            followed.print_on()?;
            if run.ended_ms.is_some() {
                followed.print_rest()?;
                return said_end(&run);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

fn said_end(run: &CronRun) -> Result<(), Failure> {
    print_error(&format!("run {} has ended: {}\n", run.uk, run.status));
    Ok(())
}

/// The same run as it is now.
async fn again(reader: &dyn Reader, run: CronRun) -> Result<CronRun, Failure> {
    let now = reader.cron_run(&run.uk).await;
    let now = now.map_err(|cause| Failure::failed(chain(&cause)))?;
    Ok(now.unwrap_or(run))
}

/// A file of which all is printed so far, but a character that is not whole yet.
struct Followed<'a> {
    file: File,
    path: &'a Path,
    at: u64,
    begun: Vec<u8>,
}

impl<'a> Followed<'a> {
    fn open(path: &'a Path) -> Result<Self, Failure> {
        let file = File::open(path);
        let file = file.map_err(|cause| Failure::refused(cannot_read(path, &cause)))?;
        Ok(Self {
            file,
            path,
            at: 0,
            begun: Vec::new(),
        })
    }

    fn portion(&mut self) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(self.at))?;
        (&self.file).take(PORTION).read_to_end(&mut bytes)?;
        self.at += u64::try_from(bytes.len()).unwrap_or(0);
        Ok(bytes)
    }

    fn next(&mut self) -> Result<Vec<u8>, Failure> {
        let portion = self.portion();
        portion.map_err(|cause| Failure::refused(cannot_read(self.path, &cause)))
    }

    /// All that is there now.
    fn read_on(&mut self) -> Result<Vec<u8>, Failure> {
        let mut all = Vec::new();
        loop {
            let portion = self.next()?;
            if portion.is_empty() {
                return Ok(all);
            }
            all.extend(portion);
        }
    }

    fn print_on(&mut self) -> Result<(), Failure> {
        loop {
            let portion = self.next()?;
            if portion.is_empty() {
                return Ok(());
            }
            self.print(&portion)?;
        }
    }

    fn print(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.begun.extend_from_slice(bytes);
        let cut = match std::str::from_utf8(&self.begun) {
            Err(cut) if cut.error_len().is_none() => cut.valid_up_to(),
            _ => self.begun.len(),
        };
        let rest = self.begun.split_off(cut);
        print(&String::from_utf8_lossy(&std::mem::replace(
            &mut self.begun,
            rest,
        )))
    }

    fn print_rest(&mut self) -> Result<(), Failure> {
        print(&String::from_utf8_lossy(&std::mem::take(&mut self.begun)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_is_read_on_after_it_was_rolled_and_packed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report-20261129.out");
        let mut writer = File::create(&path).unwrap();
        writer.write_all(b"one\n").unwrap();
        let mut followed = Followed::open(&path).unwrap();
        assert_eq!(followed.read_on().unwrap(), b"one\n");
        writer.write_all("two 测".as_bytes()).unwrap();
        std::fs::rename(&path, dir.path().join("report-20261129.1.out")).unwrap();
        std::fs::remove_file(dir.path().join("report-20261129.1.out")).unwrap();
        File::create(&path)
            .unwrap()
            .write_all(b"another run's\n")
            .unwrap();
        writer.write_all(b"\n").unwrap();
        assert_eq!(followed.read_on().unwrap(), "two 测\n".as_bytes());
    }

    #[test]
    fn half_a_character_is_printed_when_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.out");
        File::create(&path).unwrap();
        let mut followed = Followed::open(&path).unwrap();
        let [first, rest @ ..] = "测".as_bytes() else {
            unreachable!("it has three bytes");
        };
        followed.print(&[*first]).unwrap();
        assert_eq!(followed.begun, [*first]);
        followed.print(rest).unwrap();
        assert_eq!(followed.begun, [0_u8; 0]);
    }
}
