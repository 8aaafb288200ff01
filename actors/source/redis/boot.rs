//! This boot, as the server of its list knows it. No server here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Moment;
use crate::membership::Liveness;

/// See the module's header.
pub(super) struct Boot {
    /// This start of the daemon.
    name: String,
    /// Among the sources of this process.
    number: u64,
    /// By the heartbeats in this Redis.
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

    /// Its name in this generation, at the server. Two names in the settings may mean one server: batches of two sources
    /// of a process are not mixed up.
    pub(super) fn in_generation(&self, generation: u64) -> Arc<str> {
        format!("{}.{}.{generation}", self.name, self.number).into()
    }

    /// Its name in the present generation.
    pub(super) fn present(&self) -> Arc<str> {
        self.in_generation(self.liveness.generation())
    }

    /// The present generation, where the server knows it.
    pub(super) fn registered(&self) -> Option<u64> {
        let generation = self.liveness.generation();
        (self.known.load(Ordering::Acquire) == generation + 1).then_some(generation)
    }

    /// A heartbeat of this generation, sent then, has been answered.
    pub(super) fn confirm(&self, generation: u64, sent: Moment) {
        self.known.store(generation + 1, Ordering::Release);
        self.liveness.confirm(sent, Moment::now());
    }
}
