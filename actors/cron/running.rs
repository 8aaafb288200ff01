//! What runs of each entry, for `overlap`, and what is being started, for a stop.

use std::collections::BTreeMap;
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
    /// Fires that may have their row and do not have their process yet.
    starting: watch::Sender<usize>,
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
        // Nothing that is done under this lock can panic half way.
        self.by_entry.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
}
