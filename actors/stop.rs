//! The two steps of a stop, as everything that works must see them: Quiet, then Stop by one deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// How far the stop has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Work is taken and done.
    Run,
    /// No new work is taken; what runs goes on.
    Quiet,
    /// What still runs at this moment is given back.
    Stop(Instant),
}

/// Sends the phase to all that listen.
#[derive(Debug, Clone)]
pub(crate) struct StopSignal {
    sender: watch::Sender<Phase>,
    begun: Arc<AtomicBool>,
}

impl StopSignal {
    pub(crate) fn new() -> Self {
        Self {
            sender: watch::Sender::new(Phase::Run),
            begun: Arc::default(),
        }
    }

    /// Begins the first step; does nothing later.
    pub(crate) fn quiet(&self) {
        self.sender.send_if_modified(|phase| {
            let first = *phase == Phase::Run;
            if first {
                *phase = Phase::Quiet;
                self.begun.store(true, Ordering::Release);
            }
            first
        });
    }

    /// Sets the deadline; the first one holds.
    pub(crate) fn stop(&self, deadline: Instant) {
        self.sender.send_if_modified(|phase| {
            let first = !matches!(phase, Phase::Stop(_));
            if first {
                *phase = Phase::Stop(deadline);
                self.begun.store(true, Ordering::Release);
            }
            first
        });
    }

    pub(crate) fn begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    pub(crate) fn listen(&self) -> StopListener {
        StopListener {
            receiver: self.sender.subscribe(),
            begun: Arc::clone(&self.begun),
        }
    }
}

/// Time after the deadline in which what still ran is given back.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Waits until nothing is left, past the deadline only for last words. Answers what is left. A thread that business code
/// blocks cannot answer, so the deadline is watched here too.
pub(crate) async fn left_at(mut count: watch::Receiver<usize>, deadline: Instant) -> usize {
    let none_left = count.wait_for(|left| *left == 0);
    let in_time = timeout_at(deadline + LAST_WORDS, none_left).await.is_ok();
    if in_time { 0 } else { *count.borrow() }
}

/// Receives the stop.
#[derive(Debug, Clone)]
pub(crate) struct StopListener {
    receiver: watch::Receiver<Phase>,
    /// Asked before each message, by all workers: to borrow the phase would take a lock of theirs all.
    begun: Arc<AtomicBool>,
}

impl StopListener {
    /// Whether no new work is to be taken. True too when the owner is gone: nobody would hear of the work's end.
    pub(crate) fn begun(&self) -> bool {
        self.begun.load(Ordering::Acquire) || self.orphaned()
    }

    /// Waits until no new work is to be taken.
    pub(crate) async fn quiet(&mut self) {
        // An error means that the owner is gone, which is as good.
        let _ = self.receiver.wait_for(|phase| *phase != Phase::Run).await;
    }

    /// Waits for the deadline of the stop; for ever while there is none.
    pub(crate) async fn deadline(&mut self) {
        let stop = self
            .receiver
            .wait_for(|phase| matches!(phase, Phase::Stop(_)))
            .await
            .map(|phase| *phase);
        match stop {
            Ok(Phase::Stop(deadline)) => tokio::time::sleep_until(deadline).await,
            // The owner is gone without a word: what runs may end in peace.
            _ => std::future::pending().await,
        }
    }

    fn orphaned(&self) -> bool {
        self.receiver.has_changed().is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_deadline_holds() {
        let signal = StopSignal::new();
        let mut listener = signal.listen();
        assert!(!listener.begun());
        signal.quiet();
        listener.quiet().await;
        let begin = Instant::now();
        signal.stop(begin + Duration::from_secs(5));
        signal.stop(begin + Duration::from_secs(50));
        signal.quiet();
        listener.deadline().await;
        assert_eq!(begin.elapsed(), Duration::from_secs(5));
        assert!(signal.begun());
    }

    #[tokio::test]
    async fn an_orphan_takes_no_new_work() {
        let signal = StopSignal::new();
        let mut listener = signal.listen();
        drop(signal);
        assert!(listener.begun());
        listener.quiet().await;
    }
}
