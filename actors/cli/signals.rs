//! SIGTERM, SIGINT and SIGQUIT: the first begins the stop, the second ends the process at once.
//!
//! SIGHUP reads the configuration again. SIGUSR1 and SIGUSR2 are ignored with a line in the log: they mean nothing here, and
//! their usual effect is the end of a process as in a crash.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use actix::Addr;
use rustix::time::{ClockId, clock_gettime};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::low_level;
use tokio::signal::unix::{SignalKind, signal};

use crate::bootstrap::failure::{FAILED, Failure};
use crate::reload::{Origin, Reload};
use crate::supervisor::{BeginStop, SupervisorActor};

/// A signal that arrives within this time after the first one is the same order once more: `timeout` and other wrappers
/// signal both their child and its group. The stop begins, and is logged, after this; from then on the next signal is a
/// second one.
const ECHO: Duration = Duration::from_millis(20);
/// A signal that arrives this long after the first one is a second one, even if the stop has not begun (the System's thread
/// hangs, or the start does).
const UNHANDLED_MS: i64 = 1000;

/// Between two polls for a signal, while no receiver listens yet.
const FIRST_POLL: Duration = Duration::from_millis(50);

/// Undoes what a parent may have left to this process. To be called at its start, before any other thread.
///
/// With SIGCHLD ignored the system reaps children by itself, and how a cron run ended is lost; a blocked signal (SIGTERM
/// foremost) never arrives.
pub(crate) fn reset_inherited() {
    // SAFETY: both are initialised before they are read; no handler is installed or replaced.
    unsafe {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed().assume_init();
        let read = libc::sigaction(libc::SIGCHLD, ptr::null(), &raw mut action);
        if read == 0 && action.sa_sigaction == libc::SIG_IGN {
            libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        }
        let mut none = MaybeUninit::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
    }
}

/// Signals are watched from here on.
pub(crate) struct Signals {
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Milliseconds of the monotonic clock at the first signal; 0 before.
    first_ms: AtomicI64,
    /// The stop has begun.
    armed: AtomicBool,
    /// SIGHUP came while nobody listened yet: the files may be others since they were read.
    hung_up: AtomicBool,
}

/// The second stop signal's end works in the signal handler itself, whatever the threads are doing. An ignored signal has a
/// handler too, which does nothing: the line about it comes from the System.
///
/// # Errors
///
/// When the system does not take the handlers.
pub(crate) fn watch() -> io::Result<Signals> {
    let state = Arc::new(State::default());
    for signal in [SIGTERM, SIGINT, SIGQUIT] {
        let state = Arc::clone(&state);
        // SAFETY: what runs in the handler is async-signal-safe: atomics, clock_gettime and _exit.
        unsafe { low_level::register(signal, move || state.signalled()) }?;
    }
    let hung_up = Arc::clone(&state);
    // SAFETY: it sets an atomic.
    unsafe {
        low_level::register(SIGHUP, move || {
            hung_up.hung_up.store(true, Ordering::Release)
        })
    }?;
    for signal in [SIGUSR1, SIGUSR2] {
        // SAFETY: it does nothing.
        unsafe { low_level::register(signal, || {}) }?;
    }
    Ok(Signals { state })
}

impl State {
    fn signalled(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let now_ms = (now.tv_sec * 1000 + now.tv_nsec / 1_000_000).max(1);
        if self.is_second(now_ms) {
            low_level::exit(i32::from(FAILED));
        }
    }

    fn is_second(&self, now_ms: i64) -> bool {
        let first = &self.first_ms;
        match first.compare_exchange(0, now_ms, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => false,
            Err(first_ms) => {
                self.armed.load(Ordering::Acquire) || now_ms - first_ms >= UNHANDLED_MS
            }
        }
    }
}

impl Signals {
    /// Whether one has come, while nobody listens yet.
    pub(crate) fn came(&self) -> bool {
        self.state.first_ms.load(Ordering::Acquire) != 0
    }

    /// Returns when one has come.
    pub(crate) async fn first(&self) {
        while !self.came() {
            tokio::time::sleep(FIRST_POLL).await;
        }
    }

    /// Sends the first stop signal and each SIGHUP to the supervisor, and logs the ignored ones. To be called inside the
    /// System.
    pub(crate) fn forward(self, supervisor: Addr<SupervisorActor>) -> Result<(), Failure> {
        let mut terminate = signal(SignalKind::terminate()).map_err(Failure::failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::failed)?;
        let mut quit = signal(SignalKind::quit()).map_err(Failure::failed)?;
        self.forward_reloads(&supervisor).map_err(Failure::failed)?;
        log_ignored().map_err(Failure::failed)?;
        actix_rt::spawn(async move {
            let came_early = self.came();
            let reason = tokio::select! {
                // Before a receiver listened: during the migrations, or the making of the state.
                () = std::future::ready(()), if came_early => "a signal during the start",
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
                _ = quit.recv() => "SIGQUIT",
            };
            tokio::time::sleep(ECHO).await;
            self.state.armed.store(true, Ordering::Release);
            supervisor.do_send(BeginStop { reason });
        });
        Ok(())
    }

    /// Signals that come faster than they are taken are one: the files are read after the last of them.
    fn forward_reloads(&self, supervisor: &Addr<SupervisorActor>) -> io::Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        let supervisor = supervisor.clone();
        let came_early = self.state.hung_up.swap(false, Ordering::AcqRel);
        actix_rt::spawn(async move {
            let order = || Reload {
                origin: Origin::Signal,
            };
            if came_early {
                supervisor.do_send(order());
            }
            while hangup.recv().await.is_some() {
                supervisor.do_send(order());
            }
        });
        Ok(())
    }
}

fn log_ignored() -> io::Result<()> {
    let mut user1 = signal(SignalKind::user_defined1())?;
    let mut user2 = signal(SignalKind::user_defined2())?;
    actix_rt::spawn(async move {
        loop {
            let name = tokio::select! {
                _ = user1.recv() => "SIGUSR1",
                _ = user2.recv() => "SIGUSR2",
            };
            log::warn!(
                "{name} is ignored; SIGHUP reads the configuration again, and SIGTERM stops the daemon"
            );
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_of_the_first_signal_is_not_a_second_one() {
        let state = State::default();
        assert!(!state.is_second(1_000));
        assert!(!state.is_second(1_019));
        state.armed.store(true, Ordering::Release);
        assert!(state.is_second(1_020));
    }

    #[test]
    fn a_daemon_that_does_not_respond_ends_by_a_later_signal() {
        let state = State::default();
        assert!(!state.is_second(1_000));
        assert!(!state.is_second(1_999));
        assert!(state.is_second(2_000));
    }
}
