//! Waiting for something that can be seen.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// For what takes a moment. Generous: the machine may be compiling something else.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// For what is a lot of work.
pub const LONG_PATIENCE: Duration = Duration::from_secs(180);
/// Between two polls.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Polls until there is something; fails the test after `patience`.
#[track_caller]
pub fn wait_for<T>(what: &str, patience: Duration, mut poll: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = poll() {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "waited {patience:?} in vain for {what}"
        );
        thread::sleep(POLL_INTERVAL);
    }
}

/// As [`wait_for`], for a plain yes.
#[track_caller]
pub fn wait_until(what: &str, patience: Duration, mut poll: impl FnMut() -> bool) {
    wait_for(what, patience, || poll().then_some(()));
}

/// Lets a moment pass that nobody can foresee, so that what follows hits any state.
pub fn random_moment(longest: Duration) {
    thread::sleep(longest.mul_f64(fastrand::f64()));
}

/// Unix microseconds, as in the ledger.
pub fn now_us() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since_epoch.as_micros()).unwrap()
}

/// Unix seconds.
pub fn now_s() -> i64 {
    now_us() / 1_000_000
}
