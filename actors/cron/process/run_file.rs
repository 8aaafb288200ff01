//! The file of one run, `data/runs/{uk}.json`: what is known of it, beside the database.
//!
//! JSON lines. The daemon writes the first before it starts the process ([`announce`]), the
//! process the rest ([`RunFile`]), while it holds the file locked. So a daemon that did not start
//! the run, or a database that was away when it ended, can still learn how it went. Reading and
//! judging is in `run_state`.
//!
//! **Never unlocked between the two.** The daemon locks the file before it writes into it, and hands the open file over
//! to the process, which has the lock from its first moment on. So a free lock shows that no daemon starts this run,
//! and the daemon that gets it may: a daemon that was killed half way leaves nothing to wait for, and one that was
//! merely silent for long finds the lock taken. Only through a program of the user's own (`cron_command`) nothing is
//! handed, as it may close what it does not know.

use std::env;
use std::fs::{self, File};
use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::lock;
use super::machine::{self, Place};
use super::run_state::read_lines;
use super::uk::Uk;
use crate::private;

/// What a run's file is called after its key.
const EXTENSION: &str = "json";
/// The number of the descriptor that a process was handed, in its environment.
pub(super) const HANDED_VARIABLE: &str = "SCRIPT_RUN_FD";

/// The daemon's part: which fire this is. Written before the process starts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub(crate) struct Announcement {
    /// The run's key.
    pub(crate) uk: Uk,
    /// The entry's identity, as CronActor writes it.
    pub(crate) entry: String,
    /// The entry's name, for people and for the handler.
    pub(crate) name: String,
    /// The boot of the daemon that fires it.
    pub(crate) boot: String,
    /// Where that daemon, and so the run, lives.
    #[serde(flatten)]
    pub(crate) place: Place,
    /// The second it was due, in milliseconds since 1970.
    pub(crate) scheduled_ms: i64,
    /// When it was announced, in milliseconds since 1970.
    pub(crate) fired_ms: i64,
    /// How long it may take, in milliseconds.
    #[serde(default)]
    pub(crate) timeout_ms: Option<u64>,
    /// Whether the process is handed the locked file.
    #[serde(default)]
    pub(crate) handed: bool,
}

/// The run's own first line: which process it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub(crate) struct RunHead {
    /// The run's key.
    pub(crate) uk: Uk,
    /// Its process, which also leads its process group and session.
    pub(crate) pid: i32,
    /// When that process started (see [`machine::start_ticks`]): a later one with its pid started at another time.
    pub(crate) start_ticks: Option<u64>,
    /// Where the pid means this process.
    #[serde(flatten)]
    pub(crate) place: Place,
    /// When it began, in milliseconds since 1970.
    pub(crate) started_ms: i64,
}

impl RunHead {
    /// The head of a run that is this very process.
    pub(crate) fn of_this_process(uk: Uk, started_ms: i64) -> Self {
        let pid = std::process::id().cast_signed();
        Self {
            uk,
            pid,
            start_ticks: machine::start_ticks(pid),
            place: Place::here().clone(),
            started_ms,
        }
    }
}

/// The run's last line: how it went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunResult {
    /// The `status` of `crontab_log.result`, as the Go project writes it: 0 or 1.
    pub(crate) status: u8,
    /// Its `data`.
    pub(crate) data: serde_json::Value,
    /// When it ended, in milliseconds since 1970.
    pub(crate) ended_ms: i64,
}

/// One line of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(super) enum Line {
    Fired(Announcement),
    Started(RunHead),
    Ended(RunResult),
}

/// The child's side: holds its run's file locked until it is dropped.
#[derive(Debug)]
pub(crate) struct RunFile {
    file: File,
    path: PathBuf,
    announcement: Option<Announcement>,
}

impl RunFile {
    /// Locks the run's file and writes that the run has begun.
    ///
    /// The file is made where no daemon announced the run (`exec --uk` by hand).
    ///
    /// # Errors
    ///
    /// Names the file. [`io::ErrorKind::WouldBlock`]: a process of this run still lives.
    pub(crate) fn begin(dir: &Path, head: &RunHead) -> io::Result<Self> {
        let path = path_of(dir, &head.uk);
        let begun = private::create_dir_all(dir).and_then(|()| match handed(&path) {
            Some(file) => Ok(file),
            None => open_locked(&path),
        });
        let begun = begun.and_then(|file| Self::of(file, &path));
        let mut run = begun.map_err(|error| about(&path, "lock", &error))?;
        run.append(&Line::Started(head.clone()))?;
        Ok(run)
    }

    /// What the daemon announced: the second it was due, the entry's name.
    pub(crate) fn announcement(&self) -> Option<&Announcement> {
        self.announcement.as_ref()
    }

    /// Writes how the run ended, to the disk; the lock is kept until the value is dropped.
    ///
    /// # Errors
    ///
    /// Names the file.
    pub(crate) fn finish(&mut self, result: &RunResult) -> io::Result<()> {
        self.append(&Line::Ended(result.clone()))?;
        let synced = self.file.sync_all();
        synced.map_err(|error| about(&self.path, "write", &error))
    }

    fn of(file: File, path: &Path) -> io::Result<Self> {
        let announcement = read_lines(&file)?.announcement;
        let path = path.to_owned();
        Ok(Self {
            file,
            path,
            announcement,
        })
    }

    fn append(&mut self, line: &Line) -> io::Result<()> {
        append(&self.file, line).map_err(|error| about(&self.path, "write", &error))
    }
}

impl Drop for RunFile {
    fn drop(&mut self) {
        // Where this fails the lock ends with the descriptor, or at the latest with the process.
        let _ = lock::unlock(&self.file);
    }
}

/// The daemon's side, before the process starts: holds the run's file locked until the process has it.
#[derive(Debug)]
pub(crate) struct Announced {
    file: Arc<File>,
    path: PathBuf,
}

impl Announced {
    /// For the process. It then shares the lock, which is not given up when this is dropped.
    pub(crate) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// No process was started: the file is removed, and any daemon may start the run.
    pub(crate) fn give_up(self) {
        // Under the lock: a daemon that waits for the lock finds another file, or none. Where these fail, the file
        // shows that the run never began, and the lock ends with the descriptor.
        let _ = fs::remove_file(&self.path);
        let _ = lock::unlock(&self.file);
    }
}

/// Locks the run's file, makes it where it is not there, and writes that a process is about to be started. The file of
/// a daemon that was killed at this point is taken over.
///
/// `None`: another daemon is about to start the run, or it has begun.
///
/// # Errors
///
/// Names the file.
pub(crate) fn announce(dir: &Path, announcement: &Announcement) -> io::Result<Option<Announced>> {
    let path = path_of(dir, &announcement.uk);
    let made = private::create_dir_all(dir).and_then(|()| {
        let file = match open_locked(&path) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            opened => opened?,
        };
        if read_lines(&file)?.head.is_some() {
            return Ok(None);
        }
        let written = append(&file, &Line::Fired(announcement.clone()));
        // A full disk: half a line is of no use.
        written.inspect_err(|_| drop(fs::remove_file(&path)))?;
        let (file, path) = (Arc::new(file), path.clone());
        Ok(Some(Announced { file, path }))
    });
    made.map_err(|error| about(&path, "write", &error))
}

fn open_locked(path: &Path) -> io::Result<File> {
    loop {
        let mut options = private::options();
        let file = options.read(true).append(true).create(true).open(path)?;
        if !lock::try_lock(&file)? {
            let message = "a process of this run still lives; wait for it or end it";
            return Err(io::Error::new(io::ErrorKind::WouldBlock, message));
        }
        // Between open and lock a daemon may have removed it: then this is a file nobody will
        // ever find. Each turn takes another removal, so this ends.
        if is_at(&file, path)? {
            return Ok(file);
        }
    }
}

/// The open file that the daemon handed to this process, where it is the run's.
fn handed(path: &Path) -> Option<File> {
    let number = env::var(HANDED_VARIABLE).ok()?.parse().ok()?;
    // SAFETY: only queried; where nothing is open under that number, the query fails.
    let seen = ManuallyDrop::new(unsafe { File::from_raw_fd(number) });
    // The variable may have come from a run that started this one.
    if !is_at(&seen, path).unwrap_or(false) {
        return None;
    }
    // What the handler starts must not hold the lock after it.
    rustix::io::fcntl_setfd(&*seen, rustix::io::FdFlags::CLOEXEC).ok()?;
    Some(ManuallyDrop::into_inner(seen))
}

/// The files of all runs; none where the directory is not there yet. Other files are left out.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if uk_of(&path).is_some() {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// Removes the run's file; that it is gone already is no error.
pub(crate) fn remove(dir: &Path, uk: &Uk) -> io::Result<()> {
    match fs::remove_file(path_of(dir, uk)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

pub(super) fn path_of(dir: &Path, uk: &Uk) -> PathBuf {
    dir.join(format!("{uk}.{EXTENSION}"))
}

fn uk_of(path: &Path) -> Option<Uk> {
    let right = path
        .extension()
        .is_some_and(|extension| extension == EXTENSION);
    let stem = path.file_stem().filter(|_| right)?;
    stem.to_str()?.parse().ok()
}

/// One write of a whole line, after a line break where a torn line stands before it.
fn append(mut file: &File, line: &Line) -> io::Result<()> {
    let mut text = Vec::new();
    let len = file.metadata()?.len();
    if len > 0 {
        let mut last = [0];
        file.read_exact_at(&mut last, len - 1)?;
        if last != *b"\n" {
            text.push(b'\n');
        }
    }
    serde_json::to_writer(&mut text, line)?;
    text.push(b'\n');
    file.write_all(&text)
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let held = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (held.dev(), held.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn about(path: &Path, action: &str, error: &io::Error) -> io::Error {
    let message = format!("cannot {action} run file `{}`: {error}", path.display());
    io::Error::new(error.kind(), message)
}

#[cfg(test)]
mod tests;
