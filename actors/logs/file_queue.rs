//! The daemon's log file behind a bounded queue, emptied by a thread of its own.
//!
//! The disk of the log may stand still (a snapshot is taken, a network disk hangs) and a write to it with that, for as long
//! as it takes. Only the thread `log` writes; whoever logs pays for a copy into memory. While it writes lines at all,
//! whoever finds the queue full waits for it: the file has every line. Once nothing is written any more nobody waits; lines
//! that do not fit are counted, and the count is the first thing that is written when it goes on.
//!
//! A line is with the system some microseconds after it was logged. An exit and a fatal signal wait for that; SIGKILL takes
//! the lines of its last moment along.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use std::{fmt, io, thread};

use chrono::{DateTime, Local};

use super::line;
use super::rolling::RollingFile;
use crate::task::restart_thread_on_panic;

/// Bytes that wait at most: some 8,000 lines.
const CAPACITY_BYTES: usize = 1024 * 1024;
/// Nothing was written for so long: the disk stands still. Whoever logs waits no longer than this, once.
const STALLED_AFTER: Duration = Duration::from_millis(200);

static PROCESS: OnceLock<Arc<FileQueue>> = OnceLock::new();

/// See the module's header.
pub(super) struct FileQueue {
    file: Arc<RollingFile>,
    queue: Mutex<Queue>,
    filled: Condvar,
    written: Condvar,
    /// Lines queued and not written. A signal handler reads it.
    pending: AtomicUsize,
    /// The disk stands still.
    stalled: AtomicBool,
}

#[derive(Default)]
struct Queue {
    lines: VecDeque<(DateTime<Local>, String)>,
    bytes: usize,
    dropped: u64,
    /// How many have ever been written: whether it goes on.
    written: u64,
}

/// How many lines wait to be written to the daemon's log, unless its disk stands still. Async-signal-safe.
pub(super) fn pending() -> usize {
    match PROCESS.get() {
        Some(file) if !file.stalled.load(Ordering::Acquire) => file.pending.load(Ordering::Acquire),
        _ => 0,
    }
}

/// Waits for the last lines of the daemon's log, for so long at most.
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
    pub(super) fn of_process(file: Arc<RollingFile>) -> io::Result<Arc<Self>> {
        let started = Self::start(file)?;
        let _ = PROCESS.set(Arc::clone(&started));
        Ok(started)
    }

    fn start(file: Arc<RollingFile>) -> io::Result<Arc<Self>> {
        let queue = Arc::new(Self {
            file,
            queue: Mutex::default(),
            filled: Condvar::new(),
            written: Condvar::new(),
            pending: AtomicUsize::new(0),
            stalled: AtomicBool::new(false),
        });
        let writer = Arc::clone(&queue);
        let thread = thread::Builder::new().name("log".to_owned());
        thread.spawn(move || {
            restart_thread_on_panic("the writing of the log", || writer.write_for_ever());
        })?;
        Ok(queue)
    }

    /// Queues a whole line.
    pub(super) fn write(&self, now: DateTime<Local>, line: &str) {
        let mut queue = self.wait_for_room(line.len());
        if queue.bytes + line.len() > CAPACITY_BYTES && !queue.lines.is_empty() {
            queue.dropped += 1;
            return;
        }
        let dropped = std::mem::take(&mut queue.dropped);
        if dropped > 0 {
            let told = line::warning(
                now,
                &format!("lines dropped here, as the disk of the log stood still: {dropped}"),
            );
            self.add(&mut queue, now, told);
        }
        self.add(&mut queue, now, line.to_owned());
    }

    /// For as long as lines are written, or not at all.
    fn wait_for_room(&self, bytes: usize) -> MutexGuard<'_, Queue> {
        let mut queue = self.queue();
        while queue.bytes + bytes > CAPACITY_BYTES && !self.stalled.load(Ordering::Acquire) {
            let before = queue.written;
            let waited = self.written.wait_timeout(queue, STALLED_AFTER);
            let (now, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            queue = now;
            if timeout.timed_out() && queue.written == before {
                self.stalled.store(true, Ordering::Release);
            }
        }
        queue
    }

    /// Waits until all lines are written, for so long at most, and not at all while the disk stands still.
    pub(super) fn flush(&self, patience: Duration) {
        let unwritten = |_: &mut Queue| {
            self.pending.load(Ordering::Acquire) > 0 && !self.stalled.load(Ordering::Acquire)
        };
        let waited = self
            .written
            .wait_timeout_while(self.queue(), patience, unwritten);
        drop(waited);
    }

    fn add(&self, queue: &mut Queue, now: DateTime<Local>, line: String) {
        queue.bytes += line.len();
        queue.lines.push_back((now, line));
        self.pending.fetch_add(1, Ordering::AcqRel);
        self.filled.notify_one();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing that is done under this lock can panic half way.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread. It ends with the process.
    fn write_for_ever(&self) {
        loop {
            let waited = self
                .filled
                .wait_while(self.queue(), |queue| queue.lines.is_empty());
            let next = {
                let mut queue = waited.unwrap_or_else(PoisonError::into_inner);
                let next = queue.lines.pop_front();
                queue.bytes -= next.as_ref().map_or(0, |(_, line)| line.len());
                next
            };
            let Some((now, line)) = next else {
                continue;
            };
            self.file.write(now, &line);
            self.stalled.store(false, Ordering::Release);
            self.pending.fetch_sub(1, Ordering::AcqRel);
            // Under the lock: whoever waits looks at the counts under it, and must not miss this.
            self.queue().written += 1;
            self.written.notify_all();
        }
    }
}

impl fmt::Debug for FileQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileQueue")
            .field("pending", &self.pending)
            .field("stalled", &self.stalled)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "file_queue_tests.rs"]
mod tests;
