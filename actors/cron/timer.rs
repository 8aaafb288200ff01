//! The timer: when each entry is due, which entries are due now, and how long to sleep until the next one.
//!
//! **The scheduler decides.** job_scheduler_ng holds the entries that are due within two seconds ([`due_jobs`]). Its tick
//! makes the fires, and its time until the next job is the sleep.
//!
//! **The due queue is the truth.** A job only names an entry; the entry fires if the due queue has it, and is taken from
//! there. So an entry fires once for each time at which it was added, whatever jobs run. An entry that is overdue by half a
//! second has a job that did not run, or a date that the scheduler refused; neither should ever be. The timer takes the entry
//! all the same, and the log says so: an error of the scheduler loses no fire, and delays it by [`FORGOTTEN_MS`] and one
//! sleep at most.
//!
//! **The clock may leap.** Entries that a leap forward skips become jobs at the next ring, and run at once. After a leap
//! back the owner takes all entries, which drops their jobs, and adds them anew.
//!
//! [`due_jobs`]: super::due_jobs

use std::sync::Arc;
use std::time::Duration;

use super::LiveEntry;
use super::due_jobs::{DueJobs, date_of};
use super::due_queue::DueQueue;

/// A longer sleep would miss a jump of the clock.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// Entries that are due within this are jobs: longer than the longest sleep, so that every entry is one before its second.
const AHEAD_MS: i64 = 2_000;
/// An entry that is overdue by this has been forgotten by the scheduler.
const FORGOTTEN_MS: i64 = 500;

/// When each live entry is due.
pub(super) struct Timer {
    due_queue: DueQueue,
    jobs: DueJobs,
    /// The entries that are due until then are jobs.
    jobs_until_ms: i64,
}

impl Timer {
    pub(super) fn new() -> Self {
        Self::with_jobs(DueJobs::new(date_of))
    }

    fn with_jobs(jobs: DueJobs) -> Self {
        Self {
            due_queue: DueQueue::default(),
            jobs,
            jobs_until_ms: i64::MIN,
        }
    }

    /// The entry is due then; never if `None`.
    pub(super) fn add(&mut self, due_ms: Option<i64>, entry: Arc<LiveEntry>) {
        if let Some(due_ms) = due_ms.filter(|due_ms| *due_ms <= self.jobs_until_ms) {
            self.jobs.add(due_ms, &entry);
        }
        self.due_queue.add(due_ms, entry);
    }

    /// All entries, and when each was due.
    pub(super) fn take_all(&mut self) -> Vec<(Option<i64>, Arc<LiveEntry>)> {
        self.clear_jobs();
        self.due_queue.take_all()
    }

    /// After a reload: see [`DueQueue::renew`].
    pub(super) fn renew(&mut self, current: impl Fn(&str) -> Option<Arc<LiveEntry>>) {
        self.clear_jobs();
        self.due_queue.renew(current);
    }

    /// Gives the scheduler the entries that are due soon.
    pub(super) fn schedule_soon(&mut self, now_ms: i64) {
        self.make_jobs(now_ms + AHEAD_MS);
    }

    /// The next second at which an entry is due, if that is soon.
    pub(super) fn next_ms(&self) -> Option<i64> {
        self.jobs.next_ms()
    }

    /// How long to sleep until the next ring. None if no entry fires any more.
    pub(super) fn wait(&self) -> Option<Duration> {
        let until_next = self.jobs.wait().unwrap_or(LONGEST_SLEEP);
        let is_needed = self.due_queue.is_waiting();
        is_needed.then_some(until_next.min(LONGEST_SLEEP))
    }

    /// The entries whose time has come, by their seconds.
    pub(super) fn take_due(&mut self, now_ms: i64) -> Vec<(i64, Arc<LiveEntry>)> {
        // In tests the scheduler's clock is another one, which does not leap with this one.
        #[cfg(test)]
        self.make_jobs_anew();
        // Entries that a leap of the clock has skipped.
        self.make_jobs(now_ms);
        let ran = self.jobs.run(now_ms).into_iter();
        let ran = ran.filter_map(|(due_ms, entry)| {
            let entry = self.due_queue.take(due_ms, &entry)?;
            Some((due_ms, entry))
        });
        let mut due: Vec<_> = ran.collect();
        while let Some((due_ms, entry)) = self.due_queue.take_due(now_ms - FORGOTTEN_MS) {
            log::error!(
                "cron `{}`: the scheduler forgot the fire of {}; it is made {} ms late",
                entry.config.name,
                entry.shown(due_ms),
                now_ms - due_ms
            );
            due.push((due_ms, entry));
        }
        due
    }

    fn make_jobs(&mut self, until_ms: i64) {
        if until_ms <= self.jobs_until_ms {
            return;
        }
        for (due_ms, entry) in self.due_queue.between(self.jobs_until_ms, until_ms) {
            self.jobs.add(due_ms, entry);
        }
        self.jobs_until_ms = until_ms;
    }

    fn clear_jobs(&mut self) {
        self.jobs.clear();
        self.jobs_until_ms = i64::MIN;
    }
}

#[cfg(test)]
mod tests;
