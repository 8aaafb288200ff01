//! Jobs that fail because this process has no file descriptor left: that is not the job's fault, and no failed attempt.
//!
//! Without this a message could become a dead letter for what its neighbours have open. A job that is released runs again at
//! once where there is room, so its consumer waits for a moment first; meanwhile the others close theirs.

use std::sync::Mutex;
use std::time::Duration;

use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::{Resource, getrlimit};
use rustix::stdio;
use tokio::time::Instant;

use super::error::{JobError, Next};

/// So long a consumer waits before it releases such a job.
const PAUSE: Duration = Duration::from_secs(1);
/// One line in the log for so long.
const LINE_INTERVAL: Duration = Duration::from_secs(60);

/// The error with which a job ended, made one that counts no attempt where the process was out of descriptors. Takes a
/// moment then.
pub(crate) async fn excuse(error: JobError) -> JobError {
    // A handler that discards has said that no other try would help.
    let wants_again = matches!(error.next(), Next::Retry | Next::RetryIn(_));
    if !wants_again || !(says_so(&error) || none_left()) {
        return error;
    }
    log_once_in_a_while();
    tokio::time::sleep(PAUSE).await;
    error.released()
}

/// Whether the error or a cause behind it is the system's answer to that.
fn says_so(error: &JobError) -> bool {
    matches!(error.os_code(), Some(libc::EMFILE | libc::ENFILE))
}

/// Errors of libraries often keep the text alone, and a panic has no causes. So the system is asked as well.
fn none_left() -> bool {
    matches!(
        fcntl_dupfd_cloexec(stdio::stdin(), 0),
        Err(Errno::MFILE | Errno::NFILE)
    )
}

fn log_once_in_a_while() {
    static LAST: Mutex<Option<Instant>> = Mutex::new(None);
    let Ok(mut last) = LAST.lock() else {
        return;
    };
    if last.is_some_and(|last| last.elapsed() < LINE_INTERVAL) {
        return;
    }
    *last = Some(Instant::now());
    let limit = getrlimit(Resource::Nofile).current;
    log::error!(
        "no file descriptor is left of {}: jobs that fail for it are released and count no attempt; raise the hard limit \
         (`LimitNOFILE`, `ulimit -Hn`) or find what keeps them open",
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
            let excused = excuse(error).await;
            assert_eq!(excused.next(), expected, "{text}");
            assert_eq!(excused.to_string(), text);
        }
    }
}
