//! Makes ends durable in the background, as many at once as have gathered.
//!
//! While one portion is being written the next gathers: the slower the database, the larger the portions. Nothing the
//! handler does can hold them up, so what has run is durable within one commit, not at the end of a batch (milliseconds
//! after they begin to gather). Nor can an end
//! whose row somebody has locked, or that is refused, as by a trigger or for want of a right: it is tried again for as long
//! as the queue lives, and the others go on.

mod portion;
mod queue;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::portion::write_portion;
pub(crate) use self::queue::Sender;
use self::queue::{MAX_WAITING, Queue, queue};
use crate::outage::Outage;

/// Ends that could not be written, and the others could, are tried again so much later.
const PAUSE: Duration = Duration::from_secs(1);

/// When the last end has come, refused ones are tried so often again, and then no more.
const LAST_TRIES: u32 = 2;

/// So long the first of a portion waits for others: waking the writer for each would cost more than its handler did.
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
    /// `write` makes a portion durable, and answers those ends whose rows somebody else has locked. After an error it is
    /// called with the same portion again, so each end in it must count once. The task lives until everything is written,
    /// longer than the settler if need be. It lives on `home`, a runtime without business code: a handler that blocks its
    /// own thread must not hold up what has ended.
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

    /// Makes durable here and now what waits; `write` answers what it leaves to the writer.
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

/// What could not be written while others could.
struct Later<'a, T> {
    what: &'a str,
    ends: Vec<T>,
    next_try: Instant,
    /// When it began; its lines in the log are two.
    since: Option<Instant>,
    /// Why the last ones are refused; none while one of them waits for somebody's lock.
    refused: Option<String>,
    /// How often they are tried once no more ends come.
    last_tries: u32,
}

impl<'a, T> Later<'a, T> {
    fn new(what: &'a str) -> Self {
        Self {
            what,
            ends: Vec::new(),
            next_try: Instant::now(),
            since: None,
            refused: None,
            last_tries: LAST_TRIES,
        }
    }

    /// What is to be written next: new ends, and these when their time has come. None: there is nothing any more.
    async fn next(&mut self, queue: &Queue<T>) -> Option<Vec<T>> {
        let mut portion = Vec::new();
        if self.ends.is_empty() {
            queue.portion(&mut portion).await?;
            return Some(portion);
        }
        let due = tokio::time::sleep_until(self.next_try);
        // Whoever runs waits where too many of them have gathered.
        let mut is_over = false;
        let new = self.ends.len() < MAX_WAITING
            && tokio::select! {
                came = queue.portion(&mut portion) => {
                    is_over = came.is_none();
                    !is_over
                }
                () = due => return Some(std::mem::take(&mut self.ends)),
            };
        if is_over && self.gives_up() {
            return None;
        }
        if !new {
            tokio::time::sleep_until(self.next_try).await;
        }
        if Instant::now() >= self.next_try {
            portion.append(&mut self.ends);
        }
        Some(portion)
    }

    /// At a stop what the database refuses would be waited for until the deadline, and be refused to the last.
    fn gives_up(&mut self) -> bool {
        let Some(why) = &self.refused else {
            return false;
        };
        if self.last_tries > 0 {
            self.last_tries -= 1;
            return false;
        }
        log::error!(
            "{}: {} ends are not written, and what they end will run again: {why}",
            self.what,
            self.ends.len()
        );
        true
    }

    fn add(&mut self, (mut ends, why): (Vec<T>, Option<String>), only_refused: bool) {
        let Some(why) = why else {
            return;
        };
        // Others wait already: their next try does not move, however many come, and one that is not refused stays so.
        let is_first = self.ends.is_empty();
        let only_refused = only_refused && (is_first || self.refused.is_some());
        self.refused = only_refused.then(|| why.clone());
        if self.since.is_none() {
            self.since = Some(Instant::now());
            log::warn!(
                "{}: {} ends cannot be written yet and are tried again, the others go on: {why}",
                self.what,
                ends.len()
            );
        }
        self.ends.append(&mut ends);
        if is_first {
            self.next_try = Instant::now() + PAUSE;
        }
    }

    fn end_if_empty(&mut self) {
        if self.ends.is_empty()
            && let Some(since) = self.since.take()
        {
            let seconds = since.elapsed().as_secs_f64();
            log::info!("{}: all ends are written after {seconds:.1} s", self.what);
        }
    }
}
