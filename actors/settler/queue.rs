//! Ends that wait to be written, from any thread.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Ends that may wait; beyond that the consumers wait too. Bounds what runs twice after a crash.
pub(super) const MAX_WAITING: usize = 1000;
/// Flush early at this many, so that a consumer never waits for a full queue.
const ENOUGH: usize = MAX_WAITING / 4;

/// A queue, and the way into it.
pub(super) fn queue<T>(gathering: Duration) -> (Sender<T>, Arc<Queue<T>>) {
    let queue = Arc::new(Queue {
        gathering,
        state: Mutex::new(State {
            waiting: Vec::new(),
            closed: false,
        }),
        filled: Notify::new(),
        enough: Notify::new(),
        room: Notify::new(),
    });
    (Sender(Arc::new(Door(Arc::clone(&queue)))), queue)
}

/// A way to hand over ends, from any thread.
#[derive(Debug)]
pub(crate) struct Sender<T>(Arc<Door<T>>);

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Closes the queue when the last sender is gone.
#[derive(Debug)]
struct Door<T>(Arc<Queue<T>>);

impl<T> Drop for Door<T> {
    fn drop(&mut self) {
        self.0.state.lock().closed = true;
        self.0.filled.notify_one();
    }
}

#[derive(Debug)]
pub(super) struct Queue<T> {
    /// How long the first end of a batch waits for others.
    gathering: Duration,
    state: Mutex<State<T>>,
    /// Wakes when the first end of a batch has come, and when none will come any more.
    filled: Notify,
    /// Wakes when enough have come.
    enough: Notify,
    /// Wakes when there is capacity again.
    room: Notify,
}

#[derive(Debug)]
struct State<T> {
    waiting: Vec<T>,
    closed: bool,
}

impl<T> Queue<T> {
    /// Answers how many wait. Returns the end where there is no room.
    fn push(&self, end: T) -> Result<usize, T> {
        let mut state = self.state.lock();
        if state.waiting.len() >= MAX_WAITING {
            return Err(end);
        }
        state.waiting.push(end);
        let waiting = state.waiting.len();
        drop(state);
        match waiting {
            1 => self.filled.notify_one(),
            ENOUGH => self.enough.notify_one(),
            _ => {}
        }
        Ok(waiting)
    }

    /// All that wait, without a wait for others.
    pub(super) fn take(&self) -> Vec<T> {
        let taken = {
            let mut state = self.state.lock();
            let room = Vec::with_capacity(state.waiting.len());
            std::mem::replace(&mut state.waiting, room)
        };
        self.room.notify_waiters();
        taken
    }

    /// Some of what was taken: the writer is to do it.
    fn put_back(&self, ends: Vec<T>) {
        if !ends.is_empty() {
            self.state.lock().waiting.extend(ends);
            self.filled.notify_one();
        }
    }

    /// The next portion, into an empty list. None when there will be none.
    pub(super) async fn portion(&self, portion: &mut Vec<T>) -> Option<()> {
        loop {
            let closed = {
                let state = self.state.lock();
                match (state.waiting.is_empty(), state.closed) {
                    (true, true) => return None,
                    (true, false) => None,
                    (false, closed) => Some(closed),
                }
            };
            match closed {
                None => self.filled.notified().await,
                // Nobody else will come.
                Some(true) => break,
                Some(false) => {
                    tokio::select! {
                        () = tokio::time::sleep(self.gathering) => {}
                        () = self.enough.notified() => {}
                    }
                    break;
                }
            }
        }
        std::mem::swap(&mut self.state.lock().waiting, portion);
        self.room.notify_waiters();
        Some(())
    }
}

impl<T> Sender<T> {
    /// Makes the waiting ends durable here and now; `write` returns those that it leaves to the writer.
    pub(super) fn settle_now(&self, write: impl FnOnce(Vec<T>) -> Vec<T>) {
        let queue = &self.0.0;
        let ends = queue.take();
        if !ends.is_empty() {
            queue.put_back(write(ends));
        }
    }

    /// Hands over an end; waits while there is no room. Answers how many wait.
    pub(crate) async fn settle(&self, end: T) -> usize {
        let queue = &self.0.0;
        let mut end = match queue.push(end) {
            Ok(waiting) => return waiting,
            Err(end) => end,
        };
        loop {
            // From before the try on: room that is made after it is noticed.
            let mut room = std::pin::pin!(queue.room.notified());
            room.as_mut().enable();
            match queue.push(end) {
                Ok(waiting) => return waiting,
                Err(back) => end = back,
            }
            room.await;
        }
    }
}
