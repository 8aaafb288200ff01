//! Tasks and threads that live as long as the process: a panic is logged, and they go on.
//!
//! An actor that panics is replaced by its owner. A spawned task has no such owner: without this it would be gone, and with
//! it a queue, until the next start.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use futures_util::FutureExt;

use crate::backoff::Backoff;
use crate::state::deaths;

/// Between a panic and the next run. The count of panics starts anew with the task's owner only: a panic is a bug, and one
/// that repeats must not fill the log.
const BACKOFF: Backoff = Backoff::REPLACEMENT;

/// Runs what `start` makes until that returns. Where it panics, another one is made after a pause.
pub(crate) async fn restart_on_panic<F, Fut>(what: &str, mut start: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = ()>,
{
    let mut delays = BACKOFF.delays();
    while caught(async { start().await }).await.is_err() {
        deaths().note(what);
        let pause = delays.advance();
        log::error!("{what} panicked and goes on in {pause:?}");
        tokio::time::sleep(pause).await;
    }
}

/// As [`restart_on_panic`], for a thread.
pub(crate) fn restart_thread_on_panic(what: &str, mut run: impl FnMut()) {
    let mut delays = BACKOFF.delays();
    while catch_unwind(AssertUnwindSafe(&mut run)).is_err() {
        deaths().note(what);
        let pause = delays.advance();
        log::error!("{what} panicked and goes on in {pause:?}");
        thread::sleep(pause);
    }
}

/// The result of a future, or the text of its panic. What the future shares with others must be whole between its steps.
pub(crate) async fn caught<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let ended = AssertUnwindSafe(future).catch_unwind().await;
    ended.map_err(|panic| text(panic.as_ref()))
}

/// As [`caught`], for a call.
pub(crate) fn caught_call<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| text(panic.as_ref()))
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("it panicked: {}", text.unwrap_or("(no text)"))
}

/// A place where a test can make a task panic: `of` names its owner. The product has no such places.
#[cfg(not(test))]
#[inline]
pub(crate) fn panic_point(_place: &str, _of: &str) {}

#[cfg(test)]
pub(crate) use self::points::panic_point;

/// Panics that tests have ordered.
#[cfg(test)]
pub(crate) mod points {

    use parking_lot::Mutex;

    static ARMED: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

    /// The task panics once, when it comes to the place the next time.
    pub(crate) fn arm(place: &str, of: &str) {
        let mut armed = ARMED.lock();
        armed.push((place.to_owned(), of.to_owned()));
    }

    /// Whether the panic is still to come.
    pub(crate) fn is_armed(place: &str, of: &str) -> bool {
        let armed = ARMED.lock();
        armed.iter().any(|(p, o)| p == place && o == of)
    }

    pub(crate) fn panic_point(place: &str, of: &str) {
        let mut armed = ARMED.lock();
        let found = armed.iter().position(|(p, o)| p == place && o == of);
        if let Some(at) = found {
            armed.remove(at);
            drop(armed);
            panic!("ordered by a test at {place} of {of}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[actix_rt::test]
    async fn a_task_goes_on_after_panics_until_it_returns() {
        tokio::time::pause();
        let runs = Cell::new(0);
        restart_on_panic("the task", || {
            runs.set(runs.get() + 1);
            let run = runs.get();
            async move { assert!(run > 3, "not yet") }
        })
        .await;
        assert_eq!(runs.get(), 4);
    }

    #[actix_rt::test]
    async fn a_panic_is_an_error_with_its_text() {
        let ended: Result<(), String> = caught(async { panic!("broken {}", 7) }).await;
        assert_eq!(ended.unwrap_err(), "it panicked: broken 7");
        assert_eq!(caught(async { 1 }).await, Ok(1));
    }
}
