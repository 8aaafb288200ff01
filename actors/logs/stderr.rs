//! Standard error as the daemon's log uses it: a bounded queue, emptied by a thread of its own.
//!
//! Standard error may be a pipe that nobody reads (a stalled log collector) or a terminal behind Ctrl-S. A write blocks for
//! as long as that lasts, so only the thread `stderr` writes. Whoever logs pays for a copy into memory. A line that does not
//! fit is counted, and the count is written before the next line that does; the log file has every line before.
//!
//! While nothing is read, descriptor 2 of the process leads to `/dev/null`: what others print there (`eprintln!` of a
//! handler, the message of a failed allocation or an overflowed stack) must not keep its thread waiting either, least of
//! all a thread that is about to end the process.

use std::fmt;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::stdio;

use super::file_queue;
use crate::task::restart_thread_on_panic;

/// Bytes that wait at most: some 8,000 lines, so that a burst which a living reader works off in a second loses nothing.
const CAPACITY_BYTES: usize = 1024 * 1024;
/// Bytes of one write: up to `PIPE_BUF` a write to a pipe is atomic, and does not block where `poll` finds room.
const CHUNK_BYTES: usize = 4096;
/// Nothing could be written for so long: nobody reads. A reader that is merely busy reads several times a second.
const STALLED_AFTER: Duration = Duration::from_secs(1);
/// An exit waits so long for lines that are not written yet.
pub(super) const EXIT_PATIENCE: Duration = Duration::from_secs(1);
/// The first descriptor that is none of the standard ones.
const FIRST_OWN_FD: i32 = 3;

static PROCESS: OnceLock<Arc<Stderr>> = OnceLock::new();

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushed {
    Queued,
    /// There is no room, for the first time since there was some.
    Full,
    Dropped,
    /// There is room again. So many lines were dropped before this one.
    Resumed(u64),
}

/// See the module's header.
pub(super) struct Stderr {
    queue: Mutex<Queue>,
    filled: Condvar,
    emptied: Condvar,
    /// Bytes queued and not written. A signal handler reads it.
    pending: AtomicUsize,
    /// Nobody reads.
    stalled: AtomicBool,
}

#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    dropped: u64,
}

/// Where the thread writes to.
struct Target {
    fd: OwnedFd,
    /// Called when nobody reads any more (true), and when somebody does again (false).
    redirect: Box<dyn Fn(bool) + Send>,
}

/// Standard error of this process, whose thread is started on the first call.
///
/// # Errors
///
/// When the system gives no thread or no descriptor.
pub(super) fn start() -> io::Result<Arc<Stderr>> {
    if let Some(started) = PROCESS.get() {
        return Ok(Arc::clone(started));
    }
    let started = Stderr::start(process_target()?)?;
    let kept = PROCESS.get_or_init(|| started);
    // SAFETY: the hook is a plain function that does not unwind.
    if unsafe { libc::atexit(at_exit) } != 0 {
        kept.say(
            "the last lines before an `exit` may be missing here: `atexit` refused the hook\n",
        );
    }
    Ok(Arc::clone(kept))
}

/// A line about the log itself, or the reason for which a process ends. Without a log it is written at once: then a
/// person started a command, and its pipe may block.
pub(crate) fn say(line: &str) {
    match PROCESS.get() {
        Some(stderr) => stderr.say(line),
        // Where standard error is gone as well, nobody is left to be informed.
        None => drop(io::stderr().write_all(line.as_bytes())),
    }
}

/// To be called by the handler of a fatal signal, before the signal ends the process: gives queued lines a moment to be
/// written, and keeps what is printed from now on from blocking. Async-signal-safe: atomics, nanosleep, poll, dup2.
pub(crate) fn before_fatal_signal() {
    /// Milliseconds: long for a reader that lives, short for an abort.
    const PATIENCE_MS: u32 = 100;
    let Some(stderr) = PROCESS.get() else {
        return;
    };
    let is_written =
        || stderr.pending.load(Ordering::Acquire) == 0 || stderr.stalled.load(Ordering::Acquire);
    for _ in 0..PATIENCE_MS {
        if is_written() && file_queue::pending() == 0 {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    if !is_writable(&stdio::stderr(), Duration::ZERO)
        && let Ok(null) = null()
    {
        let _ = stdio::dup2_stderr(&null);
    }
}

extern "C" fn at_exit() {
    file_queue::flush_process(EXIT_PATIENCE);
    if let Some(stderr) = PROCESS.get() {
        stderr.flush(EXIT_PATIENCE);
    }
}

fn process_target() -> io::Result<Target> {
    let fd = fcntl_dupfd_cloexec(stdio::stderr(), FIRST_OWN_FD)?;
    let back = fd.try_clone()?;
    let null = null()?;
    let redirect = move |stalled: bool| {
        // When it fails, descriptor 2 stays where it leads to: the log itself does not use it.
        let _ = if stalled {
            stdio::dup2_stderr(&null)
        } else {
            stdio::dup2_stderr(&back)
        };
    };
    Ok(Target {
        fd,
        redirect: Box::new(redirect),
    })
}

fn null() -> Result<OwnedFd, Errno> {
    use rustix::fs::{Mode, OFlags, open};
    open(
        c"/dev/null",
        OFlags::WRONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

impl Stderr {
    fn start(target: Target) -> io::Result<Arc<Self>> {
        let stderr = Arc::new(Self {
            queue: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            pending: AtomicUsize::new(0),
            stalled: AtomicBool::new(false),
        });
        let writer = Arc::clone(&stderr);
        let thread = thread::Builder::new().name("stderr".to_owned());
        thread.spawn(move || {
            restart_thread_on_panic("the writing of standard error", || {
                writer.write_for_ever(&target);
            });
        })?;
        Ok(stderr)
    }

    /// Queues whole lines. `notice` makes a line of how many were dropped before them. Never blocks.
    pub(super) fn push(&self, lines: &str, notice: impl FnOnce(u64) -> String) -> Pushed {
        let mut queue = self.queue();
        // After a loss half of the room must be free: else a slow reader makes for two lines about each lost one.
        let capacity = match queue.dropped {
            0 => CAPACITY_BYTES,
            _ => CAPACITY_BYTES / 2,
        };
        if self.pending.load(Ordering::Acquire) + lines.len() > capacity {
            queue.dropped += 1;
            return match queue.dropped {
                1 => Pushed::Full,
                _ => Pushed::Dropped,
            };
        }
        let dropped = std::mem::take(&mut queue.dropped);
        if dropped > 0 {
            self.add(&mut queue, &notice(dropped));
        }
        self.add(&mut queue, lines);
        match dropped {
            0 => Pushed::Queued,
            dropped => Pushed::Resumed(dropped),
        }
    }

    fn say(&self, line: &str) {
        self.push(line, |dropped| {
            format!("lines dropped here, as nobody read them: {dropped}\n")
        });
    }

    /// Waits until all lines are written, for so long at most, and not at all while nobody reads.
    pub(super) fn flush(&self, patience: Duration) {
        let unwritten = |_: &mut Queue| {
            self.pending.load(Ordering::Acquire) > 0 && !self.stalled.load(Ordering::Acquire)
        };
        let waited = self
            .emptied
            .wait_timeout_while(self.queue(), patience, unwritten);
        drop(waited);
    }

    fn add(&self, queue: &mut Queue, lines: &str) {
        queue.bytes.extend_from_slice(lines.as_bytes());
        self.pending.fetch_add(lines.len(), Ordering::AcqRel);
        self.filled.notify_one();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing that is done under this lock can panic half way.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread. It ends with the process.
    fn write_for_ever(&self, target: &Target) {
        loop {
            let waited = self
                .filled
                .wait_while(self.queue(), |queue| queue.bytes.is_empty());
            let bytes = {
                let mut queue = waited.unwrap_or_else(PoisonError::into_inner);
                std::mem::take(&mut queue.bytes)
            };
            for chunk in chunks(&bytes) {
                self.write(target, chunk);
                self.pending.fetch_sub(chunk.len(), Ordering::AcqRel);
            }
            // Under the lock: whoever flushes looks at the count under it, and must not miss this.
            let _queue = self.queue();
            self.emptied.notify_all();
        }
    }

    fn write(&self, target: &Target, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.wait_until_writable(target);
            match rustix::io::write(&target.fd, bytes) {
                Ok(count) => bytes = &bytes[count..],
                // Again: somebody made it non-blocking, and another process was faster.
                Err(Errno::INTR | Errno::AGAIN) => {}
                // Closed, or its disk is full: no reason to stop, and the log file has the lines.
                Err(_) => return,
            }
        }
    }

    fn wait_until_writable(&self, target: &Target) {
        if is_writable(&target.fd, STALLED_AFTER) {
            return;
        }
        (target.redirect)(true);
        self.stalled.store(true, Ordering::Release);
        {
            let _queue = self.queue();
            self.emptied.notify_all();
        }
        while !is_writable(&target.fd, STALLED_AFTER) {}
        (target.redirect)(false);
        self.stalled.store(false, Ordering::Release);
    }
}

impl fmt::Debug for Stderr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stderr")
            .field("pending", &self.pending)
            .field("stalled", &self.stalled)
            .finish_non_exhaustive()
    }
}

/// Whether a write would not block, now or within `patience`. An error of the other side is for the write to find.
fn is_writable(fd: &impl std::os::fd::AsFd, patience: Duration) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::OUT)];
    let timeout = Timespec {
        tv_sec: i64::try_from(patience.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: patience.subsec_nanos().into(),
    };
    !matches!(poll(&mut fds, Some(&timeout)), Ok(0) | Err(Errno::INTR))
}

/// Whole lines as far as they fit into one write.
fn chunks(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let most = &bytes[..bytes.len().min(CHUNK_BYTES)];
        let end = match most.len() == bytes.len() {
            true => most.len(),
            false => most
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(most.len(), |at| at + 1),
        };
        let chunk;
        (chunk, bytes) = bytes.split_at(end);
        (!chunk.is_empty()).then_some(chunk)
    })
}

#[cfg(test)]
#[path = "stderr_tests.rs"]
pub(crate) mod tests;
