//! What readers get: the numbers of one moment, as the HTTP port and the command line show them.

use serde::ser::{SerializeStruct, Serializer};
use serde::{Deserialize, Serialize};

use super::cell::Distribution;
use super::cron::CronFacts;
use super::durations::Slower;
use super::queue::{FailureCause, QueueFacts};
pub(crate) use super::running::RunningView;

/// One failed attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FailureView {
    pub(crate) at_ms: i64,
    pub(crate) id: String,
    pub(crate) attempt: u32,
    pub(crate) cause: FailureCause,
    /// At most 200 characters.
    pub(crate) error: String,
}

/// A change of a pool's size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ResizeView {
    pub(crate) at_ms: i64,
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) reason: String,
}

/// What an outage is an outage of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Away {
    /// A server, by a name that all its users have for it: they see one outage.
    Server(String),
    /// What one queue needs for itself: a place in its group, a right.
    Queue(String),
    /// A part of this daemon that waits for something of the above.
    #[default]
    Part,
}

/// An outage that goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OutageView {
    #[serde(skip)]
    pub(crate) away: Away,
    pub(crate) what: String,
    pub(crate) since_ms: i64,
    pub(crate) cause: String,
}

/// Something that people paused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PauseView {
    pub(crate) what: String,
    /// By the database's clock.
    pub(crate) since_ms: i64,
    pub(crate) ordered_by: String,
}

/// Counts of a queue entry since the daemon's start.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct QueueCounts {
    /// Deliveries by what became of them, once that is settled: written to the database or Redis; of a Kafka record noted,
    /// and its offset is committed within a second.
    pub(crate) completed: u64,
    pub(crate) retried: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) released: u64,
    /// Failed attempts by their cause, once the handler has returned.
    pub(crate) errors: u64,
    pub(crate) timeouts: u64,
    pub(crate) panics: u64,
    /// Seconds that a call of the handler took; of a batch handler a call is a batch. A message that is not run (it used up its
    /// attempts, or is released) is no call.
    pub(crate) handler: Distribution,
    /// Seconds from the arrival of a message to the call of its handler, where the source knows when it arrived and no attempt
    /// has failed.
    pub(crate) waited: Distribution,
}

impl QueueCounts {
    pub(super) fn add(&mut self, other: &Self) {
        self.completed += other.completed;
        self.retried += other.retried;
        self.dead_lettered += other.dead_lettered;
        self.released += other.released;
        self.errors += other.errors;
        self.timeouts += other.timeouts;
        self.panics += other.panics;
        self.handler.add(&other.handler);
        self.waited.add(&other.waited);
    }

    pub(crate) fn failures(&self) -> u64 {
        self.errors + self.timeouts + self.panics
    }
}

/// One queue entry.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct QueueView {
    #[serde(flatten)]
    pub(crate) facts: QueueFacts,
    /// As the last LagCheck found it; none before the first, and where the last one could not read it.
    pub(crate) lag: Option<u64>,
    /// The lag was counted no further than this.
    pub(crate) lag_is_capped: bool,
    /// The lag that was last read, and when.
    pub(crate) last_lag: Option<u64>,
    pub(crate) lag_read_ms: Option<i64>,
    /// Since when LagChecks could not read the lag; none while they can.
    pub(crate) lag_unread_since_ms: Option<i64>,
    /// How long ago the oldest message came, in milliseconds: of a table the one that waited for longest at the last LagCheck;
    /// of tables and topics the oldest that is handled now. None for a Redis list.
    pub(crate) oldest_age_ms: Option<i64>,
    /// LagChecks that could not read the lag.
    pub(crate) unread_lags: u64,
    /// Since when the lag has been above its limit with as many consumers as there may be.
    pub(crate) behind_since_ms: Option<i64>,
    /// Why no more consumers are wanted although the lag would ask for them.
    pub(crate) held_back: Option<String>,
    pub(crate) consumers_wanted: u32,
    pub(crate) consumers_present: u32,
    pub(crate) consumers_ceiling: u32,
    /// Consumers that have a message now.
    pub(crate) consumers_busy: u32,
    /// Since when the one that has had its messages for longest is busy.
    pub(crate) busy_since_ms: Option<i64>,
    /// Fetched and not yet durably settled.
    pub(crate) in_flight: u64,
    #[serde(flatten)]
    pub(crate) counts: QueueCounts,
    /// Messages that have run for half a second or longer.
    pub(crate) running_count: usize,
    /// At most 100 of them, those that have run for longest.
    pub(crate) running: Vec<RunningView>,
    pub(crate) failures: Vec<FailureView>,
    pub(crate) resizes: Vec<ResizeView>,
}

/// Fires of a cron entry since the daemon's start, by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct FireCounts {
    pub(crate) success: u64,
    pub(crate) failed: u64,
    pub(crate) timeout: u64,
    pub(crate) killed: u64,
    pub(crate) lost: u64,
    pub(crate) skipped: u64,
    pub(crate) missed: u64,
}

impl FireCounts {
    pub(crate) fn failures(&self) -> u64 {
        self.failed + self.timeout + self.killed + self.lost + self.missed
    }
}

/// One cron entry.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CronView {
    #[serde(flatten)]
    pub(crate) facts: CronFacts,
    pub(crate) fires: FireCounts,
    /// Seconds from the scheduled second to the start of the process.
    pub(crate) lateness: Distribution,
    /// Seconds that a run took.
    pub(crate) duration: Distribution,
    pub(crate) next_fire_ms: Option<i64>,
    /// The last scheduled second that this daemon fired.
    pub(crate) last_fire_ms: Option<i64>,
    /// When a run last ended well, since this daemon's start.
    pub(crate) last_success_ms: Option<i64>,
    /// How long a run usually takes: the median of the last successful ones, up to 50; none where there are fewer than 5.
    pub(crate) usual_seconds: Option<f64>,
    /// How long the last run took that ended.
    pub(crate) last_seconds: Option<f64>,
    /// A run takes, or the last one took, more than twice as long as usual and at least 5 seconds longer.
    pub(crate) slower_than_usual: Option<Slower>,
    pub(crate) running_count: usize,
    /// At most 100 of them, those that have run for longest.
    pub(crate) running: Vec<RunningView>,
    pub(crate) failures: Vec<FailureView>,
}

/// Delayed tasks since the daemon's start by what became of them, once that is in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct TaskCounts {
    pub(crate) done: u64,
    pub(crate) retried: u64,
    pub(crate) dead_lettered: u64,
    pub(crate) released: u64,
}

impl DelayView {
    /// How long the oldest task was past its time when they were counted, in milliseconds; at most 0 where none was.
    pub(crate) fn overdue_ms(&self) -> Option<i64> {
        Some(self.counted_ms? - self.oldest_due_ms?)
    }
}

impl TaskCounts {
    pub(crate) fn failures(&self) -> u64 {
        self.retried + self.dead_lettered
    }
}

/// The delay queue.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DelayView {
    pub(crate) tasks: TaskCounts,
    /// Counted up to 100,001; none before the first count.
    pub(crate) waiting: Option<u64>,
    pub(crate) oldest_due_ms: Option<i64>,
    /// When the two were counted. The oldest task may have run since.
    pub(crate) counted_ms: Option<i64>,
    pub(crate) running_count: usize,
    /// At most 100 of them, those that have run for longest.
    pub(crate) running: Vec<RunningView>,
    /// Seconds from the due time to the start.
    pub(crate) lateness: Distribution,
    pub(crate) handler: Distribution,
    pub(crate) failures: Vec<FailureView>,
}

/// The last hour of one thing, the oldest point first.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct HistoryView {
    pub(crate) interval_seconds: u64,
    /// When the last point was taken; none before the first.
    pub(crate) last_ms: Option<i64>,
    #[serde(flatten)]
    pub(crate) series: SeriesView,
}

/// What happened within each interval. `null`: not known, or nothing ran.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct SeriesView {
    pub(crate) done: Vec<u32>,
    pub(crate) failed: Vec<u32>,
    pub(crate) lag: Vec<Option<u32>>,
    pub(crate) wanted: Vec<u16>,
    pub(crate) present: Vec<u16>,
    pub(crate) handler_seconds: Vec<Option<f32>>,
    pub(crate) lateness_seconds: Vec<Option<f32>>,
}

/// For people: how many there were, and how long half and almost all of them took at most.
impl Serialize for Distribution {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut shown = serializer.serialize_struct("Distribution", 4)?;
        shown.serialize_field("count", &self.count())?;
        shown.serialize_field("sum_seconds", &self.sum())?;
        shown.serialize_field("p50_seconds", &self.quantile(0.5))?;
        shown.serialize_field("p99_seconds", &self.quantile(0.99))?;
        shown.end()
    }
}
