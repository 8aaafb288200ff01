//! The time, in the two forms that the tables use.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Unix milliseconds by this machine's clock.
pub(crate) fn now_ms() -> i64 {
    millis(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default(),
    )
}

/// The local time as `create_time` and `update_time` hold it, which is what the Go program writes.
pub(crate) fn local_text() -> String {
    chrono::Local::now().format("%Y-%m-%d %H:%M:%S").to_string()
}

/// Milliseconds of a duration, for a column.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
