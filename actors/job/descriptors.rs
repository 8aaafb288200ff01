//! Jobs that fail because this process has no file descriptor left: that is not the job's fault, and no failed attempt.
//!
//! Without this a message could become a dead letter for what its neighbours have open. A job that is released runs again at
//! once where there is room, so its consumer waits for a moment first; meanwhile the others close theirs.
//!
//! A job that opens too many itself has the same error. So each job is excused a limited number of times.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use tokio::time::Instant;

use super::error::{JobError, Next};

/// How long a consumer waits before it releases such a job.
const PAUSE: Duration = Duration::from_secs(1);
/// How often one job is excused, each time after the pause.
const MOST_EXCUSES: u32 = 20;
/// What ran out of descriptors longer ago than this has ended since, or others had them all that long.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Time from one line in the log to the next.
const LINE_INTERVAL: Duration = Duration::from_secs(60);

/// The error with which a job ended, made one that counts no attempt where the process was out of descriptors. Takes a
/// moment then. `which` names the job for people, and is the same whenever it runs again.
pub(crate) async fn excuse(error: JobError, which: impl FnOnce() -> String) -> JobError {
    // A handler that discards has decided that no other try would help.
    let wants_again = matches!(error.next(), Next::Retry | Next::RetryIn(_));
    if !wants_again || !(says_so(&error) || none_left()) {
        return error;
    }
    let which = which();
    if !may_be_excused(&which) {
        log::error!(
            "{which} has found no file descriptor {MOST_EXCUSES} times in a row; this counts as a failed attempt: {error}"
        );
        return error;
    }
    log_once_in_a_while(&which);
    tokio::time::sleep(PAUSE).await;
    error.released()
}

/// Whether the error or a cause behind it is the system's answer to that.
fn says_so(error: &JobError) -> bool {
    matches!(error.os_code(), Some(libc::EMFILE | libc::ENFILE))
}

/// Errors of libraries often keep the text alone, and a panic has no causes. So the system is asked as well.
fn none_left() -> bool {
    let opened = open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    matches!(opened, Err(Errno::MFILE | Errno::NFILE))
}

fn may_be_excused(which: &str) -> bool {
    static EXCUSES: Mutex<Option<HashMap<String, (u32, Instant)>>> = Mutex::new(None);
    let mut excuses = EXCUSES.lock();
    let excuses = excuses.get_or_insert_default();
    excuses.retain(|_, (_, last)| last.elapsed() < REMEMBERED);
    let now = Instant::now();
    let (times, last) = excuses.entry(which.to_owned()).or_insert((0, now));
    (*times, *last) = (*times + 1, now);
    let may = *times <= MOST_EXCUSES;
    if !may {
        // Its next attempt begins anew.
        excuses.remove(which);
    }
    may
}

fn log_once_in_a_while(which: &str) {
    static LAST: Mutex<Option<Instant>> = Mutex::new(None);
    let mut last = LAST.lock();
    if last.is_some_and(|last| last.elapsed() < LINE_INTERVAL) {
        return;
    }
    *last = Some(Instant::now());
    let limit = getrlimit(Resource::Nofile).current;
    log::error!(
        "no file descriptor is left of {}: {which} failed for it and is released, which counts no attempt; raise the hard \
         limit (`LimitNOFILE`, `ulimit -Hn`) or find what keeps them open",
        limit.map_or_else(|| "any number".to_owned(), |limit| limit.to_string())
    );
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open it")]
    struct Wrapped(#[source] io::Error);

    fn out() -> io::Error {
        io::Error::from_raw_os_error(libc::EMFILE)
    }

    #[actix_rt::test]
    async fn only_want_of_descriptors_is_excused() {
        tokio::time::pause();
        for (error, expected) in [
            (JobError::from(out()), Next::Release),
            (JobError::from(Wrapped(out())), Next::Release),
            (JobError::retry_in(PAUSE, Wrapped(out())), Next::Release),
            (JobError::from(Wrapped(out())).again(), Next::Release),
            (JobError::discard(out()), Next::Discard),
            (
                JobError::from(io::Error::from_raw_os_error(libc::ENOENT)),
                Next::Retry,
            ),
            (JobError::from("Too many open files"), Next::Retry),
        ] {
            let text = error.to_string();
            let excused = excuse(error, || text.clone()).await;
            assert_eq!(excused.next(), expected, "{text}");
            assert_eq!(excused.to_string(), text);
        }
    }

    #[actix_rt::test]
    async fn one_job_is_excused_so_often_and_no_more() {
        tokio::time::pause();
        let excuse = async |which: &str| excuse(out().into(), || which.to_owned()).await.next();
        for _ in 0..2 {
            for _ in 0..MOST_EXCUSES {
                assert_eq!(excuse("that opens too many").await, Next::Release);
            }
            assert_eq!(excuse("that opens too many").await, Next::Retry);
            assert_eq!(excuse("another").await, Next::Release);
        }
        for _ in 0..2 * MOST_EXCUSES {
            assert_eq!(excuse("that has bad luck").await, Next::Release);
            tokio::time::advance(REMEMBERED).await;
        }
    }
}
