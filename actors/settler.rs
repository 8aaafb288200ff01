//! Makes ends durable in the background, as many at once as have gathered.
//!
//! While one portion is being written the next gathers: the slower the database, the larger the portions. Nothing the
//! handler does can hold them up, so what has run is durable within one commit, not at the end of a batch. Nor can an end
//! that is refused, as a trigger or a missing right may: it is tried again for ever, the others go on.

use std::fmt::Display;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::outage::Outage;

/// Ends that may wait; beyond that those who run wait with them. Bounds what runs twice after a crash.
const MAX_WAITING: usize = 500;

/// What is wrong with a portion.
pub(crate) trait Refusal: Display {
    /// An end in it is the reason: the others would be taken without it.
    fn is_refusal(&self) -> bool;
}

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
        E: Refusal + Send + 'static,
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
    E: Refusal,
{
    let mut portion = Vec::new();
    while receiver.recv_many(&mut portion, MAX_WAITING).await > 0 {
        while let Err(cause) = write_portion(&write, &mut portion).await {
            tokio::time::sleep(outage.failed(cause)).await;
            let room = MAX_WAITING.saturating_sub(portion.len());
            let came = std::iter::from_fn(|| receiver.try_recv().ok());
            portion.extend(came.take(room));
        }
        outage.passed();
    }
}

/// Leaves what is not written. Halves of what is refused are written on their own, until the refused ends stand alone.
async fn write_portion<T, F, Fut, E>(write: &F, portion: &mut Vec<T>) -> Result<(), E>
where
    T: Clone,
    F: Fn(Vec<T>) -> Fut,
    Fut: Future<Output = Result<(), E>>,
    E: Refusal,
{
    let mut refused = Ok(());
    let mut parts = vec![std::mem::take(portion)];
    while let Some(mut part) = parts.pop() {
        match write(part.clone()).await {
            Ok(()) => {}
            Err(cause) if cause.is_refusal() && part.len() > 1 => {
                let half = part.split_off(part.len() / 2);
                parts.extend([half, part]);
            }
            Err(cause) => {
                portion.append(&mut part);
                let goes_on = cause.is_refusal();
                refused = Err(cause);
                if !goes_on {
                    portion.extend(parts.into_iter().flatten());
                    break;
                }
            }
        }
    }
    refused
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    #[derive(Debug)]
    enum Fault {
        Refused,
        Away,
    }

    impl Display for Fault {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{self:?}")
        }
    }

    impl Refusal for Fault {
        fn is_refusal(&self) -> bool {
            matches!(self, Self::Refused)
        }
    }

    #[actix::test]
    async fn a_refused_end_leaves_the_others_alone() {
        let written = RefCell::new(Vec::new());
        let calls = Cell::new(0);
        let write = |part: Vec<i32>| {
            calls.set(calls.get() + 1);
            let refused = part.iter().any(|end| [7, 400].contains(end));
            if !refused {
                written.borrow_mut().extend(part);
            }
            std::future::ready(if refused { Err(Fault::Refused) } else { Ok(()) })
        };
        let mut portion: Vec<i32> = (0..500).collect();
        write_portion(&write, &mut portion).await.unwrap_err();
        portion.sort_unstable();
        assert_eq!(portion, [7, 400]);
        let mut written = written.take();
        written.sort_unstable();
        let others = (0..500).filter(|end| ![7, 400].contains(end));
        assert!(written.into_iter().eq(others), "each once");
        assert!(calls.get() < 50, "{}", calls.get());
    }

    #[actix::test]
    async fn nothing_is_forgotten_when_it_goes_away_in_the_middle() {
        let written = RefCell::new(Vec::new());
        let write = |part: Vec<i32>| {
            let answer = match part.len() {
                1 => Err(Fault::Away),
                _ if part.contains(&0) => Err(Fault::Refused),
                _ => Ok(()),
            };
            if answer.is_ok() {
                written.borrow_mut().extend(part);
            }
            std::future::ready(answer)
        };
        let mut portion: Vec<i32> = (0..64).collect();
        let error = write_portion(&write, &mut portion).await.unwrap_err();
        assert!(matches!(error, Fault::Away));
        let mut all = portion;
        all.extend(written.take());
        all.sort_unstable();
        assert!(all.into_iter().eq(0..64));
    }
}
