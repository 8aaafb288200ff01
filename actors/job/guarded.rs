//! Business code from its call to its end: every step of it inside its slot, with its panics caught.
//!
//! A future of its own and not one wrapped into the other: each layer would copy the job, for a million jobs a second.

use std::any::Any;
use std::borrow::Borrow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::future::LocalBoxFuture;

use super::error::JobResult;
use crate::poison::Slot;
use crate::trace::{Trace, within};

/// See the module's header. The slot is handed over, to be freed with it, or lent.
pub(crate) struct Business<S: Borrow<Slot>, F, R> {
    slot: Option<S>,
    trace: Option<Trace>,
    state: State<F, R>,
}

enum State<F, R> {
    /// The call itself is business code too: it waits for the first poll.
    Waiting(F),
    Running(LocalBoxFuture<'static, JobResult<R>>),
    Over,
}

/// What a handler panicked with.
pub(crate) type Panic = Box<dyn Any + Send>;

impl<S: Borrow<Slot>, F, R> Business<S, F, R> {
    pub(crate) fn new(call: F, slot: Option<S>, trace: Option<Trace>) -> Self {
        Self {
            slot,
            trace,
            state: State::Waiting(call),
        }
    }

    /// Ends it where it stands: destructors are business code as well.
    pub(crate) fn abandon(&mut self) -> Result<(), Panic> {
        self.inside(|state| *state = State::Over)
    }

    fn inside<T>(&mut self, step: impl FnOnce(&mut State<F, R>) -> T) -> Result<T, Panic> {
        let Self { slot, trace, state } = self;
        let caught = || catch_unwind(AssertUnwindSafe(|| step(state)));
        let guarded = || within(trace.as_ref(), caught);
        match slot {
            Some(slot) => (*slot).borrow().enter(guarded),
            None => guarded(),
        }
    }
}

impl<S, F, R> Future for Business<S, F, R>
where
    S: Borrow<Slot>,
    F: FnOnce() -> LocalBoxFuture<'static, JobResult<R>>,
{
    type Output = Result<JobResult<R>, Panic>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let step = |state: &mut State<F, R>| {
            if let State::Waiting(_) = state
                && let State::Waiting(call) = std::mem::replace(state, State::Over)
            {
                *state = State::Running(call());
            }
            let State::Running(future) = state else {
                unreachable!("polled after its end");
            };
            let ended = ready!(future.as_mut().poll(context));
            *state = State::Over;
            Poll::Ready(ended)
        };
        match self.get_mut().inside(step) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(ended)) => Poll::Ready(Ok(ended)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}

impl<S: Borrow<Slot>, F, R> Drop for Business<S, F, R> {
    fn drop(&mut self) {
        if !matches!(self.state, State::Over)
            && let Err(panic) = self.abandon()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

// Nothing of it is pinned: the future has a place of its own.
impl<S: Borrow<Slot>, F, R> Unpin for Business<S, F, R> {}
