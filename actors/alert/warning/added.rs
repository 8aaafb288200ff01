//! What an `add` returns: whether the count is durable.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::{Condvar, Mutex};

use super::accumulator::Awaited;

/// Why a count is not, or not known to be, in the database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WarningError {
    /// The warning itself is not right: nothing is counted.
    #[error("warning {flag}: {why}")]
    Invalid {
        /// Its flag, for people.
        flag: String,
        /// What is wrong, and what would be right.
        why: &'static str,
    },
    /// No daemon and no cron run has started in this process. The count is kept, and written once one has.
    #[error(
        "no daemon runs in this process yet; the count is kept, and written once one has started"
    )]
    NotRunning,
    /// The daemon or the cron run of this process has ended: nothing is counted any more.
    #[error("the daemon of this process has stopped; the count is not written")]
    Stopped,
    /// Too many flags wait to be written at once: this one is not counted.
    #[error(
        "too many flags are counted at once in this process; a flag is a kind of trouble, not a single case"
    )]
    TooManyFlags,
    /// The database was away for too long, so this count was given up.
    #[error("the database was away for too long; the count was given up")]
    GivenUp,
    /// The database refused the count.
    #[error("the count is not written: {0}")]
    Refused(String),
}

/// Whether counts of a process are written.
#[derive(Debug)]
pub(super) struct Phase(AtomicU8);

impl Phase {
    pub(super) const ABSENT: u8 = 0;
    pub(super) const RUNNING: u8 = 1;
    pub(super) const ENDED: u8 = 2;

    pub(super) const fn new() -> Self {
        Self(AtomicU8::new(Self::ABSENT))
    }

    pub(super) fn set(&self, phase: u8) {
        self.0.store(phase, Ordering::Release);
    }

    pub(super) fn get(&self) -> u8 {
        self.0.load(Ordering::Acquire)
    }
}

/// What became of a segment, for all whose counts are in it.
#[derive(Debug, Clone)]
pub(super) struct Outcome(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    decided: Condvar,
    phase: Arc<Phase>,
}

#[derive(Debug, Default)]
struct State {
    result: Option<Result<(), WarningError>>,
    /// A place for each that awaits it; empty where it was dropped.
    wakers: Vec<Option<Waker>>,
}

impl Awaited for Outcome {
    fn is_held(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

impl Outcome {
    pub(super) fn new(phase: &Arc<Phase>) -> Self {
        Self(Arc::new(Inner {
            state: Mutex::default(),
            decided: Condvar::new(),
            phase: Arc::clone(phase),
        }))
    }

    /// The first result counts.
    pub(super) fn decide(&self, result: Result<(), WarningError>) {
        let mut state = self.0.state.lock();
        if state.result.is_some() {
            return;
        }
        state.result = Some(result);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.0.decided.notify_all();
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    fn now(&self, state: &State) -> Option<Result<(), WarningError>> {
        let is_absent = self.0.phase.get() == Phase::ABSENT;
        match &state.result {
            Some(result) => Some(result.clone()),
            // It may never be decided: nobody waits for that.
            None => is_absent.then_some(Err(WarningError::NotRunning)),
        }
    }
}

/// A count that was added, with [`Warning::add`](crate::Warning::add).
///
/// Dropping it is fine: the count is written all the same. Awaited it ends when the count is in the database, which
/// takes up to a second while others count the same flag. In blocking code [`wait`](Self::wait) does the same.
///
/// In a process without a daemon or a cron run, and before those have started, it is an error at once, and the count is kept
/// until one starts.
#[derive(Debug)]
pub struct Added(Kind);

#[derive(Debug)]
enum Kind {
    Known(Result<(), WarningError>),
    Waits(Outcome, Option<usize>),
}

impl Added {
    pub(super) fn known(result: Result<(), WarningError>) -> Self {
        Self(Kind::Known(result))
    }

    pub(super) fn waits(outcome: Outcome) -> Self {
        Self(Kind::Waits(outcome, None))
    }

    /// Blocks this thread until the count is in the database. For blocking handlers and threads; async code awaits instead.
    ///
    /// # Errors
    ///
    /// When it is not there, and will not be, or that is not known.
    pub fn wait(self) -> Result<(), WarningError> {
        let outcome = match &self.0 {
            Kind::Known(result) => return result.clone(),
            Kind::Waits(outcome, _) => outcome.clone(),
        };
        let mut state = outcome.0.state.lock();
        loop {
            if let Some(result) = outcome.now(&state) {
                return result;
            }
            outcome.0.decided.wait(&mut state);
        }
    }
}

impl Future for Added {
    type Output = Result<(), WarningError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Kind::Known(result) => Poll::Ready(result.clone()),
            Kind::Waits(outcome, place) => {
                let mut state = outcome.0.state.lock();
                if let Some(result) = outcome.now(&state) {
                    return Poll::Ready(result);
                }
                let waker = Some(cx.waker().clone());
                match place {
                    Some(place) => state.wakers[*place] = waker,
                    None => {
                        *place = Some(state.wakers.len());
                        state.wakers.push(waker);
                    }
                }
                Poll::Pending
            }
        }
    }
}

impl Drop for Added {
    fn drop(&mut self) {
        if let Kind::Waits(outcome, Some(place)) = &self.0
            && let Some(waker) = outcome.0.state.lock().wakers.get_mut(*place)
        {
            *waker = None;
        }
    }
}
