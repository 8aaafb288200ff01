//! Makes ends durable in the background, as many at once as have gathered.
//!
//! While one portion is being written the next gathers: the slower the database, the larger the portions. Nothing the
//! handler does can hold them up, so what has run is durable within one commit, not at the end of a batch.

use std::fmt::Display;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::outage::Outage;

/// Ends that may wait; beyond that those who run wait with them. Bounds what runs twice after a crash.
const MAX_WAITING: usize = 500;

/// A queue of ends and the task that empties it.
#[derive(Debug)]
pub(crate) struct Settler<T> {
    sender: mpsc::Sender<T>,
    task: JoinHandle<()>,
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
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        let task = home.spawn(write_all(write, receiver, Outage::new(what)));
        Self { sender, task }
    }

    /// Hands over an end.
    pub(crate) async fn settle(&self, end: T) {
        // The receiver outlives every sender.
        let _ = self.sender.send(end).await;
    }

    /// A way to hand over ends from another thread.
    pub(crate) fn sender(&self) -> mpsc::Sender<T> {
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

async fn write_all<T, F, Fut, E>(write: F, mut receiver: mpsc::Receiver<T>, mut outage: Outage)
where
    T: Clone,
    F: Fn(Vec<T>) -> Fut,
    Fut: Future<Output = Result<(), E>>,
    E: Display,
{
    let mut portion = Vec::new();
    while receiver.recv_many(&mut portion, MAX_WAITING).await > 0 {
        while let Err(cause) = write(portion.clone()).await {
            tokio::time::sleep(outage.failed(cause)).await;
        }
        outage.passed();
        portion.clear();
    }
}
