//! The daemon's own alerts: conditions that it finds in the state its actors publish (`state/`). It reports their
//! beginning, each hour while they last, and their end.
//!
//! A file a family of rules: each is pure, from what was seen ([`Sight`]) to what is wrong ([`Condition`]). `table.rs`
//! makes notices of it, pure too. `memory.rs` and `watch.rs` hold what must outlive an AlertActor (`actor.rs`), which
//! only keeps time. `early.rs` polls while the daemon waits for its database at the start, before there are actors.
//!
//! **Each daemon reports what it sees itself.** No daemon is elected: the elected one could be without receivers, or of
//! another environment, and then none would report. Conditions that all daemons of one database see alike (a lag, late
//! tasks) are reported by each of them that has receivers, under its own partition and host.
//!
//! **A failed cron run outlives its daemon.** The stop reports what no poll has seen. The next daemon asks the database
//! for the last ends of its entries, and reports once, as a repetition, which of them are still bad: the daemon before
//! may have been killed before it could report them, and an Alertmanager has forgotten them meanwhile. From then on it
//! is an alert like others, so that the next good run resolves it.
//!
//! **Nothing is lost between two polls.** Events (dead letters, misfires) are counted where they happen, by counts that
//! only grow, and compared with the reported counts. The last poll is made at the stop, after everything that writes.

mod actor;
mod age;
mod cron_runs;
mod dead_letters;
mod disk;
mod early;
mod events;
mod lag;
mod late_tasks;
mod memory;
mod misfires;
mod outages;
mod probe;
mod restarts;
mod rules;
mod sight;
mod table;
#[cfg(test)]
mod tests;
mod watch;

pub(crate) use self::actor::AlertActor;
#[cfg(test)]
pub(crate) use self::actor::Crash;
pub(crate) use self::age::ago;
pub(crate) use self::cron_runs::conditions as cron_runs;
pub(crate) use self::early::EarlyAlerts;
pub(crate) use self::lag::conditions as lags;
pub(crate) use self::late_tasks::{condition as late_tasks, shown_count};
pub(crate) use self::memory::Memory;
pub(crate) use self::outages::conditions as outages;
pub(crate) use self::probe::Disks;
pub(crate) use self::watch::{OwnAlerts, Parts};

/// The rules by name, as in `alert.rules`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    Lag,
    DeadLetters,
    CronRuns,
    Misfires,
    Outages,
    LateTasks,
    Restarts,
    Disk,
}

impl Rule {
    pub(super) const ALL: [Self; 8] = [
        Self::Lag,
        Self::DeadLetters,
        Self::CronRuns,
        Self::Misfires,
        Self::Outages,
        Self::LateTasks,
        Self::Restarts,
        Self::Disk,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Lag => "lag",
            Self::DeadLetters => "dead_letters",
            Self::CronRuns => "cron_runs",
            Self::Misfires => "misfires",
            Self::Outages => "outages",
            Self::LateTasks => "late_tasks",
            Self::Restarts => "restarts",
            Self::Disk => "disk",
        }
    }

    /// A daemon that stops sees none of it any more, and nobody else speaks for it: so the stop resolves it. What has
    /// happened stays true after the stop: an Alertmanager forgets it four minutes later.
    pub(super) fn ends_with_the_daemon(self) -> bool {
        !matches!(self, Self::DeadLetters | Self::CronRuns | Self::Misfires)
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Condition {
    /// What it is about. The rule and the subject identify an alert.
    pub(crate) subject: String,
    /// Unix milliseconds.
    pub(crate) since_ms: i64,
    /// One line, without numbers that change.
    pub(crate) summary: String,
    /// How it is now, a sentence.
    pub(crate) text: String,
    /// What would help.
    pub(crate) remedy: String,
    /// Further lines.
    pub(crate) more: Vec<String>,
    /// Some of its events were not reported yet, and cannot wait for the next daemon.
    pub(crate) is_news: bool,
    /// Its time is over: it is here for the events that were not reported, and ends with their report.
    pub(crate) is_over: bool,
    /// An earlier daemon has reported its beginning.
    pub(crate) is_inherited: bool,
}

impl Condition {
    fn details(&self) -> Vec<String> {
        let first = [&self.text, &self.remedy];
        let lines = first.into_iter().chain(&self.more);
        lines.filter(|line| !line.is_empty()).cloned().collect()
    }
}
