//! The counts of warnings as they go to the database and come from it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use sha2::{Digest, Sha256};

use super::schema::{warning_notice, warning_window};
use super::windows::{Window, Windows};

/// This many adds within this many seconds are worth a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Period {
    pub(crate) limit: i64,
    pub(crate) seconds: i64,
}

impl Period {
    pub(in crate::store) fn length_ms(self) -> i64 {
        self.seconds.saturating_mul(1000)
    }
}

/// What was counted within a second or so.
#[derive(Debug, Clone)]
pub(crate) struct CountSegment {
    /// When it began. It is written later, in an outage much later; what lies between is taken from the database's time then.
    pub(crate) at: Instant,
    /// From there to its last count: a minute or more where an outage was long. The count is spread evenly over it.
    pub(crate) span: Duration,
    pub(crate) count: i64,
    /// The last ones.
    pub(crate) messages: Vec<String>,
}

/// A part of a segment is no longer than a period divided by this: what is counted too early then is no more of a limit.
const PARTS: u32 = 20;
/// A segment that is one of itself, and not of several, is no longer than this.
const NOT_MERGED: Duration = Duration::from_secs(1);

impl CountSegment {
    /// Parts of it that are short beside the period, the oldest first. Counted at its first moment, a long segment would bring
    /// counts into a window which were made behind its end: a false alarm.
    fn spread(&self, period: Period) -> Vec<Self> {
        if self.span <= NOT_MERGED {
            return vec![self.clone()];
        }
        let length = Duration::from_millis(period.length_ms().unsigned_abs());
        let needed = self.span.as_nanos() / (length / PARTS).as_nanos().max(1) + 1;
        let parts = u32::try_from(needed).unwrap_or(PARTS).min(PARTS);
        let step = self.span / parts;
        let (each, rest) = (self.count / i64::from(parts), self.count % i64::from(parts));
        let part = |n: u32| Self {
            at: self.at + step * n,
            span: Duration::ZERO,
            count: each + i64::from(i64::from(n) < rest),
            messages: Vec::new(),
        };
        let mut parts: Vec<Self> = (0..parts).map(part).filter(|it| it.count > 0).collect();
        if let Some(last) = parts.last_mut() {
            last.messages.clone_from(&self.messages);
        }
        parts
    }
}

/// Which process counts.
#[derive(Debug, Clone)]
pub(crate) struct CountOrigin {
    pub(crate) environment: String,
    pub(crate) partition: String,
    pub(crate) host: String,
}

/// Counts of one flag, for each of its periods.
#[derive(Debug, Clone)]
pub(crate) struct CountAdd {
    pub(crate) origin: Arc<CountOrigin>,
    pub(crate) flag: Arc<str>,
    pub(crate) periods: Arc<[Period]>,
    /// The oldest first.
    pub(crate) segments: Vec<CountSegment>,
}

impl CountAdd {
    /// The row of one of its periods.
    pub(in crate::store) fn id(&self, period: Period) -> String {
        let mut hash = Sha256::new();
        for text in [&self.origin.environment, &*self.flag] {
            hash.update(text.as_bytes());
            // No name has one in it.
            hash.update([0]);
        }
        hash.update(period.seconds.to_be_bytes());
        hash.update(period.limit.to_be_bytes());
        let digest = hash.finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Adds all segments to the windows of one period, and answers the notices that come of it. `now` is the moment at which
    /// the database's clock shows `now_ms`.
    pub(in crate::store) fn count(
        &self,
        period: Period,
        windows: &mut Windows,
        (now, now_ms): (Instant, i64),
    ) -> Vec<NewNotice<'_>> {
        windows.discard_future(period, now_ms);
        let parts = self.segments.iter().flat_map(|it| it.spread(period));
        let reached = parts.filter_map(|part| {
            let age = now.saturating_duration_since(part.at);
            let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            windows.add(period, now_ms.saturating_sub(age_ms), &part)
        });
        let notice = |reached: super::windows::Reached| NewNotice {
            environment: &self.origin.environment,
            flag: &self.flag,
            seconds: period.seconds,
            limit_count: period.limit,
            started_ms: reached.window.started_ms,
            counted: reached.window.counted,
            messages: serde_json::json!(reached.messages).to_string(),
            host: &self.origin.host,
            partition_name: &self.origin.partition,
            owner: "",
            created_ms: now_ms,
        };
        reached.map(notice).collect()
    }
}

/// What became of counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    /// They are in the table; this many limits were reached by them.
    Added { reached: usize },
    /// Nothing is written: another transaction has locked a row that they need. To be tried again.
    Held,
}

/// A claim of notices.
#[derive(Debug, Clone)]
pub(crate) struct NoticeClaim {
    pub(crate) owner: String,
    pub(crate) environment: String,
    pub(crate) breadth: NoticeBreadth,
    /// What this boot has in its hands.
    pub(crate) keep: Vec<i64>,
    pub(crate) most: u32,
}

/// Which notices of its environment a daemon claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoticeBreadth {
    /// It has a receiver: all.
    All,
    /// It has none: those of its partition, where no daemon of the environment has one, or had one within the last
    /// `NOTICE_GRACE_MS`, and which are that old.
    OfPartition(String),
}

impl NoticeBreadth {
    /// Whether it is all, and else which partition's.
    pub(in crate::store) fn parts(&self) -> (bool, &str) {
        match self {
            Self::All => (true, ""),
            Self::OfPartition(partition) => (false, partition),
        }
    }
}

/// A limit that was reached, for the receivers.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = warning_notice)]
pub(crate) struct CountNotice {
    pub(crate) id: i64,
    pub(crate) flag: String,
    pub(crate) seconds: i64,
    pub(crate) limit_count: i64,
    pub(crate) started_ms: i64,
    pub(crate) counted: i64,
    /// As a JSON array.
    pub(crate) messages: String,
    pub(crate) host: String,
    pub(crate) partition_name: String,
}

/// The same, on its way into the table.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = warning_notice)]
pub(in crate::store) struct NewNotice<'a> {
    environment: &'a str,
    flag: &'a str,
    seconds: i64,
    limit_count: i64,
    started_ms: i64,
    counted: i64,
    messages: String,
    host: &'a str,
    partition_name: &'a str,
    owner: &'a str,
    created_ms: i64,
}

/// What changes in a row of `warning_window`.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, AsChangeset, Insertable)]
#[diesel(table_name = warning_window)]
pub(in crate::store) struct WindowRow {
    started_ms: i64,
    ends_ms: i64,
    counted: i64,
    said: i16,
    earlier: String,
    messages: String,
}

impl WindowRow {
    /// A row without a window.
    pub(in crate::store) fn new() -> Self {
        Self {
            started_ms: 0,
            ends_ms: 0,
            counted: 0,
            said: 0,
            earlier: "[]".to_owned(),
            messages: "[]".to_owned(),
        }
    }

    pub(in crate::store) fn of(windows: &Windows, period: Period) -> Self {
        let Some(newest) = windows.newest() else {
            return Self::new();
        };
        Self {
            started_ms: newest.started_ms,
            ends_ms: newest.started_ms.saturating_add(period.length_ms()),
            counted: newest.counted,
            said: i16::from(newest.reported),
            earlier: windows.earlier_text(),
            messages: windows.messages_text(),
        }
    }

    pub(in crate::store) fn windows(&self) -> Windows {
        let newest = Window {
            started_ms: self.started_ms,
            counted: self.counted,
            reported: self.said != 0,
        };
        Windows::read(newest, &self.earlier, &self.messages)
    }
}

/// How long a window is kept after its end, in milliseconds: a day, so that a person can still read it.
pub(in crate::store) const WINDOW_KEPT_MS: i64 = 24 * 3600 * 1000;
/// How long a daemon without a receiver leaves a notice to one that has one and is not there now, in milliseconds: five
/// minutes, more than a restart and the start behind it take.
pub(in crate::store) const NOTICE_GRACE_MS: i64 = 5 * 60 * 1000;
/// Age at which a notice that nobody claims is given up, in milliseconds: a day.
pub(in crate::store) const NOTICE_KEPT_MS: i64 = 24 * 3600 * 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn add_of(segments: Vec<CountSegment>) -> CountAdd {
        CountAdd {
            origin: Arc::new(CountOrigin {
                environment: "dev".to_owned(),
                partition: "script1".to_owned(),
                host: "here".to_owned(),
            }),
            flag: "pay".into(),
            periods: Arc::new([]),
            segments,
        }
    }

    /// Nine a second for four hours, in 600 segments.
    fn long_outage() -> (Instant, Vec<CountSegment>) {
        let begun = Instant::now();
        let segments = (0..600).map(|n| CountSegment {
            at: begun + Duration::from_secs(24 * n),
            span: Duration::from_millis(23_900),
            count: 216,
            messages: vec![n.to_string()],
        });
        (begun + Duration::from_secs(4 * 3_600), segments.collect())
    }

    #[test]
    fn long_segments_of_an_outage_reach_no_limit_that_was_not_reached() {
        let (now, segments) = long_outage();
        let add = add_of(segments);
        let notices = |limit: i64| {
            let period = Period { limit, seconds: 60 };
            let mut windows = Windows::default();
            add.count(period, &mut windows, (now, 100_000_000)).len()
        };
        // 540 within each minute.
        assert_eq!(notices(600), 0);
        let periods = notices(500);
        assert!((220..=240).contains(&periods), "{periods}");
    }

    #[test]
    fn the_parts_of_a_segment_are_its_count_and_the_last_has_its_messages() {
        let (_, segments) = long_outage();
        for (seconds, parts) in [(60, 8), (24, 20), (3_600, 1), (1, 20)] {
            let spread = segments[0].spread(Period { limit: 1, seconds });
            assert_eq!(spread.len(), parts, "{seconds}");
            assert_eq!(spread.iter().map(|it| it.count).sum::<i64>(), 216);
            assert_eq!(spread[0].at, segments[0].at);
            let messages: Vec<usize> = spread.iter().map(|it| it.messages.len()).collect();
            assert_eq!(messages.iter().sum::<usize>(), 1);
            assert_eq!(messages.last(), Some(&1));
        }
        let mut single = segments[1].clone();
        single.count = 1;
        assert_eq!(
            single
                .spread(Period {
                    limit: 1,
                    seconds: 60
                })
                .len(),
            1
        );
    }

    #[test]
    fn rows_are_distinguished_by_every_byte_of_their_names() {
        let id = |environment: &str, flag: &str, seconds: i64, limit: i64| {
            let add = CountAdd {
                origin: Arc::new(CountOrigin {
                    environment: environment.to_owned(),
                    partition: String::new(),
                    host: String::new(),
                }),
                flag: flag.into(),
                periods: Arc::new([]),
                segments: Vec::new(),
            };
            add.id(Period { limit, seconds })
        };
        let ids = [
            id("dev", "pay", 60, 100),
            id("dev", "Pay", 60, 100),
            id("dev", "pay ", 60, 100),
            id("devp", "ay", 60, 100),
            id("dev", "pay", 100, 60),
            id("test", "pay", 60, 100),
        ];
        let apart: std::collections::BTreeSet<&String> = ids.iter().collect();
        assert_eq!(apart.len(), ids.len());
        assert!(ids.iter().all(|id| id.len() == 64));
    }
}
