//! The identity of this boot at the server of its list. No server here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Moment;
use crate::membership::Liveness;

/// See the module's header.
pub(super) struct Boot {
    /// The id of this start of the daemon.
    name: String,
    /// The number of this source among those of the process.
    number: u64,
    /// Whether its claims still hold, by the heartbeats in this Redis.
    pub(super) liveness: Liveness,
    /// The generation that the server knows, plus one; 0: none.
    known: AtomicU64,
}

impl Boot {
    pub(super) fn new(name: &str, heartbeat_interval: Duration) -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        Self {
            name: name.to_owned(),
            number: MADE.fetch_add(1, Ordering::Relaxed),
            liveness: Liveness::new(heartbeat_interval),
            known: AtomicU64::new(0),
        }
    }

    /// Its name at the server, in this generation. The number keeps batches of two sources of a process apart: two names in
    /// the settings may mean one server.
    pub(super) fn in_generation(&self, generation: u64) -> Arc<str> {
        format!("{}.{}.{generation}", self.name, self.number).into()
    }

    /// Its name in the present generation.
    pub(super) fn present(&self) -> Arc<str> {
        self.in_generation(self.liveness.generation())
    }

    /// The present generation. None where the server does not know it.
    pub(super) fn registered(&self) -> Option<u64> {
        let generation = self.liveness.generation();
        (self.known.load(Ordering::Acquire) == generation + 1).then_some(generation)
    }

    /// The server has answered a heartbeat of this generation, which was sent at `sent`.
    pub(super) fn confirm(&self, generation: u64, sent: Moment) {
        self.known.store(generation + 1, Ordering::Release);
        self.liveness.confirm(sent, Moment::now());
    }
}
