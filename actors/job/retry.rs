//! From a failure to what becomes of the job.

use std::time::Duration;

use super::error::{JobError, Next};
use crate::config::RetryRules;

/// Why a job does not run of which an attempt ended its process: another daemon, which did not know its rules, counted
/// that.
pub(crate) const USED_UP: &str = "all attempts are used up, and one of them ended its process";

/// Why a job that had this many attempts does not run: either another daemon counted the last of them, or `max_attempts`
/// has been lowered since.
pub(crate) fn used_up(attempts: u32, rules: &RetryRules, suspect: bool) -> JobError {
    let max = rules.max_attempts;
    JobError::discard(match suspect {
        true => USED_UP.to_owned(),
        false => {
            format!("all attempts are used up: it had {attempts}, and `max_attempts` is {max}")
        }
    })
}

/// What becomes of a job that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It runs again after this long.
    Retry(Duration),
    /// It is a dead letter.
    Dead,
    /// It is released, and this was no attempt.
    Release,
}

/// A handler may ask for no longer: what no column of a time can hold would be refused by the database, each time.
pub(crate) const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Decides by what the handler wants, the attempt that failed (1 for the first) and the entry's rules.
/// `jitter` is a random number from 0 to 1.
pub(crate) fn verdict(error: &JobError, attempt: u32, rules: &RetryRules, jitter: f64) -> Verdict {
    if error.next() == Next::Release {
        return Verdict::Release;
    }
    if attempt >= rules.max_attempts.get() {
        return Verdict::Dead;
    }
    match error.next() {
        Next::Discard => Verdict::Dead,
        Next::Release => Verdict::Release,
        Next::RetryIn(after) => Verdict::Retry(after.min(LONGEST)),
        Next::Retry => Verdict::Retry(rules.backoff.delay(attempt, jitter)),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::config::Backoff;

    fn rules(max_attempts: u32) -> RetryRules {
        RetryRules {
            max_attempts: NonZeroU32::new(max_attempts).unwrap(),
            backoff: Backoff {
                base: Duration::from_secs(1),
                max: Duration::from_secs(300),
            },
        }
    }

    #[test]
    fn no_retry_is_later_than_a_table_can_hold() {
        let error = JobError::retry_in(Duration::MAX, "later");
        assert_eq!(verdict(&error, 1, &rules(5), 0.5), Verdict::Retry(LONGEST));
    }

    #[test]
    fn attempts_run_out() {
        let error = JobError::from("no");
        assert!(matches!(
            verdict(&error, 1, &rules(2), 0.5),
            Verdict::Retry(_)
        ));
        assert_eq!(verdict(&error, 2, &rules(2), 0.5), Verdict::Dead);
        let error = JobError::retry_in(Duration::from_secs(9), "later");
        assert_eq!(
            verdict(&error, 1, &rules(2), 0.5),
            Verdict::Retry(Duration::from_secs(9))
        );
        assert_eq!(verdict(&error, 2, &rules(2), 0.5), Verdict::Dead);
    }

    #[test]
    fn a_discard_is_dead_at_once() {
        assert_eq!(
            verdict(&JobError::discard("no"), 1, &rules(5), 0.5),
            Verdict::Dead
        );
    }
}
