//! The daemon's log file, behind a [`Queue`].
//!
//! A caller that finds the queue full waits for room, 200 ms at most for one line: a disk that works lines off loses none. Once
//! the disk stands still (a snapshot is taken, a network disk hangs) nobody waits. Lines that do not fit are counted.
//!
//! A line is with the system some microseconds after it was logged. An exit and a fatal signal wait for that; SIGKILL takes
//! the lines of its last moment along.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::{DateTime, Local};

use super::line;
use super::queue::{Queue, WhenFull};
use super::rolling::RollingFile;

/// The longest wait for one line. Where nothing was written in the meantime the disk stands still.
const STALLED_AFTER: Duration = Duration::from_millis(200);
/// Lines are written one by one, each into the file of its day.
const ONE_LINE: usize = 0;

static PROCESS: OnceLock<FileQueue> = OnceLock::new();

/// See the module's header.
#[derive(Clone, Debug)]
pub(super) struct FileQueue(Arc<Queue<DateTime<Local>>>);

/// How many bytes wait to be written to the daemon's log, unless its disk stands still. Async-signal-safe.
pub(super) fn pending() -> usize {
    match PROCESS.get() {
        Some(FileQueue(queue)) if !queue.is_stalled() => queue.pending(),
        _ => 0,
    }
}

/// Waits for the last lines of the daemon's log, for `patience` at most.
pub(super) fn flush_process(patience: Duration) {
    if let Some(file) = PROCESS.get() {
        file.flush(patience);
    }
}

impl FileQueue {
    /// For the log of this process, whose last lines an exit waits for.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub(super) fn of_process(file: Arc<RollingFile>) -> io::Result<Self> {
        let started = Self::start(file)?;
        let _ = PROCESS.set(started.clone());
        Ok(started)
    }

    fn start(file: Arc<RollingFile>) -> io::Result<Self> {
        let when_full = WhenFull::Wait(STALLED_AFTER);
        let what = "the writing of the log";
        let started = Queue::start("log", what, when_full, ONE_LINE, move |_, lines| {
            for (now, line) in lines {
                file.write(now, &line);
            }
        });
        started.map(Self)
    }

    /// Queues a whole line.
    pub(super) fn write(&self, now: DateTime<Local>, line: &str) {
        self.0.push((now, line.to_owned()), |dropped| {
            let text = format!("lines dropped here, as the disk of the log stood still: {dropped}");
            (now, line::warning(now, &text))
        });
    }

    /// Waits until all lines are written, for `patience` at most, and not at all while the disk stands still.
    pub(super) fn flush(&self, patience: Duration) {
        self.0.flush(patience);
    }
}

#[cfg(test)]
mod tests;
