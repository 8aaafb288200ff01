//! What is old, on every database.

/// A `start_time` below this is no unix time in milliseconds, and says nothing of the row's age.
const EARLIEST_MS: i64 = 100_000_000_000;

/// Whether a row of `crontab_log` is of a run that began before then.
pub(in crate::db) fn is_old_run(start_time: i64, before_ms: i64) -> bool {
    (EARLIEST_MS..before_ms).contains(&start_time)
}
