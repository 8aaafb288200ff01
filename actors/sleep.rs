//! Sleeps that end within a fraction of a millisecond.
//!
//! tokio's timers count whole milliseconds, and the wait of its driver does so once more: a sleep of theirs ends up to two
//! milliseconds late. What is due to the millisecond sleeps by a timer of the kernel's, where there is one.

use std::time::Duration;

/// Sleeps for this long. Only for what is due at a moment: it costs a few system calls.
pub(crate) async fn sleep(duration: Duration) {
    // The clock of unit tests is tokio's own.
    #[cfg(all(target_os = "linux", not(test)))]
    if by_the_kernel(duration).await.is_ok() {
        return;
    }
    // No timer, or no descriptor for one: a little late then.
    tokio::time::sleep(duration).await;
}

#[cfg(target_os = "linux")]
#[cfg_attr(
    test,
    allow(dead_code, reason = "tested, and not used by what a test runs")
)]
async fn by_the_kernel(duration: Duration) -> std::io::Result<()> {
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
    let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
    // Nothing at all would never ring.
    let duration = duration.max(Duration::from_nanos(1));
    let once = Itimerspec {
        it_interval: Timespec::default(),
        it_value: Timespec {
            tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: duration.subsec_nanos().into(),
        },
    };
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &once)?;
    // SAFETY: it owns its descriptor, which stays open and the same until it is dropped, and that is with the `AsyncFd`.
    let timer = unsafe { AsyncFd::register_with_interest(timer, Interest::READABLE) }?;
    timer.readable().await.map(drop)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Instant;

    use super::*;

    #[actix_rt::test]
    async fn it_sleeps_no_shorter_than_asked_and_little_longer() {
        let mut late = Vec::new();
        for micros in [300, 1_700, 2_900, 10_400].repeat(5) {
            let asked = Duration::from_micros(micros);
            let begun = Instant::now();
            by_the_kernel(asked).await.unwrap();
            late.push(begun.elapsed().checked_sub(asked).expect("it woke early"));
        }
        by_the_kernel(Duration::ZERO).await.unwrap();
        late.sort_unstable();
        // Others may keep the processor from it; not each time.
        assert!(late[0] < Duration::from_micros(500), "{late:?}");
    }
}
