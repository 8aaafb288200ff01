//! SIGTERM and SIGINT: the first begins the stop, the second ends the process at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use actix::Addr;
use rustix::time::{ClockId, clock_gettime};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level;
use tokio::signal::unix::{SignalKind, signal};

use super::failure::{FAILED, Failure};
use crate::supervisor::{BeginStop, SupervisorActor};

/// What arrives so soon after the first signal is the same order once more: `timeout` and other wrappers signal both
/// their child and its group. No person is so quick, in milliseconds.
const SAME_ORDER_MS: i64 = 100;

/// Signals are watched from here on.
pub(super) struct Signals {
    /// Milliseconds of the monotonic clock at the first signal; 0 before.
    first: Arc<AtomicI64>,
}

/// The second signal's end works in the signal handler itself, whatever the threads are doing.
///
/// # Errors
///
/// When the system does not take the handlers.
pub(super) fn watch() -> io::Result<Signals> {
    let signals = Signals {
        first: Arc::new(AtomicI64::new(0)),
    };
    for signal in [SIGTERM, SIGINT] {
        let first = Arc::clone(&signals.first);
        // SAFETY: what runs in the handler is async-signal-safe: atomics, clock_gettime and _exit.
        unsafe { low_level::register(signal, move || note(&first)) }?;
    }
    Ok(signals)
}

fn note(first: &AtomicI64) {
    let now = clock_gettime(ClockId::Monotonic);
    let now_ms = (now.tv_sec * 1000 + now.tv_nsec / 1_000_000).max(1);
    let earlier = first.compare_exchange(0, now_ms, Ordering::AcqRel, Ordering::Acquire);
    if is_second(earlier.err(), now_ms) {
        low_level::exit(i32::from(FAILED));
    }
}

fn is_second(earlier_ms: Option<i64>, now_ms: i64) -> bool {
    earlier_ms.is_some_and(|earlier| now_ms - earlier >= SAME_ORDER_MS)
}

impl Signals {
    /// Tells the supervisor of the first signal. To be called inside the System.
    pub(super) fn forward(self, supervisor: Addr<SupervisorActor>) -> Result<(), Failure> {
        let mut terminate = signal(SignalKind::terminate()).map_err(Failure::failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::failed)?;
        actix_rt::spawn(async move {
            let reason = tokio::select! {
                // One that came before anybody listened: during the migrations, or the making of the state.
                () = std::future::ready(()), if self.first.load(Ordering::Acquire) != 0 => "a signal during the start",
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            supervisor.do_send(BeginStop { reason });
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_of_the_first_signal_is_not_a_second_one() {
        assert!(!is_second(None, 1_000));
        assert!(!is_second(Some(1_000), 1_000));
        assert!(!is_second(Some(1_000), 1_099));
        assert!(is_second(Some(1_000), 1_100));
    }
}
