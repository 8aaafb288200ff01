//! Numbers that one thread writes and another reads.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Counts up. Readers may see a count some nanoseconds late, never a wrong one.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// For a counter that any thread may write.
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// For a counter with one writer: a load and a store, without the bus lock of `add`.
    #[inline]
    pub(crate) fn add_alone(&self, n: u64) {
        self.0.store(self.0.load(Relaxed) + n, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Upper bounds of the buckets in units of a scale, about √10 apart. The last bucket has no bound.
pub(crate) const STEPS: [u64; 13] = [
    1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000,
];
const BUCKETS: usize = STEPS.len() + 1;

/// What the buckets of a histogram span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// 100 µs to 100 s.
    Fast,
    /// 10 ms to 10,000 s.
    Slow,
}

impl Scale {
    const fn unit_us(self) -> u64 {
        match self {
            Self::Fast => 100,
            Self::Slow => 10_000,
        }
    }

    /// The upper bounds in seconds.
    pub(crate) fn bounds(self) -> impl Iterator<Item = f64> {
        STEPS
            .into_iter()
            .map(move |step| seconds(step * self.unit_us()))
    }

    fn bucket(self, us: u64) -> usize {
        let unit = self.unit_us();
        STEPS.partition_point(|step| step * unit < us)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds stay exact up to 285 years"
)]
fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

/// A sum of seconds. A float, since the times come from outside: ten thousand messages whose time is the year 1970 waited for
/// more microseconds than 64 bits count.
#[derive(Debug, Default)]
struct Seconds(AtomicU64);

impl Seconds {
    fn add(&self, seconds: f64) {
        let sum = |bits| Some((f64::from_bits(bits) + seconds).to_bits());
        // The closure never answers none.
        let _ = self.0.fetch_update(Relaxed, Relaxed, sum);
    }

    /// For a sum with one writer.
    fn add_alone(&self, seconds: f64) {
        self.0.store((self.get() + seconds).to_bits(), Relaxed);
    }

    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}

/// How long something took, in fixed exponential buckets.
#[derive(Debug)]
pub(crate) struct Histogram {
    scale: Scale,
    counts: [Counter; BUCKETS],
    sum: Seconds,
}

impl Histogram {
    pub(crate) fn new(scale: Scale) -> Self {
        Self {
            scale,
            counts: Default::default(),
            sum: Seconds::default(),
        }
    }

    /// For a histogram that any thread may write.
    pub(crate) fn note(&self, took: Duration) {
        let us = micros(took);
        self.counts[self.scale.bucket(us)].add(1);
        self.sum.add(took.as_secs_f64());
    }

    /// `n` values that took `took` together, for a histogram with one writer.
    pub(crate) fn note_alone(&self, took: Duration, n: u64) {
        if n == 0 {
            return;
        }
        let us = micros(took);
        self.counts[self.scale.bucket(us / n)].add_alone(n);
        self.sum.add_alone(took.as_secs_f64());
    }

    pub(crate) fn read(&self) -> Distribution {
        Distribution {
            scale: self.scale,
            counts: std::array::from_fn(|at| self.counts[at].get()),
            sum: self.sum.get(),
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// What a histogram held when it was read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Distribution {
    pub(crate) scale: Scale,
    /// Not cumulative.
    pub(crate) counts: [u64; BUCKETS],
    /// In seconds.
    sum: f64,
}

impl Distribution {
    pub(crate) const fn empty(scale: Scale) -> Self {
        Self {
            scale,
            counts: [0; BUCKETS],
            sum: 0.0,
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (all, n) in self.counts.iter_mut().zip(other.counts) {
            *all += n;
        }
        self.sum += other.sum;
    }

    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub(crate) fn sum(&self) -> f64 {
        self.sum
    }

    /// The mean of what came after `earlier`, in seconds; none where nothing came.
    pub(crate) fn mean_since(&self, earlier: &Self) -> Option<f64> {
        let count = self.count().saturating_sub(earlier.count());
        let sum = (self.sum - earlier.sum).max(0.0);
        #[expect(clippy::cast_precision_loss, reason = "a mean needs no last digit")]
        (count > 0).then(|| sum / count as f64)
    }

    /// The upper bound of the bucket that holds this share of the values, in seconds; none without values. Values beyond
    /// the last bound count as that.
    pub(crate) fn quantile(&self, share: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a count, between 0 and the count"
        )]
        let wanted = ((count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let bucket = self.counts.iter().position(|n| {
            seen += n;
            seen >= wanted
        });
        let last = STEPS.len() - 1;
        let step = STEPS[bucket.unwrap_or(last).min(last)];
        Some(seconds(step * self.scale.unit_us()))
    }
}
