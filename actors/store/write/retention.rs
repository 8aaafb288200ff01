//! Writes that delete what is old, of tables with an age of their own: each a portion.

use super::Operation;

/// Old rows are deleted in portions of this many, so that no transaction is long.
pub(crate) const TRIM_ROWS: usize = 500;

/// Of the oldest `TRIM_ROWS` rows of `crontab_log` with a higher id deletes those that started before that and do not
/// run any more.
#[derive(Debug, Clone)]
pub(crate) struct TrimCrontabLog {
    /// Unix milliseconds.
    pub(crate) before_ms: i64,
    pub(crate) after_id: i64,
}

impl Operation for TrimCrontabLog {
    type Reply = Trimmed;
    const HAS_PARTS: bool = true;
}

/// Of the oldest `TRIM_ROWS` dead letters with a higher id deletes those that died before that.
#[derive(Debug, Clone)]
pub(crate) struct TrimDeadLetters {
    /// Unix milliseconds.
    pub(crate) before_ms: i64,
    pub(crate) after_id: i64,
}

impl Operation for TrimDeadLetters {
    type Reply = Trimmed;
    const HAS_PARTS: bool = true;
}

/// What became of a portion of a table's oldest rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trimmed {
    pub(crate) deleted: usize,
    /// Behind this id there may be more; none where the rows are young, or there are none.
    pub(crate) more_after_id: Option<i64>,
}

/// Deletes at most `TRIM_ROWS` orders in `audit` that were given before that. Replies how many; fewer: none is left.
#[derive(Debug, Clone)]
pub(crate) struct TrimAudit {
    /// Unix milliseconds.
    pub(crate) before_ms: i64,
}

impl Operation for TrimAudit {
    type Reply = usize;
}
