//! The daemon's own alerts: states that it finds in what its actors publish (`state/`), and says when they begin, each hour
//! while they last, and when they end.
//!
//! A file a family of rules: each is pure, from what was seen ([`Sight`]) to what is wrong ([`Condition`]). `table.rs` makes
//! notices of it, pure too. `memory.rs` and `watch.rs` hold what must outlive an AlertActor (`actor.rs`), which only keeps time.
//! `early.rs` looks while the daemon waits for its database at the start, before there are actors.
//!
//! **Each daemon speaks for what it sees itself.** Nobody is elected: a daemon without receivers, or of another environment,
//! could be the one, and then nobody would speak. What all daemons of one database see alike (a lag, late tasks) is said by
//! each of them that has receivers, under its own partition and host.
//!
//! **A failed cron run outlives its daemon.** The stop says what no look has seen. The next daemon asks the database for the last
//! ends of its entries, and says once, as a repetition, which of them are still bad: the one before may have been killed before
//! it could say so, and an Alertmanager has forgotten it meanwhile. From then on it is an alert like others, so that the next
//! good run resolves it.
//!
//! **Nothing is lost between two looks.** What happens rather than lasts (dead letters, misfires) is counted where it happens,
//! by counts that only grow, and compared with what was said. The last look is made at the stop, after all that writes.

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
    /// Something of it was not said yet, and cannot wait for the next daemon.
    pub(crate) is_news: bool,
    /// Its time is over: it is here for what was not said, and ends with that.
    pub(crate) is_over: bool,
    /// An earlier daemon has begun to say it.
    pub(crate) is_inherited: bool,
}

impl Condition {
    fn details(&self) -> Vec<String> {
        let first = [&self.text, &self.remedy];
        let lines = first.into_iter().chain(&self.more);
        lines.filter(|line| !line.is_empty()).cloned().collect()
    }
}
