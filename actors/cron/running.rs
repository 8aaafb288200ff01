//! What runs of each entry, for `overlap`, and what is being started, for a stop.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// A process that nothing else is mistaken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) start_ticks: Option<u64>,
}

/// A run whose process is known.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) uk: String,
    pub(super) process: Process,
    /// It was ended to make room.
    replaced: bool,
}

/// The runs of each entry that are known to run.
#[derive(Clone, Default)]
pub(crate) struct Running {
    by_entry: Arc<Mutex<BTreeMap<String, Vec<Run>>>>,
    turns: Arc<Mutex<BTreeMap<String, Turns>>>,
    /// Fires that may have their row and do not have their process yet.
    starting: watch::Sender<usize>,
}

/// The fires of one entry that replace its runs, one at a time.
#[derive(Clone, Default)]
struct Turns {
    gate: Arc<tokio::sync::Mutex<()>>,
    /// The scheduled seconds of those that wait for their turn or have it.
    there: BTreeSet<i64>,
}

/// The turn of a fire to make room and start, until this is dropped.
pub(super) struct Turn {
    turns: Arc<Mutex<BTreeMap<String, Turns>>>,
    entry: String,
    scheduled_ms: i64,
    /// None while it waits.
    gate: Option<tokio::sync::OwnedMutexGuard<()>>,
}

impl Turn {
    /// Whether a later fire of the entry waits for its turn: this one would only be replaced at once.
    pub(super) fn is_overtaken(&self) -> bool {
        let turns = lock(&self.turns);
        let last = turns.get(&self.entry).and_then(|turns| turns.there.last());
        last.is_some_and(|last| *last > self.scheduled_ms)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = lock(&self.turns).get_mut(&self.entry) {
            turns.there.remove(&self.scheduled_ms);
        }
        self.gate = None;
    }
}

/// A fire that is being started, until this is dropped.
pub(super) struct Starting(watch::Sender<usize>);

impl Drop for Starting {
    fn drop(&mut self) {
        self.0.send_modify(|fires| *fires -= 1);
    }
}

impl Running {
    pub(super) fn add(&self, entry: &str, uk: &str, process: Process) {
        self.lock().entry(entry.to_owned()).or_default().push(Run {
            uk: uk.to_owned(),
            process,
            replaced: false,
        });
    }

    pub(super) fn remove(&self, entry: &str, uk: &str) {
        let mut running = self.lock();
        if let Some(runs) = running.get_mut(entry) {
            runs.retain(|run| run.uk != uk);
            if runs.is_empty() {
                running.remove(entry);
            }
        }
    }

    pub(super) fn of(&self, entry: &str) -> Vec<Run> {
        self.lock().get(entry).cloned().unwrap_or_default()
    }

    pub(super) fn replace(&self, entry: &str, uk: &str) {
        if let Some(runs) = self.lock().get_mut(entry) {
            for run in runs.iter_mut().filter(|run| run.uk == uk) {
                run.replaced = true;
            }
        }
    }

    pub(super) fn was_replaced(&self, entry: &str, uk: &str) -> bool {
        let running = self.lock();
        let runs = running.get(entry);
        runs.is_some_and(|runs| runs.iter().any(|run| run.uk == uk && run.replaced))
    }

    /// Waits until no other fire of the entry makes room or starts.
    pub(super) async fn turn(&self, entry: &str, scheduled_ms: i64) -> Turn {
        let gate = {
            let mut turns = lock(&self.turns);
            let turns = turns.entry(entry.to_owned()).or_default();
            turns.there.insert(scheduled_ms);
            Arc::clone(&turns.gate)
        };
        let mut turn = Turn {
            turns: Arc::clone(&self.turns),
            entry: entry.to_owned(),
            scheduled_ms,
            gate: None,
        };
        turn.gate = Some(gate.lock_owned().await);
        turn
    }

    pub(super) fn begin(&self) -> Starting {
        self.starting.send_modify(|fires| *fires += 1);
        Starting(self.starting.clone())
    }

    /// Waits until every fire that has begun has its process, or its end.
    pub(super) fn all_started(&self) -> impl Future<Output = ()> + use<> {
        let mut starting = self.starting.subscribe();
        async move {
            // An error means that nobody can begin any more.
            let _ = starting.wait_for(|fires| *fires == 0).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Run>>> {
        lock(&self.by_entry)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is done under these locks can panic half way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_a_run_was_replaced_is_forgotten_with_it() {
        let running = Running::default();
        let process = Process {
            pid: 7,
            start_ticks: None,
        };
        for uk in ["a", "b"] {
            running.add("e", uk, process);
        }
        running.replace("e", "a");
        assert!(running.was_replaced("e", "a"));
        assert!(
            !running.was_replaced("e", "b"),
            "another run, once with the same pid"
        );
        running.remove("e", "a");
        running.add("e", "a", process);
        assert!(!running.was_replaced("e", "a"));
        assert_eq!(running.of("e").len(), 2);
    }

    #[actix::test]
    async fn fires_that_wait_for_their_turn_are_overtaken_by_the_last() {
        let running = Running::default();
        let first = running.turn("e", 1000).await;
        assert!(!first.is_overtaken());
        let second = running.turn("e", 2000);
        let third = running.turn("e", 3000);
        tokio::pin!(second, third);
        assert!(futures_util::poll!(&mut second).is_pending());
        assert!(futures_util::poll!(&mut third).is_pending());
        assert!(first.is_overtaken(), "after its wait it looks again");
        running.turn("f", 4000).await;
        drop(first);
        let second = second.await;
        assert!(second.is_overtaken());
        drop(second);
        assert!(!third.await.is_overtaken());
        // A clock that went back.
        assert!(!running.turn("e", 500).await.is_overtaken());
    }
}
