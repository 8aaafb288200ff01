//! The two clocks of a test, and how to wait by each.
//!
//! A test with tokio's clock paused (`tokio::time::pause`, `start_paused`) runs on one thread. As soon as nothing else can be
//! done the clock leaps to the next timer, so minutes pass in no time. That holds too while a process, a server or another
//! thread works: the clock leaps past time limits of ours that would never have passed, an upper bound proves nothing,
//! and a loop that sleeps a millisecond at a time drives the clock by itself. So:
//!
//! | what is waited for | by |
//! | --- | --- |
//! | something of ours, after timers of ours | [`soon`] |
//! | a process, a server, a thread | [`by_others`], for which the clock stands still |
//! | that nothing comes | a marker behind it, and `soon` for the marker |
//!
//! `clock::now_ms` goes with tokio's clock in tests, so that rows and timers agree.

use std::pin::pin;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Longer than anything a test waits for, on a paused clock.
const NEVER: Duration = Duration::from_secs(24 * 3600);

/// Of the machine's clock. It bears a machine that is much slower than usual.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for something that must come, by tokio's clock.
pub(crate) async fn soon<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(NEVER, what)
        .await
        .expect("it never came")
}

/// Waits for what others than this thread bring about, by the machine's clock. A paused clock stands still meanwhile: no
/// timer of ours fires that would not have fired anyway.
pub(crate) async fn by_others<F: Future>(what: F) -> F::Output {
    let (done, waiting) = channel::<()>();
    // tokio does not let a paused clock leap while a blocking task runs.
    let mut hold = tokio::task::spawn_blocking(move || {
        waiting.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout)
    });
    let mut what = pin!(what);
    tokio::select! {
        output = &mut what => {
            drop(done);
            let _ = hold.await;
            output
        }
        _ = &mut hold => panic!("it did not come within {PATIENCE:?}"),
    }
}

/// Lets everything that can go on do so, without letting time pass.
pub(crate) async fn settle_down() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use tokio::time::{Instant, timeout};

    use super::*;
    use crate::clock::now_ms;

    /// What a thread answers after a while of the machine's clock.
    fn answer_of_a_thread() -> oneshot::Receiver<u8> {
        let (answer, answered) = oneshot::channel();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            answer.send(7)
        });
        answered
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_stands_still_while_others_work() {
        let (begun, shown) = (Instant::now(), now_ms());
        let limited = timeout(Duration::from_millis(1), answer_of_a_thread());
        assert_eq!(by_others(limited).await, Ok(Ok(7)));
        assert_eq!((begun.elapsed(), now_ms()), (Duration::ZERO, shown));
    }

    #[tokio::test(start_paused = true)]
    async fn without_it_the_clock_leaps_past_limits_of_ours() {
        let limited = timeout(Duration::from_secs(3600), answer_of_a_thread());
        assert!(soon(limited).await.is_err());
    }

    /// It did not for some milliseconds in a process whose first test had the clock paused.
    #[tokio::test(start_paused = true)]
    async fn the_wall_clock_follows_a_paused_clock() {
        let shown = now_ms();
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(now_ms() - shown, 1);
    }
}
