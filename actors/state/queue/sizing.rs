//! What PoolActor publishes of a queue: its lag, its size, and whether it keeps up.

/// What PoolActor last found.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sizing {
    /// That was last read.
    pub(super) lag: Option<u64>,
    pub(super) lag_is_capped: bool,
    pub(super) lag_read_ms: Option<i64>,
    /// When the oldest of those that waited then was due, where the source knows.
    pub(super) oldest_due_ms: Option<i64>,
    /// Since when it could not be read.
    pub(super) unread_since_ms: Option<i64>,
    pub(super) wanted: u32,
    pub(super) present: u32,
    /// The most consumers that this pool may have now.
    pub(super) ceiling: u32,
    /// Since when the lag has been above the limit with the pool at its ceiling, unix milliseconds.
    pub(super) behind_since_ms: Option<i64>,
    /// LagChecks that read the lag.
    pub(super) checks: u64,
    /// The first of those in a row that found it above the limit with the pool at its ceiling.
    pub(super) behind_since_check: Option<u64>,
    /// A LagCheck found the lag within the limit.
    pub(super) was_within: bool,
    pub(super) is_paused: bool,
}

/// Whether a queue keeps up, as the last LagChecks found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LagSight {
    pub(crate) queue: String,
    pub(crate) lag: Option<u64>,
    pub(crate) lag_is_capped: bool,
    /// When it was read last, and since when it cannot be read; unix milliseconds.
    pub(crate) read_ms: Option<i64>,
    pub(crate) unread_since_ms: Option<i64>,
    pub(crate) limit: u64,
    pub(crate) present: u32,
    pub(crate) ceiling: u32,
    /// Since when the lag has been above the limit at full size, unix milliseconds.
    pub(crate) behind_since_ms: Option<i64>,
    /// How many LagChecks in a row found it so.
    pub(crate) behind_checks: u64,
    /// The lag has been above the limit since this daemon's first LagCheck: for how long before that is not known.
    pub(crate) since_first_check: bool,
}

impl LagSight {
    /// The last lag that was read, for people.
    pub(crate) fn shown(&self) -> Option<String> {
        let or_more = if self.lag_is_capped { " or more" } else { "" };
        self.lag.map(|lag| format!("{lag}{or_more}"))
    }
}

impl Sizing {
    /// A process that may have no consumers (of a Kafka topic, while others of the group have all partitions) is not behind:
    /// the lag is that of the whole group. Nor is a queue that people paused.
    pub(super) fn judge(&mut self, lag_limit: u64, now: i64) {
        let is_full = self.ceiling > 0 && self.wanted >= self.ceiling && !self.is_paused;
        self.was_within |= self.lag.is_some_and(|lag| lag <= lag_limit);
        let is_behind = is_full && self.lag.is_some_and(|lag| lag > lag_limit);
        let (since, check) = (self.behind_since_ms, self.behind_since_check);
        self.behind_since_ms = is_behind.then(|| since.unwrap_or(now));
        self.behind_since_check = is_behind.then(|| check.unwrap_or(self.checks));
    }

    /// What a LagCheck found.
    pub(super) fn lag_checked(&mut self, lag: u64, is_capped: bool, lag_limit: u64, now: i64) {
        self.unread_since_ms = None;
        self.lag = Some(lag);
        self.lag_is_capped = is_capped;
        self.lag_read_ms = Some(now);
        self.checks += 1;
        self.judge(lag_limit, now);
    }

    /// How long the oldest message had waited at the last LagCheck; 0 where that is not known.
    pub(super) fn waited_ms(&self) -> i64 {
        let waited_ms = match self.unread_since_ms {
            None => self.lag_read_ms.zip(self.oldest_due_ms),
            Some(_) => None,
        };
        waited_ms.map_or(0, |(read_ms, due_ms)| read_ms - due_ms)
    }

    pub(super) fn sight(&self, queue: &str, limit: u64) -> LagSight {
        LagSight {
            queue: queue.to_owned(),
            lag: self.lag,
            lag_is_capped: self.lag_is_capped,
            read_ms: self.lag_read_ms,
            unread_since_ms: self.unread_since_ms,
            limit,
            present: self.present,
            ceiling: self.ceiling,
            behind_since_ms: self.behind_since_ms,
            behind_checks: self
                .behind_since_check
                .map_or(0, |first| self.checks - first + 1),
            since_first_check: !self.was_within,
        }
    }
}
