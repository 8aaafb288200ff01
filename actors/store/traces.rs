//! What the tables know of one moment of a cron entry: why it ran then, or why it did not.

use diesel::prelude::*;

use super::columns::{ALIVE, MISSED_HEARTBEATS};
use super::daemon_orders::CronRun;
use super::schema::{audit, boot};

/// Rows of each kind that are read: more than a person needs to see why.
pub(in crate::store) const MOST_TRACES: i64 = 20;

/// Which moment is asked about.
#[derive(Debug, Clone)]
pub(crate) struct TracesAsked {
    pub(crate) environment: String,
    pub(crate) partition: String,
    /// The key of the entry.
    pub(crate) entry: String,
    /// What orders to pause and to resume the entry have as their target.
    pub(crate) targets: Vec<String>,
    /// The first and the last millisecond, both within.
    pub(crate) from_ms: i64,
    pub(crate) until_ms: i64,
}

/// See the module's header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Traces {
    /// Runs whose second lies within, the oldest first.
    pub(crate) within: Vec<CronRun>,
    /// Runs of earlier seconds, the newest first.
    pub(crate) before: Vec<CronRun>,
    /// The first run of a later second.
    pub(crate) after: Option<CronRun>,
    /// Daemons of the partition that lived at that time, for a part of it at least.
    pub(crate) boots: Vec<PastBoot>,
    /// The last daemon that ended before, and the first one that began after: by their last heartbeat and their start.
    pub(crate) last_seen_ms: Option<i64>,
    pub(crate) next_start_ms: Option<i64>,
    /// Whether the entry is live, and since when it is that, or not.
    pub(crate) live: Option<(bool, i64)>,
    /// Orders to pause and to resume until then, the newest first.
    pub(crate) pauses: Vec<PauseTrace>,
}

/// A daemon that lived then, or lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PastBoot {
    pub(crate) host: String,
    /// Unix milliseconds of the database's clock.
    pub(crate) started_ms: i64,
    /// When its heartbeats ended; none while it lives.
    pub(crate) until_ms: Option<i64>,
}

/// An order to pause or to resume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PauseTrace {
    /// The row of `audit`.
    pub(crate) id: i64,
    pub(crate) at_ms: i64,
    pub(crate) pauses: bool,
    pub(crate) ordered_by: String,
    pub(crate) target: String,
}

/// Actions of `audit` that are about pauses.
pub(in crate::store) const PAUSE_ACTIONS: [&str; 2] = ["pause", "resume"];

#[derive(Queryable, Selectable)]
#[diesel(table_name = boot)]
pub(in crate::store) struct BootTrace {
    host: String,
    state: i16,
    started_ms: i64,
    heartbeat_ms: i64,
    interval_ms: i64,
}

impl BootTrace {
    /// `now_ms` as the database has it.
    pub(in crate::store) fn boot(self, now_ms: i64) -> PastBoot {
        let silent_from = self.heartbeat_ms + self.interval_ms * MISSED_HEARTBEATS;
        let lives = self.state == ALIVE && silent_from >= now_ms;
        PastBoot {
            host: self.host,
            started_ms: self.started_ms,
            until_ms: (!lives).then_some(self.heartbeat_ms),
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = audit)]
pub(in crate::store) struct AuditTrace {
    id: i64,
    at_ms: i64,
    action: String,
    ordered_by: String,
    target: String,
}

impl From<AuditTrace> for PauseTrace {
    fn from(row: AuditTrace) -> Self {
        Self {
            id: row.id,
            at_ms: row.at_ms,
            pauses: row.action == "pause",
            ordered_by: row.ordered_by,
            target: row.target,
        }
    }
}
