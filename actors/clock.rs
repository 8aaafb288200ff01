//! The time, in the two forms that the tables use.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};

/// Unix milliseconds by this machine's clock.
pub(crate) fn now_ms() -> i64 {
    millis(since_epoch())
}

/// The same, as exact as this machine's clock is.
pub(crate) fn now_utc() -> DateTime<Utc> {
    let now = since_epoch();
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    DateTime::from_timestamp(seconds, now.subsec_nanos()).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(not(test))]
fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// In tests it goes with tokio's clock, so that pausing that one pauses this one too; and it jumps when it is told to.
#[cfg(test)]
fn since_epoch() -> Duration {
    use std::sync::OnceLock;
    use tokio::time::Instant;

    static ORIGIN: OnceLock<(Duration, std::time::Instant)> = OnceLock::new();
    let (origin, begun) = ORIGIN.get_or_init(|| {
        let origin = SystemTime::now().duration_since(UNIX_EPOCH);
        (origin.unwrap_or_default(), std::time::Instant::now())
    });
    let steady = *origin + Instant::now().saturating_duration_since(Instant::from_std(*begun));
    match jumps::SHIFT_MS.get() {
        ahead @ 0.. => steady + Duration::from_millis(ahead.unsigned_abs()),
        behind => steady.saturating_sub(Duration::from_millis(behind.unsigned_abs())),
    }
}

/// How long it is until then; nothing if that is over.
pub(crate) fn until(unix_ms: i64) -> Duration {
    let then = Duration::from_millis(u64::try_from(unix_ms).unwrap_or(0));
    then.saturating_sub(since_epoch())
}

/// The local time as `create_time` and `update_time` hold it, which is what the Go program writes.
pub(crate) fn local_text() -> String {
    chrono::Local::now().format("%Y-%m-%d %H:%M:%S").to_string()
}

/// Milliseconds of a duration, for a column.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Somebody sets the machine's clock.
#[cfg(test)]
pub(crate) mod jumps {
    use std::cell::Cell;

    thread_local! {
        pub(super) static SHIFT_MS: Cell<i64> = const { Cell::new(0) };
    }

    /// Moves the clock, as this thread sees it.
    pub(crate) fn jump(seconds: i64) {
        SHIFT_MS.set(SHIFT_MS.get() + seconds * 1000);
    }
}
