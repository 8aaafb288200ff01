//! Orders that daemons carry out, as they go into the table `daemon_order` and come out of it.

use diesel::prelude::*;

use super::columns::{
    ORDER_WAITING, RUN_CLAIMED, RUN_ENDED, RUN_ENDED_BY_ORDER, RUN_KILLED, RUN_STARTED,
};
use super::cron_run::{Claim, FIRES_MS};
use super::schema::{cron_run, daemon_order};

/// What is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OrderKind {
    /// A run of a cron entry, now.
    Run,
    /// The end of a cron run.
    End,
    /// A LagCheck of the queue entries of one name, on every daemon that has one.
    Check,
}

impl OrderKind {
    const EACH: [Self; 3] = [Self::Run, Self::End, Self::Check];

    /// As `daemon_order.kind` and `audit.action` have it.
    pub(crate) fn column(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::End => "end",
            Self::Check => "check",
        }
    }

    pub(in crate::store) fn of_column(column: &str) -> Option<Self> {
        Self::EACH.into_iter().find(|kind| kind.column() == column)
    }

    /// For people, as `audit.target` has it.
    pub(crate) fn describe(self, name: &str, uk: &str) -> String {
        match self {
            Self::Run => format!("cron `{name}`"),
            Self::End => format!("run {uk} of cron `{name}`"),
            Self::Check => format!("queue `{name}`"),
        }
    }
}

/// An order that is given.
#[derive(Debug, Clone)]
pub(crate) struct NewOrder {
    pub(crate) environment: String,
    /// Whose daemons are meant; of a LagCheck, those of all partitions.
    pub(crate) partition: String,
    pub(crate) kind: OrderKind,
    /// Of the entry.
    pub(crate) name: String,
    /// The key of the cron entry; empty where the name, or the run, identifies it.
    pub(crate) entry: String,
    /// The run that it makes, or ends; empty of a LagCheck.
    pub(crate) uk: String,
    /// Other params than those of the entry.
    pub(crate) params: Option<String>,
    pub(crate) ordered_by: String,
}

/// An order that has not ended, or a LagCheck that was ordered a moment ago.
#[derive(Debug, Clone)]
pub(crate) struct OpenOrder {
    pub(crate) id: i64,
    pub(crate) kind: OrderKind,
    pub(crate) partition: String,
    pub(crate) name: String,
    pub(crate) entry: String,
    pub(crate) uk: String,
    pub(crate) params: Option<String>,
    pub(crate) ordered_by: String,
    /// The boot that carries it out; empty while it waits.
    pub(crate) owner: String,
    /// Whether that boot is alive, as the database knows.
    pub(crate) owner_alive: bool,
    /// How long ago it was given, in milliseconds of the database's clock.
    pub(crate) age_ms: i64,
}

impl OpenOrder {
    pub(crate) fn describe(&self) -> String {
        self.kind.describe(&self.name, &self.uk)
    }

    /// Nobody is at it: it waits, or the daemon that was at it is dead.
    pub(crate) fn is_free(&self) -> bool {
        self.owner.is_empty() || !self.owner_alive
    }
}

/// For how long after it was given the order of a LagCheck is read, in milliseconds, even if another daemon was the
/// first: every daemon does a LagCheck, and each reads orders once a second.
pub(in crate::store) const CHECKS_MS: i64 = 30_000;

/// How an order ended.
#[derive(Debug, Clone)]
pub(crate) struct OrderEnd {
    pub(crate) id: i64,
    /// Only while it is this boot's, or nobody's (empty).
    pub(crate) of_owner: String,
    /// For people, as `audit.result` has it.
    pub(crate) result: String,
}

/// What was ordered about a run: that it is made, or that it is ended.
#[derive(Debug, Clone)]
pub(crate) struct RunOrder {
    pub(crate) id: i64,
    pub(crate) kind: OrderKind,
    pub(crate) name: String,
    pub(crate) uk: String,
    pub(crate) params: Option<String>,
    pub(crate) ordered_by: String,
    /// Unix milliseconds of the database's clock.
    pub(crate) ordered_ms: i64,
    /// Nobody has begun to carry it out.
    pub(crate) is_waiting: bool,
    pub(crate) result: String,
}

/// [`CronRun::status`] before its process runs.
pub(crate) const RUN_STARTING: &str = "starting";

/// A cron run, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CronRun {
    pub(crate) id: i64,
    pub(crate) uk: String,
    pub(crate) partition: String,
    pub(crate) entry: String,
    pub(crate) name: String,
    pub(crate) machine: String,
    pub(crate) scheduled_ms: i64,
    pub(crate) started_ms: i64,
    /// None while it is open.
    pub(crate) ended_ms: Option<i64>,
    /// Of an open run `starting` or `running`.
    pub(crate) status: String,
    /// 0 before it is started.
    pub(crate) pid: i32,
}

impl CronRun {
    /// It was ordered, and is not the fire of a second of its expression.
    pub(crate) fn is_ordered(&self) -> bool {
        is_ordered(self.scheduled_ms)
    }
}

/// Which runs are asked for.
#[derive(Debug, Clone)]
pub(crate) struct RunsAsked {
    pub(crate) partition: String,
    /// Those of the entries of this name, with the keys that they have now; none: all.
    pub(crate) of: Option<(String, Vec<String>)>,
    /// Where the page begins.
    pub(crate) before: RunPlace,
    pub(crate) limit: i64,
}

/// A place in the list of runs, the newest first, and of orders that have no run: behind these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunPlace {
    pub(crate) scheduled_ms: i64,
    /// The id of a run: runs of several entries may have one moment.
    pub(crate) run: i64,
    /// The id of an order.
    pub(crate) order: i64,
}

impl RunPlace {
    /// Before the newest.
    pub(crate) const START: Self = Self {
        scheduled_ms: i64::MAX,
        run: i64::MAX,
        order: i64::MAX,
    };
}

/// Whether a run's moment is that of an order.
///
/// **The moments of orders and of fires are never the same**: a schedule's fires are at whole seconds, and an order's moment
/// never is. So an order takes no second away from the schedule, whose row decides who fires it; and what asks for an
/// entry's last fire (for `misfire`, and for `@every`, which counts from it) leaves orders out.
pub(crate) fn is_ordered(scheduled_ms: i64) -> bool {
    scheduled_ms % FIRES_MS != 0
}

/// The moment of a run that is ordered, claimed now.
pub(crate) fn ordered_moment(now_ms: i64) -> i64 {
    now_ms + i64::from(!is_ordered(now_ms))
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = daemon_order)]
pub(in crate::store) struct Open {
    id: i64,
    kind: String,
    partition_name: String,
    name: String,
    entry: String,
    uk: String,
    params: Option<String>,
    ordered_by: String,
    owner: String,
    ordered_ms: i64,
}

impl Open {
    /// A row of a newer release may have a kind that is not known here.
    pub(in crate::store) fn order(self, now_ms: i64, alive: &[String]) -> Option<OpenOrder> {
        Some(OpenOrder {
            kind: OrderKind::of_column(&self.kind)?,
            owner_alive: alive.contains(&self.owner),
            age_ms: now_ms - self.ordered_ms,
            id: self.id,
            partition: self.partition_name,
            name: self.name,
            entry: self.entry,
            uk: self.uk,
            params: self.params,
            ordered_by: self.ordered_by,
            owner: self.owner,
        })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = daemon_order)]
pub(in crate::store) struct OfRun {
    id: i64,
    kind: String,
    name: String,
    uk: String,
    params: Option<String>,
    ordered_by: String,
    ordered_ms: i64,
    state: i16,
    result: String,
}

impl OfRun {
    pub(in crate::store) fn order(self) -> Option<RunOrder> {
        Some(RunOrder {
            kind: OrderKind::of_column(&self.kind)?,
            is_waiting: self.state == ORDER_WAITING,
            id: self.id,
            name: self.name,
            uk: self.uk,
            params: self.params,
            ordered_by: self.ordered_by,
            ordered_ms: self.ordered_ms,
            result: self.result,
        })
    }
}

#[derive(Queryable, QueryableByName, Selectable)]
#[diesel(table_name = cron_run)]
pub(in crate::store) struct ListedRun {
    id: i64,
    uk: String,
    partition_name: String,
    entry: String,
    name: String,
    machine: String,
    scheduled_ms: i64,
    started_ms: i64,
    ended_ms: i64,
    state: i16,
    status: String,
    pid: i32,
}

impl From<ListedRun> for CronRun {
    fn from(row: ListedRun) -> Self {
        let status = match row.state {
            RUN_CLAIMED => RUN_STARTING.to_owned(),
            RUN_STARTED => "running".to_owned(),
            _ if row.status == RUN_ENDED_BY_ORDER => RUN_KILLED.to_owned(),
            _ => row.status,
        };
        Self {
            ended_ms: (row.state == RUN_ENDED).then_some(row.ended_ms),
            status,
            id: row.id,
            uk: row.uk,
            partition: row.partition_name,
            entry: row.entry,
            name: row.name,
            machine: row.machine,
            scheduled_ms: row.scheduled_ms,
            started_ms: row.started_ms,
            pid: row.pid,
        }
    }
}

/// The newest `limit` runs of several entries, the newest first.
pub(in crate::store) fn newest_of(mut runs: Vec<CronRun>, limit: i64) -> Vec<CronRun> {
    runs.sort_by_key(|run| std::cmp::Reverse((run.scheduled_ms, run.id)));
    runs.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    runs
}

/// What becomes of an order whose run was claimed with it: as `audit.result` has it.
pub(in crate::store) fn came_of_run(uk: &str, claim: Claim) -> String {
    match claim {
        Claim::Skipped => format!("run {uk} is skipped: an earlier run of this entry still runs"),
        _ => format!("run {uk}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_order_has_the_moment_of_a_fire() {
        for (now, moment) in [(1000, 1001), (1001, 1001), (1999, 1999), (0, 1)] {
            assert_eq!(ordered_moment(now), moment);
            assert!(is_ordered(moment));
        }
        assert!(!is_ordered(5000));
    }
}
