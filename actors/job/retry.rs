//! From a failure to what becomes of the job.

use std::time::Duration;

use super::disposition::Disposition;
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

/// A handler may ask for no longer: what no column of a time can hold would be refused by the database, each time.
pub(crate) const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// What becomes of a job that failed: by what the handler wants, the attempt that failed (1 for the first) and the
/// entry's rules. `jitter` is a random number from 0 to 1.
pub(crate) fn after_failure(
    error: &JobError,
    attempt: u32,
    rules: &RetryRules,
    jitter: f64,
) -> Disposition {
    let dead_letter = || Disposition::DeadLetter {
        error: error.to_string(),
        attempts: attempt,
    };
    let is_last = attempt >= rules.max_attempts.get();
    match error.next() {
        Next::Release => Disposition::Release,
        Next::Discard => dead_letter(),
        Next::Retry | Next::RetryIn(_) if is_last => dead_letter(),
        Next::RetryIn(after) => Disposition::Retry(after.min(LONGEST)),
        Next::Retry => Disposition::Retry(rules.backoff.delay(attempt, jitter)),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::backoff::Backoff;

    fn rules(max_attempts: u32) -> RetryRules {
        RetryRules {
            max_attempts: NonZeroU32::new(max_attempts).unwrap(),
            backoff: Backoff {
                base: Duration::from_secs(1),
                max: Duration::from_secs(300),
            },
        }
    }

    fn is_dead(disposition: &Disposition) -> bool {
        matches!(disposition, Disposition::DeadLetter { .. })
    }

    #[test]
    fn no_retry_is_later_than_a_table_can_hold() {
        let error = JobError::retry_in(Duration::MAX, "later");
        let disposition = after_failure(&error, 1, &rules(5), 0.5);
        assert_eq!(disposition, Disposition::Retry(LONGEST));
    }

    #[test]
    fn a_message_runs_out_of_attempts() {
        let error = JobError::from("no");
        let first = after_failure(&error, 1, &rules(2), 0.5);
        assert_eq!(first, Disposition::Retry(Duration::from_secs(1)));
        let dead = Disposition::DeadLetter {
            error: "no".to_owned(),
            attempts: 2,
        };
        assert_eq!(after_failure(&error, 2, &rules(2), 0.5), dead);
        let error = JobError::retry_in(Duration::from_secs(9), "later");
        let first = after_failure(&error, 1, &rules(2), 0.5);
        assert_eq!(first, Disposition::Retry(Duration::from_secs(9)));
        assert!(is_dead(&after_failure(&error, 2, &rules(2), 0.5)));
    }

    #[test]
    fn a_discard_is_dead_at_once() {
        let error = JobError::discard("no");
        assert!(is_dead(&after_failure(&error, 1, &rules(5), 0.5)));
    }
}
