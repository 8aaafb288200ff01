//! How long the runs of a cron entry usually take, and whether one takes longer.
//!
//! The last successful runs are kept in memory. What earlier daemons saw of them comes from the database once, by the index of the
//! entry's runs; from then on this daemon adds those whose end it sees.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Serialize;

use super::EndedRun;

/// Successful runs that the median is taken of.
const MOST_RUNS: usize = 50;
/// Fewer say nothing of what is usual.
const FEWEST_RUNS: usize = 5;
/// A run is slower than usual when it takes more than this many times as long,
const SLOW_TIMES: i64 = 2;
/// and at least this much longer: runs of a second take three from time to time.
const SLOW_BY_MS: i64 = 5_000;

/// Which run takes longer than usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Slower {
    /// One that goes on.
    Running,
    /// The last one that ended.
    Last,
}

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct Durations {
    /// The oldest first: a hash of the run's key, and milliseconds.
    runs: VecDeque<(u64, i64)>,
    /// Of all that ended, however.
    last_ms: Option<i64>,
    usual_ms: Option<i64>,
    is_loaded: bool,
}

impl Durations {
    /// A run has ended. Answers nothing: the next reader sees it.
    pub(super) fn ended(&mut self, run_id: &str, status: &str, took_ms: i64) {
        self.last_ms = Some(took_ms);
        if status == "success" {
            self.add(hash(run_id), took_ms);
            self.usual_ms = self.median();
        }
    }

    /// What the database knows, the newest first; only the first answer counts.
    pub(super) fn load(&mut self, runs: &[EndedRun]) {
        if std::mem::replace(&mut self.is_loaded, true) {
            return;
        }
        let seen_here = std::mem::take(&mut self.runs);
        let took = |run: &EndedRun| run.ended_ms.saturating_sub(run.started_ms).max(0);
        let ran = |run: &&EndedRun| run.ended_ms > 0 && run.status != "skipped";
        self.last_ms = self.last_ms.or_else(|| runs.iter().find(ran).map(took));
        let good = runs.iter().rev().filter(|run| run.status == "success");
        for run in good.filter(ran) {
            self.add(hash(&run.uk), took(run));
        }
        for (run, took_ms) in seen_here {
            if !self.runs.iter().any(|(known, _)| *known == run) {
                self.add(run, took_ms);
            }
        }
        self.usual_ms = self.median();
    }

    pub(super) fn is_loaded(&self) -> bool {
        self.is_loaded
    }

    pub(super) fn usual_ms(&self) -> Option<i64> {
        self.usual_ms
    }

    pub(super) fn last_ms(&self) -> Option<i64> {
        self.last_ms
    }

    /// `running_ms`: for how long the oldest run has been going on.
    pub(super) fn slower(&self, running_ms: Option<i64>) -> Option<Slower> {
        let usual_ms = self.usual_ms?;
        let is_slow = |took_ms: Option<i64>| took_ms.is_some_and(|took| is_slow(took, usual_ms));
        match (is_slow(running_ms), is_slow(self.last_ms)) {
            (true, _) => Some(Slower::Running),
            (false, true) => Some(Slower::Last),
            (false, false) => None,
        }
    }

    fn add(&mut self, run: u64, took_ms: i64) {
        if self.runs.len() == MOST_RUNS {
            self.runs.pop_front();
        }
        self.runs.push_back((run, took_ms));
    }

    /// The lower one of the two in the middle, where there are two.
    fn median(&self) -> Option<i64> {
        if self.runs.len() < FEWEST_RUNS {
            return None;
        }
        let mut sorted: Vec<i64> = self.runs.iter().map(|(_, took_ms)| *took_ms).collect();
        sorted.sort_unstable();
        sorted.get((sorted.len() - 1) / 2).copied()
    }
}

fn is_slow(took_ms: i64, usual_ms: i64) -> bool {
    took_ms > usual_ms.saturating_mul(SLOW_TIMES) && took_ms >= usual_ms.saturating_add(SLOW_BY_MS)
}

/// Keys are long, and are only compared here.
fn hash(run_id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    run_id.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(uk: &str, status: &str, took_ms: i64) -> EndedRun {
        EndedRun {
            uk: uk.to_owned(),
            owner: String::new(),
            status: status.to_owned(),
            started_ms: 1000,
            ended_ms: 1000 + took_ms,
        }
    }

    fn of(all: &[i64]) -> Durations {
        let mut durations = Durations::default();
        for (n, took_ms) in all.iter().enumerate() {
            durations.ended(&n.to_string(), "success", *took_ms);
        }
        durations
    }

    #[test]
    fn what_is_usual_is_the_median_of_the_last_successful_runs() {
        assert_eq!(of(&[1, 2, 3, 4]).usual_ms(), None, "too few");
        assert_eq!(of(&[9, 1, 5, 3, 100]).usual_ms(), Some(5));
        assert_eq!(of(&[9, 1, 5, 3, 100, 6]).usual_ms(), Some(5));
        let mut many = of(&[1_000; 30]);
        for n in 0..50 {
            many.ended(&format!("later {n}"), "success", 7);
        }
        assert_eq!(many.usual_ms(), Some(7), "the last 50");
        many.ended("x", "failed", 9_999);
        assert_eq!((many.usual_ms(), many.last_ms()), (Some(7), Some(9_999)));
    }

    #[test]
    fn a_run_is_slow_by_the_factor_and_by_the_seconds() {
        for (usual_ms, took_ms, slow) in [
            (10_000, 20_000, false),
            (10_000, 20_001, true),
            (1_000, 5_999, false),
            (1_000, 6_000, true),
            (0, 4_999, false),
            (0, 5_000, true),
            (5_000, 10_000, false),
            (i64::MAX, i64::MAX, false),
        ] {
            assert_eq!(is_slow(took_ms, usual_ms), slow, "{usual_ms} {took_ms}");
        }
        let mut durations = of(&[10_000; 5]);
        assert_eq!(durations.slower(None), None);
        assert_eq!(durations.slower(Some(30_000)), Some(Slower::Running));
        durations.ended("x", "timeout", 30_000);
        assert_eq!(durations.slower(Some(1)), Some(Slower::Last));
        assert_eq!(
            of(&[1; 4]).slower(Some(i64::MAX)),
            None,
            "nothing is usual yet"
        );
    }

    #[test]
    fn durations_of_the_database_count_once() {
        let mut durations = Durations::default();
        durations.ended("e", "success", 50);
        durations.ended("f", "success", 60);
        let rows = [
            run("e", "success", 50),
            run("d", "failed", 1_000_000),
            run("s", "skipped", 0),
            run("c", "success", 30),
            run("b", "success", 20),
            run("a", "success", 10),
        ];
        durations.load(&rows);
        let kept: Vec<i64> = durations.runs.iter().map(|(_, took_ms)| *took_ms).collect();
        assert_eq!(kept, [10, 20, 30, 50, 60]);
        assert_eq!(
            (durations.usual_ms(), durations.last_ms()),
            (Some(30), Some(60))
        );
        durations.load(&[run("z", "success", 1)]);
        assert_eq!(durations.runs.len(), 5, "once");

        let mut fresh = Durations::default();
        fresh.load(&rows[1..]);
        assert_eq!((fresh.usual_ms(), fresh.last_ms()), (None, Some(1_000_000)));
    }
}
