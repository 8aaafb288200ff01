//! The time, in the two forms that the tables use.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Unix milliseconds by this machine's clock.
pub(crate) fn now_ms() -> i64 {
    millis(since_epoch())
}

#[cfg(not(test))]
fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// In tests it goes with tokio's clock, so that pausing that one pauses this one too.
#[cfg(test)]
fn since_epoch() -> Duration {
    use std::sync::OnceLock;
    use tokio::time::Instant;

    static ORIGIN: OnceLock<(Duration, std::time::Instant)> = OnceLock::new();
    let (origin, begun) = ORIGIN.get_or_init(|| {
        let origin = SystemTime::now().duration_since(UNIX_EPOCH);
        (origin.unwrap_or_default(), std::time::Instant::now())
    });
    *origin + Instant::now().saturating_duration_since(Instant::from_std(*begun))
}

/// The local time as `create_time` and `update_time` hold it, which is what the Go program writes.
pub(crate) fn local_text() -> String {
    chrono::Local::now().format("%Y-%m-%d %H:%M:%S").to_string()
}

/// Milliseconds of a duration, for a column.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
