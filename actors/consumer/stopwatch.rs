//! How long a consumer's handler takes.
//!
//! A look at the clock costs as much as a fast handler. So handlers of ten microseconds and longer are timed one by one,
//! and faster ones sixteen together, each with the mean. What a consumer waits for beside its handler is left out: the
//! quarantine, a late heartbeat, room for the ends.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use super::pace::Pace;
use crate::clock::now_ms;
use crate::state::Tally;

/// Fast handlers are timed this many together.
const TOGETHER: u32 = 16;
/// A handler that is faster than this on average is fast.
const FAST: Duration = Duration::from_micros(10);

/// Times the messages of one consumer, and gives each time to its pace and its tally.
pub(super) struct Stopwatch {
    pace: Pace,
    since: Instant,
    /// Time since then that was not the handler's.
    aside: Duration,
    messages: u32,
    bytes: usize,
    /// How long the first one that knows had waited in its queue, and how many know.
    waited: Option<Duration>,
    arrived: u64,
    /// Messages in the next lap.
    together: u32,
}

impl Stopwatch {
    pub(super) fn new() -> Self {
        Self {
            pace: Pace::new(),
            since: Instant::now(),
            aside: Duration::ZERO,
            messages: 0,
            bytes: 0,
            waited: None,
            arrived: 0,
            together: 1,
        }
    }

    /// A batch begins.
    pub(super) fn start(&mut self) {
        self.since = Instant::now();
    }

    /// A message has its turn.
    pub(super) fn message(&mut self, bytes: usize, arrived_ms: Option<i64>, tally: &Tally) {
        if self.messages == 0 {
            tally.busy(now_ms());
        }
        if let Some(arrived_ms) = arrived_ms {
            self.arrived += 1;
            // Clocks of two machines may differ.
            let since = || u64::try_from(now_ms() - arrived_ms).unwrap_or_default();
            self.waited
                .get_or_insert_with(|| Duration::from_millis(since()));
        }
        self.bytes += bytes;
        self.messages += 1;
    }

    /// The message has had its turn.
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
        self.pace.note(took, self.messages, self.bytes);
        let handler = took.saturating_sub(self.aside);
        let messages = u64::from(self.messages);
        tally.handled(handler, messages);
        if let Some(waited) = self.waited.take() {
            tally.waited(waited, std::mem::take(&mut self.arrived));
        }
        self.together = match handler / self.messages < FAST {
            true => TOGETHER,
            false => 1,
        };
        (self.since, self.aside) = (now, Duration::ZERO);
        (self.messages, self.bytes) = (0, 0);
    }

    /// Waits for something that is not the handler. What is ready at once costs no look at the clock.
    pub(super) async fn aside<F: Future>(&mut self, wait: F) -> F::Output {
        let mut wait = pin!(wait);
        if let Poll::Ready(done) = futures_util::poll!(&mut wait) {
            return done;
        }
        let since = Instant::now();
        let done = wait.await;
        self.aside += since.elapsed();
        done
    }

    /// How many messages the next batch is to have.
    pub(super) fn next_size(&mut self) -> u32 {
        self.pace.next_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing_support::queue_state;

    #[actix_rt::test]
    async fn slow_messages_are_timed_one_by_one_and_fast_ones_together() {
        tokio::time::pause();
        let state = queue_state();
        let tally = state.join();
        let mut watch = Stopwatch::new();
        watch.start();
        // A slow one, one that takes no time, and from then on sixteen together.
        watch.message(1, None, &tally);
        tokio::time::advance(Duration::from_secs(2)).await;
        watch.lap_if_full(&tally);
        assert_eq!(state.counts().handler.count(), 1);
        for _ in 0..17 {
            watch.message(1, Some(now_ms()), &tally);
            watch.lap_if_full(&tally);
        }
        let counts = state.counts();
        assert_eq!((counts.handler.count(), counts.waited.count()), (18, 17));
        watch.message(1, None, &tally);
        watch.lap_if_full(&tally);
        assert_eq!(state.counts().handler.count(), 18, "fifteen are to come");
        assert_eq!(state.view().consumers_busy, 1);
        watch.stop(&tally);
        assert_eq!(state.counts().handler.count(), 19);
        assert_eq!(state.view().consumers_busy, 0);
        assert_eq!(state.counts().handler.sum(), 2.0);
    }

    #[actix_rt::test]
    async fn what_is_waited_for_beside_the_handler_is_no_time_of_it() {
        tokio::time::pause();
        let state = queue_state();
        let tally = state.join();
        let mut watch = Stopwatch::new();
        watch.start();
        watch.message(1, None, &tally);
        tokio::time::advance(Duration::from_secs(1)).await;
        watch
            .aside(tokio::time::sleep(Duration::from_secs(60)))
            .await;
        watch.stop(&tally);
        assert_eq!(state.counts().handler.sum(), 1.0);
    }
}
