//! The signal of a stop, and its two steps: Quiet, then Stop with one deadline.
//!
//! Signals form a tree: the daemon's, below it one for each pool, below that one for each consumer. Each step of a signal is
//! a step of all signals below it. So a consumer listens to one signal, whether the daemon stops, its pool retires, or it
//! alone does.
//!
//! tokio-util's CancellationToken is a tree too, but knows one step and no deadline, and reading it takes a lock.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// How far the stop has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Work is taken and done.
    Run,
    /// No new work is taken; what runs goes on.
    Quiet,
    /// Work that still runs at this moment is released.
    Stop(Instant),
}

impl Phase {
    /// Whether this step follows that one. Of two deadlines the first holds.
    fn follows(self, earlier: Self) -> bool {
        match self {
            Self::Run => false,
            Self::Quiet => earlier == Self::Run,
            Self::Stop(_) => !matches!(earlier, Self::Stop(_)),
        }
    }
}

/// Sends the phase to all that listen, and to the signals below it. Clones are the same signal.
#[derive(Debug, Clone)]
pub(crate) struct StopSignal(Arc<Node>);

#[derive(Debug)]
struct Node {
    phase: watch::Sender<Phase>,
    /// The phase is not `Run`.
    begun: Arc<AtomicBool>,
    /// Each lives as long as its owner.
    below: Mutex<Vec<Weak<Node>>>,
}

impl StopSignal {
    pub(crate) fn new() -> Self {
        Self::in_phase(Phase::Run)
    }

    fn in_phase(phase: Phase) -> Self {
        Self(Arc::new(Node {
            phase: watch::Sender::new(phase),
            begun: Arc::new(AtomicBool::new(phase != Phase::Run)),
            below: Mutex::default(),
        }))
    }

    /// A signal below this one: in its phase, and from now on with each of its steps. Its own steps are not this one's.
    pub(crate) fn child(&self) -> Self {
        let mut below = self.0.below.lock();
        below.retain(|child| child.strong_count() > 0);
        let child = Self::in_phase(*self.0.phase.borrow());
        below.push(Arc::downgrade(&child.0));
        child
    }

    /// Begins the first step; does nothing later.
    pub(crate) fn quiet(&self) {
        self.0.step(Phase::Quiet);
    }

    /// Sets the deadline; the first one holds.
    pub(crate) fn stop(&self, deadline: Instant) {
        self.0.step(Phase::Stop(deadline));
    }

    pub(crate) fn begun(&self) -> bool {
        self.0.begun.load(Ordering::Acquire)
    }

    pub(crate) fn listen(&self) -> StopListener {
        StopListener {
            receiver: self.0.phase.subscribe(),
            begun: Arc::clone(&self.0.begun),
        }
    }
}

impl Node {
    fn step(&self, next: Phase) {
        // Held to the end: a child that is made meanwhile begins in this phase.
        let below = self.below.lock();
        let is_step = self.phase.send_if_modified(|phase| {
            let is_step = next.follows(*phase);
            if is_step {
                *phase = next;
                self.begun.store(true, Ordering::Release);
            }
            is_step
        });
        if is_step {
            // The child that was made last takes the step first.
            let children = below.iter().rev().filter_map(Weak::upgrade);
            children.for_each(|child| child.step(next));
        }
    }
}

/// Time after the deadline in which what still ran is released.
const TIME_TO_RELEASE: Duration = Duration::from_millis(200);

/// Waits until nothing is left, for `TIME_TO_RELEASE` past the deadline at most. Answers how much is left. A thread that
/// business code blocks releases nothing, so the deadline is watched here too.
pub(crate) async fn left_at(mut count: watch::Receiver<usize>, deadline: Instant) -> usize {
    let none_left = count.wait_for(|left| *left == 0);
    let in_time = timeout_at(deadline + TIME_TO_RELEASE, none_left)
        .await
        .is_ok();
    if in_time { 0 } else { *count.borrow() }
}

/// Receives the stop.
#[derive(Debug, Clone)]
pub(crate) struct StopListener {
    receiver: watch::Receiver<Phase>,
    /// Read before each message, by all workers. To borrow the phase would take a lock that all of them share.
    begun: Arc<AtomicBool>,
}

impl StopListener {
    /// Whether no new work is to be taken. True too when the signal's owner is gone: no owner would see the work's end.
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
        let deadline = self.deadline_set().await;
        tokio::time::sleep_until(deadline).await;
    }

    /// Waits until the stop has a deadline, and returns it. For ever where the owner is gone and has set none: what runs goes
    /// on to its end.
    pub(crate) async fn deadline_set(&mut self) -> Instant {
        let stop = self
            .receiver
            .wait_for(|phase| matches!(phase, Phase::Stop(_)))
            .await
            .map(|phase| *phase);
        match stop {
            Ok(Phase::Stop(deadline)) => deadline,
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

    #[tokio::test(start_paused = true)]
    async fn a_step_reaches_all_signals_below() {
        let top = StopSignal::new();
        let middle = top.child();
        let (early, low) = (middle.child(), middle.child());
        let mut listener = low.listen();
        early.quiet();
        assert!(early.begun() && !middle.begun() && !listener.begun());
        top.quiet();
        assert!(middle.begun() && listener.begun());
        let late = middle.child();
        assert!(late.begun(), "made in the phase of its parent");
        let begin = Instant::now();
        top.stop(begin + Duration::from_secs(5));
        listener.deadline().await;
        early.listen().deadline().await;
        late.listen().deadline().await;
        middle.child().listen().deadline().await;
        assert_eq!(begin.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_of_its_own_holds_below() {
        let top = StopSignal::new();
        let low = top.child();
        let begin = Instant::now();
        low.stop(begin + Duration::from_secs(2));
        top.stop(begin + Duration::from_secs(5));
        low.listen().deadline().await;
        assert_eq!(begin.elapsed(), Duration::from_secs(2));
        top.listen().deadline().await;
        assert_eq!(begin.elapsed(), Duration::from_secs(5));
    }

    #[test]
    fn children_that_are_gone_are_forgotten() {
        let top = StopSignal::new();
        for _ in 0..100 {
            drop(top.child());
        }
        assert_eq!(top.0.below.lock().len(), 1);
    }
}
