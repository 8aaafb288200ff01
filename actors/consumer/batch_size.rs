//! How many messages one fetch takes, by the speed of the handler.
//!
//! A fast handler needs large batches, because the fetch costs more than the handler. A slow handler needs small batches,
//! so that one consumer does not hold messages that another consumer has time for.

use std::time::Duration;

/// The handler's time for one batch, at most. One more batch is prefetched, so a consumer holds the work of one second.
pub(super) const WORK_PER_BATCH: Duration = Duration::from_millis(500);
/// Messages in one batch, at most. Larger batches were measured to be no faster.
const MAX_BATCH: u32 = 500;
/// Bytes of payload in one batch, at most, estimated from the last messages. With the prefetched batch a consumer holds twice
/// as much.
const BYTES_PER_BATCH: f64 = 4.0 * 1024.0 * 1024.0;
/// The weight of the last message in the running means.
const WEIGHT: f64 = 0.2;

/// The running means of the handler's time and of the payloads.
#[derive(Debug)]
pub(super) struct BatchSize {
    mean_seconds: f64,
    mean_bytes: f64,
    last_size: u32,
}

impl BatchSize {
    pub(super) fn new() -> Self {
        Self {
            mean_seconds: 0.0,
            mean_bytes: 0.0,
            last_size: 0,
        }
    }

    /// Notes the time that `messages`, of `bytes` together, took one after the other.
    pub(super) fn note(&mut self, took: Duration, messages: u32, bytes: usize) {
        if messages == 0 {
            return;
        }
        let n = f64::from(messages);
        // The same as noting each message by itself, with the mean time and the mean bytes.
        let weight = 1.0 - (1.0 - WEIGHT).powf(n);
        self.mean_seconds += weight * (took.as_secs_f64() / n - self.mean_seconds);
        #[expect(clippy::cast_precision_loss, reason = "a mean needs no last digit")]
        let bytes = bytes as f64;
        self.mean_bytes += weight * (bytes / n - self.mean_bytes);
    }

    /// The size of the next batch, at most twice the last one: the handler has to be fast with this size before the size
    /// grows further.
    pub(super) fn next_size(&mut self) -> u32 {
        let by_work = WORK_PER_BATCH.as_secs_f64() / self.mean_seconds.max(f64::MIN_POSITIVE);
        let by_work = by_work.min(BYTES_PER_BATCH / self.mean_bytes.max(1.0));
        // A float beyond u32 saturates.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturating is what is wanted, and it is never negative"
        )]
        let by_work = by_work as u32;
        let limit = (self.last_size * 2).clamp(1, MAX_BATCH);
        self.last_size = by_work.clamp(1, limit);
        self.last_size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(took: Duration, n: usize) -> Vec<u32> {
        let mut batch_size = BatchSize::new();
        (0..n)
            .map(|_| {
                let size = batch_size.next_size();
                (0..size).for_each(|_| batch_size.note(took, 1, 100));
                size
            })
            .collect()
    }

    #[test]
    fn fast_handlers_get_large_batches_step_by_step() {
        let sizes = sizes(Duration::from_micros(5), 11);
        assert_eq!(sizes, [1, 2, 4, 8, 16, 32, 64, 128, 256, 500, 500]);
    }

    #[test]
    fn large_messages_come_in_small_batches() {
        let mut batch_size = BatchSize::new();
        for _ in 0..20 {
            let size = batch_size.next_size();
            (0..size).for_each(|_| batch_size.note(Duration::from_micros(5), 1, 1024 * 1024));
        }
        assert_eq!(batch_size.next_size(), 4);
    }

    #[test]
    fn messages_that_are_noted_together_count_as_each_would() {
        let (mut each, mut together) = (BatchSize::new(), BatchSize::new());
        for (took, n) in [(50, 16), (1, 3), (7, 16)] {
            (0..n).for_each(|_| each.note(Duration::from_millis(took), 1, 100));
            let bytes = 100 * usize::try_from(n).unwrap();
            together.note(Duration::from_millis(took) * n, n, bytes);
            let off = each.mean_seconds / together.mean_seconds - 1.0;
            assert!(off.abs() < 1e-9, "{each:?} {together:?}");
        }
        together.note(Duration::from_secs(9), 0, 0);
        assert!((each.mean_bytes - together.mean_bytes).abs() < 1e-6);
    }

    #[test]
    fn one_slow_message_among_those_noted_together_counts_for_all() {
        let mut batch_size = BatchSize::new();
        for _ in 0..20 {
            let size = batch_size.next_size();
            batch_size.note(Duration::from_micros(5) * size, size, 0);
        }
        assert_eq!(batch_size.next_size(), 500);
        batch_size.note(Duration::from_secs(16), 16, 0);
        assert_eq!(batch_size.next_size(), 1, "a second each");
    }

    #[test]
    fn slow_handlers_get_one_message_at_a_time() {
        assert_eq!(*sizes(Duration::from_secs(2), 20).last().unwrap(), 1);
        let medium = *sizes(Duration::from_millis(10), 20).last().unwrap();
        assert!((45..=55).contains(&medium), "{medium}");
    }
}
