//! What DbActor publishes. There is one for the process.

use std::sync::LazyLock;
use std::time::Duration;

use super::cell::{Counter, Distribution, Histogram, Scale};

/// Transactions and the writes in them.
#[derive(Debug)]
pub(crate) struct Commits {
    seconds: Histogram,
    writes: Counter,
}

static COMMITS: LazyLock<Commits> = LazyLock::new(|| Commits {
    seconds: Histogram::new(Scale::Fast),
    writes: Counter::default(),
});

/// Those of this process.
pub(crate) fn commits() -> &'static Commits {
    &COMMITS
}

impl Commits {
    /// A transaction with this many writes was committed, or refused.
    pub(crate) fn note(&self, took: Duration, writes: usize) {
        self.seconds.note(took);
        self.writes.add(u64::try_from(writes).unwrap_or(u64::MAX));
    }

    pub(crate) fn seconds(&self) -> Distribution {
        self.seconds.read()
    }

    pub(crate) fn writes(&self) -> u64 {
        self.writes.get()
    }
}
