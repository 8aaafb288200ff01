//! Makes ends durable in the background, as many at once as have gathered.
//!
//! While one portion is being written the next gathers: the slower the database, the larger the portions. Nothing the
//! handler does can hold them up, so what has run is durable within one commit, not at the end of a batch.

use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::outage::Outage;

/// Ends that may wait; beyond that those who run wait with them. Bounds what runs twice after a crash.
const MAX_WAITING: usize = 1000;
/// The first of a portion waits so long for others: waking the writer for each would cost more than its handler did.
const GATHERING: Duration = Duration::from_millis(1);
/// So many wait no longer: those who run must not have to.
const ENOUGH: usize = MAX_WAITING / 4;

/// A queue of ends and the task that empties it.
#[derive(Debug)]
pub(crate) struct Settler<T> {
    sender: Sender<T>,
    task: JoinHandle<()>,
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
        self.0.lock().closed = true;
        self.0.filled.notify_one();
    }
}

#[derive(Debug)]
struct Queue<T> {
    state: Mutex<State<T>>,
    /// Rings when the first end of a portion has come, and when none will come any more.
    filled: Notify,
    /// Rings when enough have come.
    enough: Notify,
    /// Rings when there is room again.
    room: Notify,
}

#[derive(Debug)]
struct State<T> {
    waiting: Vec<T>,
    closed: bool,
}

impl<T> Queue<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing that is done under this lock can panic half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the end back where there is no room.
    fn push(&self, end: T) -> Result<(), T> {
        let mut state = self.lock();
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
        Ok(())
    }

    /// The next portion, into an empty list. None when there will be none.
    async fn portion(&self, portion: &mut Vec<T>) -> Option<()> {
        loop {
            let closed = {
                let state = self.lock();
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
                        () = tokio::time::sleep(GATHERING) => {}
                        () = self.enough.notified() => {}
                    }
                    break;
                }
            }
        }
        std::mem::swap(&mut self.lock().waiting, portion);
        self.room.notify_waiters();
        Some(())
    }
}

impl<T> Sender<T> {
    /// Hands over an end; waits while there is no room.
    pub(crate) async fn settle(&self, end: T) {
        let queue = &self.0.0;
        let Err(mut end) = queue.push(end) else {
            return;
        };
        loop {
            // From before the try on: the room that is made after it is heard of.
            let mut room = std::pin::pin!(queue.room.notified());
            room.as_mut().enable();
            match queue.push(end) {
                Ok(()) => return,
                Err(back) => end = back,
            }
            room.await;
        }
    }
}

impl<T: Clone + Send + Sync + 'static> Settler<T> {
    /// `write` makes a portion durable; after an error it is called with the same portion again, so each end in it must
    /// count once. The task lives until everything is written, longer than the settler if need be. It lives on `home`, a
    /// runtime without business code: a handler that blocks its own thread must not hold up what has ended.
    pub(crate) fn start<F, Fut, E>(home: &Handle, what: String, write: F) -> Self
    where
        F: Fn(Vec<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let queue = Arc::new(Queue {
            state: Mutex::new(State {
                waiting: Vec::new(),
                closed: false,
            }),
            filled: Notify::new(),
            enough: Notify::new(),
            room: Notify::new(),
        });
        let task = home.spawn(write_all(write, Arc::clone(&queue), Outage::new(what)));
        let sender = Sender(Arc::new(Door(queue)));
        Self { sender, task }
    }

    /// Hands over an end; waits while there is no room.
    pub(crate) async fn settle(&self, end: T) {
        self.sender.settle(end).await;
    }

    /// A way to hand over ends from another thread.
    pub(crate) fn sender(&self) -> Sender<T> {
        self.sender.clone()
    }

    /// Waits until everything is durable.
    pub(crate) async fn finish(self) {
        drop(self.sender);
        if let Err(cause) = self.task.await {
            log::error!("the settling of jobs ended unexpectedly: {cause}");
        }
    }
}

async fn write_all<T, F, Fut, E>(write: F, queue: Arc<Queue<T>>, mut outage: Outage)
where
    T: Clone,
    F: Fn(Vec<T>) -> Fut,
    Fut: Future<Output = Result<(), E>>,
    E: Display,
{
    let mut portion = Vec::new();
    while queue.portion(&mut portion).await.is_some() {
        while let Err(cause) = write(portion.clone()).await {
            tokio::time::sleep(outage.failed(cause)).await;
        }
        outage.passed();
        portion.clear();
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    type Portions = mpsc::UnboundedReceiver<Vec<u32>>;
    type Answers = mpsc::Sender<Result<(), &'static str>>;

    /// Tells each portion, and takes the answer from outside.
    fn settler() -> (Settler<u32>, Portions, Answers) {
        let (tell, portions) = mpsc::unbounded_channel();
        let (answer, answers) = mpsc::channel(1);
        let answers = Arc::new(tokio::sync::Mutex::new(answers));
        let settler = Settler::start(&Handle::current(), "it".to_owned(), move |ends| {
            let (tell, answers) = (tell.clone(), Arc::clone(&answers));
            async move {
                tell.send(ends).unwrap();
                answers.lock().await.recv().await.unwrap()
            }
        });
        (settler, portions, answer)
    }

    #[tokio::test(start_paused = true)]
    async fn what_gathers_is_written_together_and_again_after_an_error() {
        let (settler, mut portions, answer) = settler();
        settler.settle(1).await;
        settler.settle(2).await;
        assert_eq!(portions.recv().await.unwrap(), [1, 2]);
        settler.sender().settle(3).await;
        answer.send(Err("away")).await.unwrap();
        assert_eq!(portions.recv().await.unwrap(), [1, 2]);
        answer.send(Ok(())).await.unwrap();
        assert_eq!(portions.recv().await.unwrap(), [3]);
        answer.send(Ok(())).await.unwrap();
        settler.finish().await;
        assert!(portions.recv().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_run_wait_while_too_much_waits() {
        let (settler, mut portions, answer) = settler();
        settler.settle(0).await;
        assert_eq!(portions.recv().await.unwrap(), [0]);
        for n in 0..u32::try_from(MAX_WAITING).unwrap() {
            settler.settle(n).await;
        }
        let beyond = tokio::spawn({
            let sender = settler.sender();
            async move { sender.settle(7).await }
        });
        tokio::task::yield_now().await;
        assert!(!beyond.is_finished());
        answer.send(Ok(())).await.unwrap();
        assert_eq!(portions.recv().await.unwrap().len(), MAX_WAITING);
        beyond.await.unwrap();
        answer.send(Ok(())).await.unwrap();
        assert_eq!(portions.recv().await.unwrap(), [7]);
        answer.send(Ok(())).await.unwrap();
        settler.finish().await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_waits_for_all_senders() {
        let (settler, mut portions, answer) = settler();
        let other = settler.sender();
        let ended = tokio::spawn(settler.finish());
        other.settle(1).await;
        drop(other);
        assert_eq!(portions.recv().await.unwrap(), [1]);
        answer.send(Ok(())).await.unwrap();
        ended.await.unwrap();
    }
}
