//! What runs now.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde::Serialize;

use super::recent::cut;

/// More than this many are counted and not listed.
const MOST_LISTED: usize = 100;

/// One job that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RunningView {
    pub(crate) id: String,
    /// Unix milliseconds.
    pub(crate) since_ms: i64,
    /// The process of a cron run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pid: Option<i32>,
}

/// Jobs by their start. An entry goes when its guard is dropped, by a panic too.
#[derive(Debug, Default)]
pub(crate) struct RunningJobs {
    jobs: Mutex<Jobs>,
}

#[derive(Debug, Default)]
struct Jobs {
    next: u64,
    by_start: BTreeMap<u64, RunningView>,
}

/// Keeps one job among those that run.
#[must_use]
pub(crate) struct Runs<'a> {
    jobs: &'a RunningJobs,
    number: u64,
}

impl RunningJobs {
    pub(crate) fn begin(&self, id: &str, since_ms: i64, pid: Option<i32>) -> Runs<'_> {
        let mut jobs = self.jobs.lock();
        let number = jobs.next;
        jobs.next += 1;
        let view = RunningView {
            id: cut(id),
            since_ms,
            pid,
        };
        jobs.by_start.insert(number, view);
        Runs { jobs: self, number }
    }

    /// Those that have run for longest first.
    pub(crate) fn list(&self) -> Vec<RunningView> {
        let jobs = self.jobs.lock();
        jobs.by_start.values().take(MOST_LISTED).cloned().collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.jobs.lock().by_start.len()
    }
}

impl Drop for Runs<'_> {
    fn drop(&mut self) {
        self.jobs.jobs.lock().by_start.remove(&self.number);
    }
}
