//! Writes of cron: its entries, its fires, and their runs.

use super::Operation;
use crate::store::rows::{AtOverlap, Claim, Fire, KnownEntry, RunEnd};

/// Marks which cron entries are live, all others of the partition as not. Replies from when on each entry's fires are to
/// be made, in the order of the entries, in unix milliseconds: its last known fire, else since when it is live.
#[derive(Debug, Clone)]
pub(crate) struct SyncEntries {
    pub(crate) partition: String,
    pub(crate) entries: Vec<KnownEntry>,
}

impl Operation for SyncEntries {
    type Reply = Vec<i64>;
    const IS_URGENT: bool = true;
    const HAS_PARTS: bool = true;

    fn has_words_of_one(&self) -> bool {
        true
    }
}

/// Claims one entry's scheduled second. Replies whose the fire is.
#[derive(Debug, Clone)]
pub(crate) struct ClaimFire(pub(crate) Fire);

impl Operation for ClaimFire {
    type Reply = Claim;
    const IS_URGENT: bool = true;
    const CLAIMS_A_FIRE: bool = true;
    const HAS_PARTS: bool = true;

    fn has_words_of_one(&self) -> bool {
        true
    }

    fn given_up(&self) -> Option<Claim> {
        self.0.given_up.is_set().then_some(Claim::Missed)
    }
}

/// Takes over a fire that its daemon, another one or this, claimed and did not start; what `at_overlap` asks for is asked
/// again. Replies whose the fire is.
#[derive(Debug, Clone)]
pub(crate) struct TakeFire {
    pub(crate) uk: String,
    pub(crate) from: String,
    pub(crate) owner: String,
    pub(crate) at_overlap: AtOverlap,
}

impl Operation for TakeFire {
    type Reply = Claim;
    const IS_URGENT: bool = true;
    const HAS_PARTS: bool = true;

    fn has_words_of_one(&self) -> bool {
        true
    }
}

/// The run's process exists.
#[derive(Debug, Clone)]
pub(crate) struct RunStarted {
    pub(crate) uk: String,
    pub(crate) pid: i32,
    /// When it started, by the operating system: the pid may become another's.
    pub(crate) start_ticks: Option<i64>,
}

impl Operation for RunStarted {
    type Reply = ();
    const IS_URGENT: bool = true;
    const HAS_PARTS: bool = true;
}

/// The run's end. Replies whether this was its first one, which alone counts.
#[derive(Debug, Clone)]
pub(crate) struct EndRun(pub(crate) RunEnd);

impl Operation for EndRun {
    type Reply = bool;
    const IS_URGENT: bool = true;
    const HAS_PARTS: bool = true;

    fn has_words_of_one(&self) -> bool {
        true
    }
}

/// Deletes at most `TRIM_ROWS` old, ended `cron_run` rows. Replies how many; fewer: none is left.
#[derive(Debug, Clone)]
pub(crate) struct TrimRuns {
    pub(crate) before_ms: i64,
}

impl Operation for TrimRuns {
    type Reply = usize;
}
