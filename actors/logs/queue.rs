//! Lines on their way to a place that may stand still: a bounded queue, emptied by a thread of its own.
//!
//! A write to a disk of which a snapshot is taken, or to a pipe that nobody reads, blocks for as long as that lasts.
//! Only the queue's thread writes; the caller pays for a copy into memory. A line that does not fit is counted, and the
//! count is written before the next line that does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{fmt, io, thread};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::task::restart_thread_on_panic;

/// Bytes that wait at most: some 8,000 lines, so that a burst which a living reader or disk works off in a second loses
/// nothing.
pub(super) const CAPACITY_BYTES: usize = 1024 * 1024;

/// What a full queue does to the caller that logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhenFull {
    /// The line is dropped.
    Drop,
    /// The caller waits for room, this long at most for one line. Where nothing was written in the meantime the place stands
    /// still, and nobody waits until it goes on.
    Wait(Duration),
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushed {
    Queued,
    /// There is no room, for the first time since there was some.
    Full,
    Dropped,
    /// There is room again. This many lines were dropped before this one.
    Resumed(u64),
}

/// A line, and what its writer must know of it.
pub(super) type Line<T> = (T, String);

/// See the module's header.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    written: Condvar,
    /// Bytes queued and not written. A signal handler reads it.
    pending: AtomicUsize,
    /// Nothing is written at present. A signal handler reads it.
    stalled: AtomicBool,
    when_full: WhenFull,
}

struct State<T> {
    lines: VecDeque<Line<T>>,
    dropped: u64,
    /// How many writes there have ever been: whether it goes on.
    writes: u64,
}

impl<T: Send + 'static> Queue<T> {
    /// Starts the thread. `write` gets as many lines as fit into `most` bytes, one at least, and returns when they are
    /// written.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub(super) fn start(
        thread: &str,
        what: &'static str,
        when_full: WhenFull,
        most: usize,
        write: impl Fn(&Self, Vec<Line<T>>) + Send + 'static,
    ) -> io::Result<Arc<Self>> {
        let queue = Arc::new(Self {
            state: Mutex::new(State {
                lines: VecDeque::new(),
                dropped: 0,
                writes: 0,
            }),
            filled: Condvar::new(),
            written: Condvar::new(),
            pending: AtomicUsize::new(0),
            stalled: AtomicBool::new(false),
            when_full,
        });
        let writer = Arc::clone(&queue);
        let thread = thread::Builder::new().name(thread.to_owned());
        thread.spawn(move || {
            restart_thread_on_panic(what, || {
                loop {
                    let lines = writer.next(most);
                    let _written = Written {
                        queue: &writer,
                        bytes: bytes(&lines),
                    };
                    write(&writer, lines);
                }
            });
        })?;
        Ok(queue)
    }

    /// Queues a whole line. `notice` makes a line of how many were dropped before it.
    pub(super) fn push(&self, line: Line<T>, notice: impl FnOnce(u64) -> Line<T>) -> Pushed {
        let mut state = self.wait_for_room(line.1.len());
        if !self.has_room(&state, line.1.len()) {
            state.dropped += 1;
            return match state.dropped {
                1 => Pushed::Full,
                _ => Pushed::Dropped,
            };
        }
        let dropped = std::mem::take(&mut state.dropped);
        if dropped > 0 {
            self.add(&mut state, notice(dropped));
        }
        self.add(&mut state, line);
        match dropped {
            0 => Pushed::Queued,
            dropped => Pushed::Resumed(dropped),
        }
    }

    fn has_room(&self, state: &State<T>, bytes: usize) -> bool {
        // After a loss half of the room must be free: else a slow reader makes for two lines about each lost one. A caller that
        // waits paces itself, and must not wait for half a room of a slow disk.
        let capacity = match (self.when_full, state.dropped) {
            (WhenFull::Drop, 1..) => CAPACITY_BYTES / 2,
            (WhenFull::Drop, 0) | (WhenFull::Wait(_), _) => CAPACITY_BYTES,
        };
        let pending = self.pending();
        pending == 0 || pending + bytes <= capacity
    }

    fn wait_for_room(&self, bytes: usize) -> MutexGuard<'_, State<T>> {
        let mut state = self.state.lock();
        let WhenFull::Wait(patience) = self.when_full else {
            return state;
        };
        let begun = Instant::now();
        let before = state.writes;
        while !self.has_room(&state, bytes) && !self.is_stalled() {
            let left = patience.saturating_sub(begun.elapsed());
            if left.is_zero() {
                if state.writes == before {
                    self.stalled.store(true, Ordering::Release);
                }
                break;
            }
            self.written.wait_for(&mut state, left);
        }
        state
    }

    /// Waits until all lines are written, for `patience` at most, and not at all while the place stands still.
    pub(super) fn flush(&self, patience: Duration) {
        let unwritten = |_: &mut State<T>| self.pending() > 0 && !self.is_stalled();
        let mut state = self.state.lock();
        self.written.wait_while_for(&mut state, unwritten, patience);
    }

    /// Bytes that are not written yet. Async-signal-safe.
    pub(super) fn pending(&self) -> usize {
        self.pending.load(Ordering::Acquire)
    }

    /// Whether nothing is written at present. Async-signal-safe.
    pub(super) fn is_stalled(&self) -> bool {
        self.stalled.load(Ordering::Acquire)
    }

    /// For the writer, where it knows: the place stands still, and nobody who flushes need wait for it.
    pub(super) fn stall(&self) {
        self.stalled.store(true, Ordering::Release);
        // Under the lock: a flush reads the flag under it, and must not miss this.
        let _state = self.state.lock();
        self.written.notify_all();
    }

    /// For the writer: it goes on.
    pub(super) fn resume(&self) {
        self.stalled.store(false, Ordering::Release);
    }

    /// How many lines were dropped since the last one that fitted.
    #[cfg(test)]
    pub(super) fn dropped(&self) -> u64 {
        self.state.lock().dropped
    }

    fn add(&self, state: &mut State<T>, line: Line<T>) {
        self.pending.fetch_add(line.1.len(), Ordering::AcqRel);
        state.lines.push_back(line);
        self.filled.notify_one();
    }

    /// Waits for lines.
    fn next(&self, most: usize) -> Vec<Line<T>> {
        let mut state = self.state.lock();
        self.filled
            .wait_while(&mut state, |state| state.lines.is_empty());
        let mut bytes = 0;
        let fits = |(_, line): &&Line<T>| {
            bytes += line.len();
            bytes <= most
        };
        let count = state.lines.iter().take_while(fits).count().max(1);
        state.lines.drain(..count).collect()
    }
}

/// Lines that are with their writer: done with when this is dropped, by a panic too.
struct Written<'q, T: Send + 'static> {
    queue: &'q Queue<T>,
    bytes: usize,
}

impl<T: Send + 'static> Drop for Written<'_, T> {
    fn drop(&mut self) {
        let queue = self.queue;
        // Under the lock: a waiting caller reads the counts under it, must not miss this, and must not call the place
        // stalled after a write that just ended.
        let mut state = queue.state.lock();
        queue.resume();
        queue.pending.fetch_sub(self.bytes, Ordering::AcqRel);
        state.writes += 1;
        drop(state);
        queue.written.notify_all();
    }
}

fn bytes<T>(lines: &[Line<T>]) -> usize {
    lines.iter().map(|(_, line)| line.len()).sum()
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("pending", &self.pending)
            .field("stalled", &self.stalled)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
