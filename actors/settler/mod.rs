//! Makes ends durable in the background, as many at once as have gathered.
//!
//! While one portion is being written the next gathers: the slower the database, the larger the portions. Nothing the
//! handler does can hold them up, so what has run is durable within one commit, not at the end of a batch (milliseconds
//! after they begin to gather). Nor can an end whose row another transaction has locked, or that is refused, as by a
//! trigger or for want of a right: it is tried again for as long as the queue lives, and the others go on.

mod later;
mod portion;
mod queue;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use self::later::Later;
use self::portion::write_portion;
pub(crate) use self::queue::Sender;
use self::queue::{Queue, queue};
use crate::outage::Outage;

/// How long the first end of a portion waits for others: waking the writer for each would cost more than its handler did.
pub(crate) const GATHERING: Duration = Duration::from_millis(1);

/// What is wrong with a portion.
pub(crate) trait Refusal: Display {
    /// An end in it is the reason: the others would be taken without it.
    fn is_refusal(&self) -> bool;
}

/// A queue of ends and the task that empties it.
#[derive(Debug)]
pub(crate) struct Settler<T> {
    sender: Sender<T>,
    task: JoinHandle<()>,
}

impl<T: Clone + Send + Sync + 'static> Settler<T> {
    /// `write` makes a portion durable, and answers those ends whose rows another transaction has locked. After an
    /// error it is called with the same portion again, so each end in it must count once. The task lives until
    /// everything is written, longer than the settler if need be. It lives on `home`, a runtime without business code:
    /// a handler that blocks its own thread must not hold up what has ended.
    ///
    /// The first of a portion waits for others for as long as `gathering`.
    pub(crate) fn start<F, Fut, E>(
        home: &Handle,
        what: String,
        gathering: Duration,
        write: F,
    ) -> Self
    where
        F: Fn(Vec<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<T>, E>> + Send + 'static,
        E: Refusal + Send + 'static,
    {
        let (sender, queue) = queue(gathering);
        let task = home.spawn(write_all(what, write, queue));
        Self { sender, task }
    }

    /// Hands over an end; waits while there is no room. Answers how many wait.
    pub(crate) async fn settle(&self, end: T) -> usize {
        self.sender.settle(end).await
    }

    /// Makes the waiting ends durable here and now; `write` returns those that it leaves to the writer.
    pub(crate) fn settle_now(&self, write: impl FnOnce(Vec<T>) -> Vec<T>) {
        self.sender.settle_now(write);
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

async fn write_all<T, F, Fut, E>(what: String, write: F, queue: Arc<Queue<T>>)
where
    T: Clone,
    F: Fn(Vec<T>) -> Fut,
    Fut: Future<Output = Result<Vec<T>, E>>,
    E: Refusal,
{
    let mut outage = Outage::new(what.as_str());
    let mut later = Later::new(&what);
    while let Some(mut portion) = later.next(&queue).await {
        loop {
            let tried = write_portion(&write, portion).await;
            later.add(tried.apart, tried.only_refused);
            let Some(cause) = tried.away else {
                break;
            };
            portion = tried.left;
            tokio::time::sleep(outage.failed(cause)).await;
        }
        outage.passed();
        later.end_if_empty();
    }
}
