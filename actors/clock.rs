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

/// What the machine's own clock, which libraries read, shows at a moment of this one. They are one clock.
#[cfg(not(test))]
pub(crate) fn on_machine_clock(at: DateTime<Utc>) -> DateTime<Utc> {
    at
}

/// In tests they are two. The answer is a whole second that has come on the machine's clock if `at` has come on this one,
/// and that has not come if `at` has not.
#[cfg(test)]
pub(crate) fn on_machine_clock(at: DateTime<Utc>) -> DateTime<Utc> {
    use chrono::{DurationRound, TimeDelta};

    let second = TimeDelta::seconds(1);
    let (shown, machine) = (now_utc(), Utc::now());
    let there = (machine + (at - shown)).duration_trunc(second).unwrap();
    match at <= shown {
        true => there,
        false => there + second,
    }
}

#[cfg(not(test))]
fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// In tests it goes with tokio's clock, so that pausing that one pauses this one too; and it jumps when a test wants
/// it.
#[cfg(test)]
fn since_epoch() -> Duration {
    let (origin, passed) = steady();
    let shown = origin + passed + Duration::from_millis(jumps::SLEPT_MS.get());
    match jumps::SHIFT_MS.get() {
        ahead @ 0.. => shown + Duration::from_millis(ahead.unsigned_abs()),
        behind => shown.saturating_sub(Duration::from_millis(behind.unsigned_abs())),
    }
}

/// A moment before all tests, and how long ago that is by tokio's clock.
#[cfg(test)]
fn steady() -> (Duration, Duration) {
    use std::sync::OnceLock;
    use tokio::time::Instant;

    /// A clock that a test has paused lies behind the machine's, by as much as the test has run.
    const BEFORE: Duration = Duration::from_secs(3600);

    static ORIGIN: OnceLock<(Duration, std::time::Instant)> = OnceLock::new();
    let (origin, begun) = ORIGIN.get_or_init(|| {
        let origin = SystemTime::now().duration_since(UNIX_EPOCH);
        let begun = std::time::Instant::now();
        (origin.unwrap_or_default() - BEFORE, begun - BEFORE)
    });
    let passed = Instant::now().saturating_duration_since(Instant::from_std(*begun));
    (*origin, passed)
}

/// A moment of the clock that goes on while the machine sleeps, and what the wall clock showed then.
///
/// tokio's and std's `Instant` stand still in a suspended machine, for which an old heartbeat then seems young. Heartbeats
/// are judged by others as old as they are, so their age here must not be less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Since some origin; `CLOCK_BOOTTIME`.
    since_boot: Duration,
    wall: Duration,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self {
            since_boot: since_boot(),
            wall: since_epoch(),
        }
    }

    /// How long it is ago.
    pub(crate) fn elapsed(self) -> Duration {
        Self::now().since(self)
    }

    /// How long it is after an earlier one; nothing if it is not.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        self.since_boot.saturating_sub(earlier.since_boot)
    }

    /// How far the wall clock is ahead of the other one, in milliseconds. Between two moments it changes only when the wall
    /// clock is set, or when the other one stood still too: a hypervisor that stops a machine stops every clock of it.
    pub(crate) fn wall_ahead_ms(self) -> i64 {
        millis(self.wall) - millis(self.since_boot)
    }
}

impl std::ops::Add<Duration> for Moment {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self {
            since_boot: self.since_boot + later,
            wall: self.wall + later,
        }
    }
}

#[cfg(not(test))]
fn since_boot() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    // macOS's monotonic clock goes on while the machine sleeps, and it has no other of that kind.
    #[cfg(target_os = "linux")]
    const CLOCK: ClockId = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: ClockId = ClockId::Monotonic;
    let now = clock_gettime(CLOCK);
    // Neither is ever negative.
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or_default(),
        u32::try_from(now.tv_nsec).unwrap_or_default(),
    )
}

/// In tests it goes with tokio's clock, plus the time for which a test had the machine sleep.
#[cfg(test)]
fn since_boot() -> Duration {
    steady().1 + Duration::from_millis(jumps::SLEPT_MS.get())
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

/// Somebody sets the machine's clock, or the machine sleeps.
#[cfg(test)]
pub(crate) mod jumps {
    use std::cell::Cell;

    thread_local! {
        pub(super) static SHIFT_MS: Cell<i64> = const { Cell::new(0) };
        pub(super) static SLEPT_MS: Cell<u64> = const { Cell::new(0) };
    }

    /// The machine sleeps, as this thread sees it: its tokio clock stands still.
    pub(crate) fn sleep(seconds: u64) {
        SLEPT_MS.set(SLEPT_MS.get() + seconds * 1000);
    }

    /// Moves the clock, as this thread sees it.
    pub(crate) fn jump(seconds: i64) {
        SHIFT_MS.set(SHIFT_MS.get() + seconds * 1000);
    }
}
