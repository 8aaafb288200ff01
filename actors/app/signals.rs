//! SIGTERM and SIGINT: the first begins the stop, the second ends the process at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use actix::Addr;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use tokio::signal::unix::{SignalKind, signal};

use super::failure::{FAILED, Failure};
use crate::supervisor::{BeginStop, SupervisorActor};

/// Signals are watched from here on.
pub(super) struct Signals(());

/// Registers the second signal's end first: it works in the signal handler itself, whatever the threads are doing.
///
/// # Errors
///
/// When the system does not take the handlers.
pub(super) fn watch() -> io::Result<Signals> {
    let seen = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        flag::register_conditional_shutdown(signal, i32::from(FAILED), Arc::clone(&seen))?;
        flag::register(signal, Arc::clone(&seen))?;
    }
    Ok(Signals(()))
}

impl Signals {
    /// Tells the supervisor of the first signal. To be called inside the System.
    pub(super) fn forward(self, supervisor: Addr<SupervisorActor>) -> Result<(), Failure> {
        let mut terminate = signal(SignalKind::terminate()).map_err(Failure::failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::failed)?;
        actix_rt::spawn(async move {
            let reason = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            supervisor.do_send(BeginStop { reason });
        });
        Ok(())
    }
}
