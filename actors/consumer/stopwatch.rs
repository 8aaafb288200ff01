//! The time that a consumer's handler takes.
//!
//! Reading the clock costs as much as a fast handler. So calls of ten microseconds and longer are timed one by one.
//! Sixteen faster calls are timed together, and each counts with the mean. Not counted are the consumer's other waits
//! (for the quarantine, a late heartbeat, a full settler) and messages that are not run.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use super::batch_size::BatchSize;
use crate::clock::now_ms;
use crate::state::Tally;

/// Calls of a fast handler that are timed together.
const TOGETHER: u32 = 16;
/// A handler with a shorter mean time is fast.
const FAST: Duration = Duration::from_micros(10);

/// Times the messages of one consumer, for the batch size and for the tally.
pub(super) struct Stopwatch {
    batch_size: BatchSize,
    since: Instant,
    /// Waits since then that were not the handler's.
    aside: Duration,
    /// Unix milliseconds, read at the begin of the lap and after each wait that was not the handler's.
    now_ms: i64,
    messages: u32,
    bytes: usize,
    /// Messages of this lap whose handler was called.
    calls: u64,
    /// When the last messages came to their queue, and how many of them came in that millisecond.
    arrived_ms: i64,
    arrived: u64,
    /// Messages in the next lap.
    together: u32,
}

impl Stopwatch {
    pub(super) fn new() -> Self {
        Self {
            batch_size: BatchSize::new(),
            since: Instant::now(),
            aside: Duration::ZERO,
            now_ms: 0,
            messages: 0,
            bytes: 0,
            calls: 0,
            arrived_ms: 0,
            arrived: 0,
            together: 1,
        }
    }

    /// A batch begins.
    pub(super) fn start(&mut self) {
        self.since = Instant::now();
    }

    /// A message is next.
    pub(super) fn message(&mut self, bytes: usize, tally: &Tally) {
        if self.messages == 0 {
            self.now_ms = now_ms();
            tally.busy(self.now_ms);
        }
        self.bytes += bytes;
        self.messages += 1;
    }

    /// The handler of the message is called. Messages that came to their queue in one millisecond are counted together.
    pub(super) fn call(&mut self, arrived_ms: Option<i64>, tally: &Tally) {
        self.calls += 1;
        if self.calls == 1 {
            tally.handles(arrived_ms);
        }
        if let Some(arrived_ms) = arrived_ms {
            if arrived_ms != self.arrived_ms {
                self.count_waited(tally);
                self.arrived_ms = arrived_ms;
            }
            self.arrived += 1;
        }
    }

    fn count_waited(&mut self, tally: &Tally) {
        // Clocks of two machines may differ.
        let waited = u64::try_from(self.now_ms - self.arrived_ms).unwrap_or(0);
        let waited = Duration::from_millis(waited);
        match std::mem::take(&mut self.arrived) {
            0 => {}
            n => tally.waited(waited, n),
        }
    }

    /// The message has ended, or was not run.
    pub(super) fn lap_if_full(&mut self, tally: &Tally) {
        if self.messages >= self.together {
            self.lap(tally);
        }
    }

    /// The batch is over.
    pub(super) fn stop(&mut self, tally: &Tally) {
        if self.messages > 0 {
            self.lap(tally);
        }
        tally.idle();
    }

    fn lap(&mut self, tally: &Tally) {
        let now = Instant::now();
        let took = now - self.since;
        self.batch_size.note(took, self.messages, self.bytes);
        let handler = took.saturating_sub(self.aside);
        tally.handled(handler, std::mem::take(&mut self.calls));
        self.count_waited(tally);
        self.together = match handler / self.messages < FAST {
            true => TOGETHER,
            false => 1,
        };
        (self.since, self.aside) = (now, Duration::ZERO);
        (self.messages, self.bytes) = (0, 0);
    }

    /// Waits for a future that is not the handler. One that is ready at once costs no reading of the clock.
    pub(super) async fn aside<F: Future>(&mut self, wait: F) -> F::Output {
        let mut wait = pin!(wait);
        if let Poll::Ready(done) = futures_util::poll!(&mut wait) {
            return done;
        }
        let since = Instant::now();
        let done = wait.await;
        self.aside += since.elapsed();
        self.now_ms = now_ms();
        done
    }

    /// The size of the next batch.
    pub(super) fn next_size(&mut self) -> u32 {
        self.batch_size.next_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing_support::queue_state;

    #[actix_rt::test]
    async fn only_slow_messages_are_timed_one_by_one() {
        tokio::time::pause();
        let state = queue_state();
        let tally = state.join();
        let mut watch = Stopwatch::new();
        watch.start();
        // A slow one, one that takes no time, and from then on sixteen together.
        watch.message(1, &tally);
        watch.call(None, &tally);
        tokio::time::advance(Duration::from_secs(2)).await;
        watch.lap_if_full(&tally);
        assert_eq!(state.counts().handler.count(), 1);
        for _ in 0..17 {
            watch.message(1, &tally);
            watch.call(Some(now_ms()), &tally);
            watch.lap_if_full(&tally);
        }
        let counts = state.counts();
        assert_eq!((counts.handler.count(), counts.waited.count()), (18, 17));
        watch.message(1, &tally);
        watch.call(None, &tally);
        watch.lap_if_full(&tally);
        assert_eq!(state.counts().handler.count(), 18, "fifteen are to come");
        assert_eq!(state.view().consumers_busy, 1);
        watch.stop(&tally);
        assert_eq!(state.counts().handler.count(), 19);
        assert_eq!(state.view().consumers_busy, 0);
        assert_eq!(state.counts().handler.sum(), 2.0);
    }

    #[actix_rt::test]
    async fn a_handlers_time_excludes_other_waits() {
        tokio::time::pause();
        let state = queue_state();
        let tally = state.join();
        let mut watch = Stopwatch::new();
        watch.start();
        watch.message(1, &tally);
        watch.call(None, &tally);
        tokio::time::advance(Duration::from_secs(1)).await;
        watch
            .aside(tokio::time::sleep(Duration::from_secs(60)))
            .await;
        watch.stop(&tally);
        assert_eq!(state.counts().handler.sum(), 1.0);
    }

    #[actix_rt::test]
    async fn a_message_that_is_not_run_is_no_call() {
        tokio::time::pause();
        let state = queue_state();
        let tally = state.join();
        let mut watch = Stopwatch::new();
        watch.start();
        watch.message(1, &tally);
        watch.lap_if_full(&tally);
        watch.stop(&tally);
        let counts = state.counts();
        assert_eq!((counts.handler.count(), counts.waited.count()), (0, 0));
    }

    #[actix_rt::test]
    async fn each_message_of_a_lap_has_its_own_wait() {
        tokio::time::pause();
        let state = queue_state();
        let tally = state.join();
        let mut watch = Stopwatch::new();
        watch.start();
        watch.message(1, &tally);
        watch.lap_if_full(&tally);
        // Sixteen of one lap: eight have waited for an hour, seven for nothing, one comes from a clock that is ahead.
        let now = now_ms();
        let arrivals = [[now - 3_600_000; 8], [now; 8]].concat();
        for (n, arrived) in arrivals.into_iter().enumerate() {
            watch.message(1, &tally);
            let ahead = if n == 15 { 60_000 } else { 0 };
            watch.call(Some(arrived + ahead), &tally);
            watch.lap_if_full(&tally);
        }
        let waited = state.counts().waited;
        assert_eq!(waited.count(), 16);
        assert!((8.0 * 3600.0..8.0 * 3600.0 + 60.0).contains(&waited.sum()));
        assert_eq!(waited.quantile(0.5), Some(0.01));
    }
}
