//! Standard error as the daemon's log uses it, behind a [`Queue`].
//!
//! It may be a pipe that nobody reads (a stalled log collector) or a terminal behind Ctrl-S: nobody ever waits for room, and
//! the log file has every line before.
//!
//! While nothing is read, descriptor 2 of the process leads to `/dev/null`: what others print there (`eprintln!` of a
//! handler, the message of a failed allocation or an overflowed stack) must not keep its thread waiting either, least of
//! all a thread that is about to end the process.

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::stdio;

use super::file_queue;
use super::queue::{Pushed, Queue, WhenFull};

/// Bytes of one write: up to `PIPE_BUF` a write to a pipe is atomic, and does not block where `poll` finds room.
const CHUNK_BYTES: usize = 4096;
/// Nothing could be written for this long: nobody reads. A reader that is merely busy reads several times a second.
const STALLED_AFTER: Duration = Duration::from_secs(1);
/// The longest that an exit waits for lines that are not written yet.
pub(super) const EXIT_PATIENCE: Duration = Duration::from_secs(1);
/// The first descriptor that is none of the standard ones.
const FIRST_OWN_FD: i32 = 3;

static PROCESS: OnceLock<Stderr> = OnceLock::new();

/// See the module's header.
#[derive(Clone, Debug)]
pub(super) struct Stderr(Arc<Queue<()>>);

/// Where the thread writes to.
struct Target {
    fd: OwnedFd,
    /// Called when the reader is gone or stands still (true), and when it reads again (false).
    redirect: Box<dyn Fn(bool) + Send>,
}

/// Standard error of this process, whose thread is started on the first call.
///
/// # Errors
///
/// When the system gives no thread or no descriptor.
pub(super) fn start() -> io::Result<Stderr> {
    if let Some(started) = PROCESS.get() {
        return Ok(started.clone());
    }
    let started = Stderr::start(process_target()?)?;
    let kept = PROCESS.get_or_init(|| started);
    // SAFETY: the hook is a plain function that does not unwind.
    if unsafe { libc::atexit(at_exit) } != 0 {
        kept.say(
            "the last lines before an `exit` may be missing here: `atexit` refused the hook\n",
        );
    }
    Ok(kept.clone())
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
    let is_written = || stderr.0.pending() == 0 || stderr.0.is_stalled();
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
    fn start(target: Target) -> io::Result<Self> {
        let what = "the writing of standard error";
        let write = move |queue: &Queue<()>, lines: Vec<((), String)>| {
            let lines: String = lines.into_iter().map(|(_, line)| line).collect();
            // Longer than one write only where a single line is.
            for chunk in lines.as_bytes().chunks(CHUNK_BYTES) {
                write_whole(queue, &target, chunk);
            }
        };
        Queue::start("stderr", what, WhenFull::Drop, CHUNK_BYTES, write).map(Self)
    }

    /// Queues whole lines. `notice` makes a line of how many were dropped before them. Never blocks.
    pub(super) fn push(&self, lines: &str, notice: impl FnOnce(u64) -> String) -> Pushed {
        self.0
            .push(((), lines.to_owned()), |dropped| ((), notice(dropped)))
    }

    fn say(&self, line: &str) {
        self.push(line, |dropped| {
            format!("lines dropped here, as nobody read them: {dropped}\n")
        });
    }

    /// Waits until all lines are written, for `patience` at most, and not at all while nobody reads.
    pub(super) fn flush(&self, patience: Duration) {
        self.0.flush(patience);
    }
}

fn write_whole(queue: &Queue<()>, target: &Target, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        wait_until_writable(queue, target);
        match rustix::io::write(&target.fd, bytes) {
            Ok(count) => bytes = &bytes[count..],
            // Again: another process made it non-blocking, and one was faster.
            Err(Errno::INTR | Errno::AGAIN) => {}
            // Closed, or its disk is full: no reason to stop, and the log file has the lines.
            Err(_) => return,
        }
    }
}

fn wait_until_writable(queue: &Queue<()>, target: &Target) {
    if is_writable(&target.fd, STALLED_AFTER) {
        return;
    }
    (target.redirect)(true);
    queue.stall();
    while !is_writable(&target.fd, STALLED_AFTER) {}
    (target.redirect)(false);
    queue.resume();
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

#[cfg(test)]
pub(crate) mod tests;
