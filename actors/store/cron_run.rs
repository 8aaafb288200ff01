//! Cron's rows: what goes into the tables and comes out of them.

pub(crate) use crate::state::EndedRun;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The fires of a schedule are at whole seconds, in unix milliseconds; the moment of an ordered run never is (see
/// `daemon_orders::is_ordered`).
pub(in crate::store) const FIRES_MS: i64 = 1000;

/// The condition that leaves out ordered runs: it is about `scheduled_ms` of `cron_run`, and is the same on each database.
pub(in crate::store) const IS_FIRE: &str = "scheduled_ms % 1000 = 0";

/// A row of `cron_run` that is to be deleted: its id, partition, entry and second.
pub(in crate::store) type OldRun = (i64, String, String, i64);

/// The newest second of each entry among them that was a fire of its schedule; what lies ahead is of a clock that was wrong. In one order in every daemon.
pub(in crate::store) fn newest(old: &[OldRun], now_ms: i64) -> BTreeMap<(&str, &str), i64> {
    let mut newest = BTreeMap::new();
    let fires = old
        .iter()
        .filter(|(.., at)| *at <= now_ms && at % FIRES_MS == 0);
    for (_, partition, entry, at) in fires {
        let newest: &mut i64 = newest
            .entry((partition.as_str(), entry.as_str()))
            .or_default();
        *newest = (*newest).max(*at);
    }
    newest
}

/// A fire that this daemon wants to make.
#[derive(Debug, Clone)]
pub(crate) struct Fire {
    pub(crate) partition: String,
    pub(crate) entry: String,
    pub(crate) scheduled_ms: i64,
    pub(crate) uk: String,
    pub(crate) name: String,
    pub(crate) exec_cmd: String,
    pub(crate) params: String,
    pub(crate) owner: String,
    pub(crate) machine: String,
    pub(crate) timeout_ms: i64,
    /// Whether the run is a row of `crontab_log` too.
    pub(crate) is_log: bool,
    pub(crate) at_overlap: AtOverlap,
    /// Its time is over: it is written as ended, with this result, and blocks no other run.
    pub(crate) expired: Option<String>,
    pub(crate) given_up: GivenUp,
    /// The order that it carries out, which ends with its row; none of a fire of the schedule.
    pub(crate) order: Option<i64>,
}

/// Whether the caller has given a claim up: from then on the claim inserts nothing, unless that is under way. The
/// caller shares it with the waiting write.
#[derive(Debug, Clone, Default)]
pub(crate) struct GivenUp(Arc<AtomicBool>);

impl GivenUp {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What a fire does about other runs of its entry that are open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AtOverlap {
    Allow,
    /// `overlap: forbid`: the fire ends as `skipped`, with this result.
    Skip {
        result: String,
    },
    /// `overlap: replace`: runs of earlier seconds are marked, and the daemon that watches a run ends it.
    Replace,
    /// The fire is made when no run of its entry is open; before, it has no row.
    Wait,
}

/// Whose a fire is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The caller fires it.
    Ours,
    /// Nobody's: an earlier run of the entry is open.
    Skipped,
    /// Nobody's, and there is no row: a run of the entry is open.
    Busy,
    /// Nobody's: its time was over before it had its row, or the caller has given it up.
    Missed,
    /// Another's, or it has been made.
    Others,
}

/// How a cron run ended.
#[derive(Debug, Clone)]
pub(crate) struct RunEnd {
    pub(crate) uk: String,
    /// `success`, `failed`, `timeout`, `killed`, `lost` or `skipped`.
    pub(crate) status: String,
    /// `{"status":0|1,"data":…}`.
    pub(crate) result: String,
    pub(crate) pid: i32,
    pub(crate) ended_ms: i64,
    /// Only while the row is this boot's: only the owner of a run may write that it never began.
    pub(crate) only_of: Option<String>,
}

/// The key of an entry, and runs of it.
pub(crate) type EntryRuns = (String, Vec<EndedRun>);

impl From<(String, String, String, i64, i64)> for EndedRun {
    fn from((uk, owner, status, started_ms, ended_ms): (String, String, String, i64, i64)) -> Self {
        Self {
            uk,
            owner,
            status,
            started_ms,
            ended_ms,
        }
    }
}

/// A run whose end is not in the database.
#[derive(Debug, Clone)]
pub(crate) struct OpenRun {
    pub(crate) uk: String,
    pub(crate) entry: String,
    pub(crate) scheduled_ms: i64,
    pub(crate) owner: String,
    pub(crate) name: String,
    pub(crate) machine: String,
    /// 0 before it is started.
    pub(crate) pid: i32,
    pub(crate) start_ticks: Option<i64>,
    pub(crate) timeout_ms: i64,
    pub(crate) started_ms: i64,
    /// Whether the boot that fired it is still alive, as the database knows.
    pub(crate) owner_alive: bool,
    /// A later fire of the entry takes its place: it is to be ended.
    pub(crate) replaced: bool,
    /// It is ordered to end.
    pub(crate) ending: bool,
}

/// A live cron entry, as the database knows it.
#[derive(Debug, Clone)]
pub(crate) struct KnownEntry {
    pub(crate) entry: String,
    /// What it was called by earlier versions: it inherits what is known by these names.
    pub(crate) former: Vec<String>,
    pub(crate) name: String,
    pub(crate) expression: String,
}
