//! What is old, on every database.

use super::write::{TRIM_ROWS, Trimmed};

/// A `start_time` below this is no unix time in milliseconds, and does not show the row's age.
const EARLIEST_MS: i64 = 100_000_000_000;

/// Whether a row of `crontab_log` is of a run that began before then.
pub(in crate::store) fn is_old_run(start_time: i64, before_ms: i64) -> bool {
    (EARLIEST_MS..before_ms).contains(&start_time)
}

/// Where to go on behind a portion: after its last row, if it was a whole one and that row is old.
pub(in crate::store) fn more_after<R>(
    portion: &[R],
    id_and_age: impl Fn(&R) -> (i64, bool),
) -> Option<i64> {
    let (last, is_old) = portion.last().map(id_and_age)?;
    (is_old && portion.len() >= TRIM_ROWS).then_some(last)
}

pub(in crate::store) fn trimmed(deleted: usize, more_after_id: Option<i64>) -> Trimmed {
    Trimmed {
        deleted,
        more_after_id,
    }
}
