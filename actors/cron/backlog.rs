//! Fires that are not made at their second: those that wait for the database, and misfires that are made up for.
//!
//! **An outage costs a few bytes a fire.** A fire whose row the database does not take within two seconds gives up its place
//! there, and only its second is kept. Those within `misfire_grace` are all made when the database is back; of those beyond
//! it an entry keeps the last that `misfire` makes up for, and a count of the others.
//!
//! **Fresh fires go first.** Only a few of the fires that wait here are with the database at a time, and their
//! processes start when no fresh one waits to be started.
//!
//! **One after another.** Made at once, all misfires of an entry but one would be skipped or replaced, where `overlap` is not
//! `allow`. So with `forbid` each waits until the entry is free, by the claim itself; with `replace` until no other misfire
//! of it is being made up for: it replaces what ran before, and gives way to what is due later, as any fire.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::fire::{AtEntry, Attempt, Ready, attempt};
use super::waiting::{Expired, Lateness, Waiting};
use super::{CronConfig, LiveEntry, Spawner, claim, replace};
use crate::clock::{millis, now_ms};
use crate::config::Overlap;
use crate::store::rows::GivenUp;

/// Late fires that are with the database, or being started, at once. It takes them in one commit, which a fresh fire may
/// have to wait for.
const AT_ONCE: usize = 32;
/// Before a misfire asks again whether its entry is free.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The fires of all entries. Outlives an actor that dies.
#[derive(Clone, Default)]
pub(crate) struct Backlog {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    by_entry: BTreeMap<String, Waiting>,
    /// Jobs that are with the database or being started, but for series: those have one each.
    at_work: usize,
    /// The daemon stops: nothing more is made.
    closed: bool,
}

/// What is to be done next.
enum Job {
    Fire(Arc<LiveEntry>, i64, GivenUp),
    /// The misfires of an entry, one after another.
    Series(Arc<LiveEntry>),
    /// A row for those that are not made.
    Report(Arc<LiveEntry>, Expired),
}

/// A job is with the database or being started, until this is dropped.
struct AtWork(Backlog);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.state.lock().at_work -= 1;
    }
}

impl Backlog {
    /// A fire that is late, or a misfire that is made up for.
    pub(super) fn add(
        &self,
        config: &Arc<CronConfig>,
        entry: &Arc<LiveEntry>,
        scheduled_ms: i64,
        spawner: &Arc<Spawner>,
    ) {
        let lateness = match scheduled_ms < too_late(config) {
            true => Lateness::Misfire,
            false => Lateness::Late,
        };
        self.keep(config, entry, scheduled_ms, lateness);
        self.pump(config, spawner);
    }

    /// A fire that the database did not take in time. Later it is a misfire.
    pub(super) fn add_untaken(
        &self,
        config: &Arc<CronConfig>,
        entry: &Arc<LiveEntry>,
        scheduled_ms: i64,
        spawner: &Arc<Spawner>,
    ) {
        self.keep(config, entry, scheduled_ms, Lateness::Late);
        self.pump(config, spawner);
    }

    fn keep(&self, config: &CronConfig, entry: &Arc<LiveEntry>, at: i64, lateness: Lateness) {
        let mut state = self.state.lock();
        if state.closed {
            return;
        }
        let waiting = state.by_entry.entry(entry.key.clone());
        let waiting = waiting.or_insert_with(|| Waiting::new(Arc::clone(entry)));
        waiting.add(at, lateness);
        waiting.expire(too_late(config));
    }

    /// Whether it is to be made from here: a claim that was given up may have been committed all the same.
    pub(super) fn holds(&self, entry: &str, scheduled_ms: i64) -> bool {
        let state = self.state.lock();
        let waiting = state.by_entry.get(entry);
        waiting.is_some_and(|waiting| waiting.holds(scheduled_ms))
    }

    /// Makes nothing more but what is being claimed.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        for waiting in state.by_entry.values_mut() {
            waiting.close("the daemon stops");
        }
    }

    /// After a reload: of entries that are gone only what is being claimed is made. The others have the entry as it is now.
    pub(super) fn renew(&self, current: impl Fn(&str) -> Option<Arc<LiveEntry>>) {
        let mut state = self.state.lock();
        for (key, waiting) in &mut state.by_entry {
            match current(key) {
                Some(entry) => waiting.entry = entry,
                None => waiting.close("its entry is gone"),
            }
        }
        state.by_entry.retain(|_, waiting| !waiting.is_over());
    }

    /// Begins what may be done now.
    fn pump(&self, config: &Arc<CronConfig>, spawner: &Arc<Spawner>) {
        while let Some(job) = self.next(config) {
            let (backlog, config, spawner) =
                (self.clone(), Arc::clone(config), Arc::clone(spawner));
            // Not in an actor's context: an end of the actor must not leave a claimed fire without its process.
            actix_rt::spawn(async move { backlog.carry_out(job, &config, &spawner).await });
        }
    }

    /// Misfires that need their turn, then the earliest fire, then what is to be reported.
    fn next(&self, config: &CronConfig) -> Option<Job> {
        let too_late = too_late(config);
        let mut state = self.state.lock();
        let state = &mut *state;
        for waiting in state.by_entry.values_mut() {
            waiting.expire(too_late);
        }
        let in_turn = state.by_entry.values_mut();
        let mut in_turn = in_turn.filter(|waiting| one_after_another(&waiting.entry));
        if let Some(entry) = in_turn.find_map(|waiting| waiting.begin_series(too_late)) {
            return Some(Job::Series(entry));
        }
        if state.at_work >= AT_ONCE || state.closed {
            return None;
        }
        let job = state.first_fire(too_late).or_else(|| state.first_report());
        state.at_work += usize::from(job.is_some());
        state.by_entry.retain(|_, waiting| !waiting.is_over());
        job
    }

    async fn carry_out(self, job: Job, config: &Arc<CronConfig>, spawner: &Arc<Spawner>) {
        match job {
            Job::Fire(entry, at, given_up) => {
                let at_work = AtWork(self.clone());
                let attempt = attempt(config, &entry, at, AtEntry::AsConfigured, given_up).await;
                if let Some(ready) = self.answered(&entry, at, attempt).await {
                    let running = ready.start(spawner).await;
                    drop(at_work);
                    self.pump(config, spawner);
                    return running.watch_to_end().await;
                }
            }
            Job::Series(entry) => self.make_series(config, &entry, spawner).await,
            Job::Report(entry, expired) => {
                let _at_work = AtWork(self.clone());
                let reported = claim::report(config, &entry, &expired).await;
                self.with(&entry, |waiting| waiting.end_report(&expired, reported));
            }
        }
        self.pump(config, spawner);
    }

    /// Until none is left. The database shows whether the run before has ended, whichever daemon started it.
    async fn make_series(
        &self,
        config: &Arc<CronConfig>,
        entry: &Arc<LiveEntry>,
        spawner: &Arc<Spawner>,
    ) {
        loop {
            let next = self.with(entry, |waiting| waiting.next_of_series(too_late(config)));
            let Some((at, given_up)) = next.flatten() else {
                return;
            };
            let at_entry = match entry.config.overlap {
                Overlap::Replace => AtEntry::AsConfigured,
                _ => AtEntry::WhenFree,
            };
            let attempt = match at_entry {
                AtEntry::AsConfigured if replace::awaits_made_up(config, &entry.key).await => {
                    Attempt::Busy
                }
                _ => attempt(config, entry, at, at_entry, given_up).await,
            };
            let busy = matches!(attempt, Attempt::Busy);
            if let Some(ready) = self.answered(entry, at, attempt).await {
                ready.make(spawner).await;
            }
            if busy {
                tokio::time::sleep(ASK_AGAIN).await;
            }
        }
    }

    /// What became of a claim. Some where the fire is to be made.
    async fn answered(&self, entry: &LiveEntry, at: i64, attempt: Attempt) -> Option<Box<Ready>> {
        match attempt {
            Attempt::Ours(ready) => {
                let lateness = self.with(entry, |waiting| waiting.end_claim(at));
                match lateness.flatten() {
                    Some(Lateness::Late) => {}
                    Some(Lateness::Misfire) => log_made_up(entry, at),
                    // Its row was written in the moment in which a later one took its place.
                    None => {
                        ready.give_up().await;
                        return None;
                    }
                }
                Some(ready)
            }
            Attempt::Others => {
                self.with(entry, |waiting| waiting.end_claim(at));
                None
            }
            Attempt::NotTaken | Attempt::Busy => {
                self.with(entry, |waiting| waiting.put_back(at));
                None
            }
        }
    }

    fn with<T>(&self, entry: &LiveEntry, act: impl FnOnce(&mut Waiting) -> T) -> Option<T> {
        self.state.lock().by_entry.get_mut(&entry.key).map(act)
    }

    /// Fires that are kept, for tests.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.state.lock().by_entry.values().map(Waiting::len).sum()
    }
}

impl State {
    fn first_fire(&mut self, too_late: i64) -> Option<Job> {
        let first = self.by_entry.values_mut().filter_map(|waiting| {
            let from = match one_after_another(&waiting.entry) {
                true => too_late,
                false => i64::MIN,
            };
            Some((waiting.first_from(from)?, waiting))
        });
        let (at, waiting) = first.min_by_key(|(at, _)| *at)?;
        let given_up = waiting.begin_claim(at)?;
        Some(Job::Fire(Arc::clone(&waiting.entry), at, given_up))
    }

    fn first_report(&mut self) -> Option<Job> {
        self.by_entry.values_mut().find_map(|waiting| {
            let expired = waiting.begin_report()?;
            Some(Job::Report(Arc::clone(&waiting.entry), expired))
        })
    }
}

fn one_after_another(entry: &LiveEntry) -> bool {
    entry.config.overlap != Overlap::Allow
}

/// Fires before that are misfires. One that is late by exactly the grace is in time.
fn too_late(config: &CronConfig) -> i64 {
    now_ms() - millis(config.misfire_grace)
}

fn log_made_up(entry: &LiveEntry, at: i64) {
    log::warn!(
        "cron `{}`: the missed fire of {} is made up for now",
        entry.config.name,
        entry.shown(at)
    );
}

#[cfg(test)]
mod tests;
