//! One outage is two log lines: went away, came back after.

use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The shortest and the longest pause between two tries at something that is away.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Keeps watch over one thing that may be away.
#[derive(Debug)]
pub(crate) struct Outage {
    shared: Arc<Shared>,
    /// Whether the last try failed.
    failing: bool,
    tries: u32,
}

/// What several that need the same thing know of it.
#[derive(Debug)]
struct Shared {
    what: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    /// How many of those that need it see it away.
    failing: usize,
}

impl Outage {
    /// `what` begins the log lines: "the database", "queue `orders`".
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self::of(Arc::new(Shared {
            what: what.into(),
            state: Mutex::default(),
        }))
    }

    /// For another that needs the same thing: it is away when the first says so, and back when all do.
    pub(crate) fn beside(&self) -> Self {
        Self::of(Arc::clone(&self.shared))
    }

    fn of(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            failing: false,
            tries: 0,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under this lock can panic half way.
        let state = self.shared.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    /// A try failed. Answers how long to wait before the next.
    pub(crate) fn failed(&mut self, cause: impl Display) -> Duration {
        if !self.failing {
            self.failing = true;
            let mut state = self.state();
            state.failing += 1;
            if state.failing == 1 {
                state.since = Some(Instant::now());
                log::warn!(
                    "{} is away, trying again until it is back: {cause}",
                    self.shared.what
                );
            }
        }
        let pause = FIRST_PAUSE
            .saturating_mul(1 << self.tries.min(10))
            .min(LONGEST_PAUSE);
        self.tries += 1;
        pause
    }

    /// A try went well.
    pub(crate) fn passed(&mut self) {
        self.tries = 0;
        if !self.failing {
            return;
        }
        self.failing = false;
        let mut state = self.state();
        state.failing -= 1;
        if state.failing == 0
            && let Some(since) = state.since.take()
        {
            let away = since.elapsed().as_secs_f64();
            log::info!("{} is back after {away:.1} s", self.shared.what);
        }
    }
}

/// Whoever goes sees nothing any more.
impl Drop for Outage {
    fn drop(&mut self) {
        if self.failing {
            self.state().failing -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_start_anew() {
        let mut outage = Outage::new("it");
        let pauses: Vec<u128> = (0..8).map(|_| outage.failed("gone").as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 2000, 2000, 2000]);
        outage.passed();
        assert_eq!(outage.failed("gone"), FIRST_PAUSE);
    }
}
