//! The order to read the configuration again, and what came of it.
//!
//! SupervisorActor takes the order, wherever it comes from: SIGHUP, the port and the socket, or the files themselves. This
//! room knows neither of them, so that each may use it.

mod report;

use std::fmt;

use actix::prelude::*;
use parking_lot::Mutex;

pub(crate) use self::report::{Outcome, ReloadReport};

/// Reads the three files again. With any fault nothing changes; otherwise entries that came, went or changed are started,
/// stopped or resized, and the others do not notice. One at a time: a second order waits for its turn.
#[derive(Message)]
#[rtype(result = "ReloadReport")]
pub(crate) struct Reload {
    pub(crate) origin: Origin,
}

/// Who wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// SIGHUP.
    Signal,
    /// The files changed, and `reload_on_change` is set.
    Files,
    /// A person, by the port or the socket.
    Person(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal => f.write_str("SIGHUP"),
            Self::Files => f.write_str("the files have changed"),
            Self::Person(who) => write!(f, "by order of {who}"),
        }
    }
}

/// Whoever takes the order now.
#[derive(Default)]
pub(crate) struct ReloadHandle(Mutex<Option<Recipient<Reload>>>);

impl ReloadHandle {
    pub(crate) fn set(&self, taker: Recipient<Reload>) {
        *self.0.lock() = Some(taker);
    }

    /// None where nobody takes it: the daemon has not begun, or ends.
    pub(crate) async fn order(&self, origin: Origin) -> Option<ReloadReport> {
        let taker = self.0.lock().clone()?;
        taker.send(Reload { origin }).await.ok()
    }
}
