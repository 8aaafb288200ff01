//! How a handler returns that it did not succeed, and what it wants then.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use crate::state::FailureCause;

/// Any error, as `?` makes it.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// What a handler answers.
pub type JobResult<T = ()> = Result<T, JobError>;

/// A failed job: its cause, and whether it is to be tried again.
///
/// `?` on any error makes one that is retried after the entry's `backoff`, until `max_attempts` are used up.
///
/// ```
/// use simplest_script::{JobError, JobResult};
///
/// fn price(text: &str) -> JobResult<u32> {
///     let price: u32 = text.parse()?; // retried
///     if price == 0 {
///         return Err(JobError::discard("a price of 0 is never right")); // a dead letter at once
///     }
///     Ok(price)
/// }
/// assert_eq!(price("7").unwrap(), 7);
/// assert!(price("seven").is_err());
/// ```
///
/// It is not a [`std::error::Error`] itself: otherwise `?` could not take every error.
pub struct JobError {
    next: Next,
    kind: FailureCause,
    cause: BoxError,
}

/// What is to happen after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Again, after the entry's back-off.
    Retry,
    /// Again, after this long.
    RetryIn(Duration),
    /// Never: a dead letter.
    Discard,
    /// Again as soon as may be; no attempt is counted.
    Release,
}

impl JobError {
    /// An error that no retry can mend: the job becomes a dead letter at once.
    pub fn discard(cause: impl Into<BoxError>) -> Self {
        Self {
            next: Next::Discard,
            kind: FailureCause::Error,
            cause: cause.into(),
        }
    }

    /// An error after which the job runs again once `after` has passed, whatever the entry's back-off; ten years at most. It
    /// counts as an attempt.
    pub fn retry_in(after: Duration, cause: impl Into<BoxError>) -> Self {
        Self {
            next: Next::RetryIn(after),
            kind: FailureCause::Error,
            cause: cause.into(),
        }
    }

    /// The engine ended it, or caught its panic.
    pub(super) fn of_kind(kind: FailureCause, cause: String) -> Self {
        Self {
            kind,
            ..cause.into()
        }
    }

    /// What kind of failure it is.
    pub(crate) fn kind(&self) -> FailureCause {
        self.kind
    }

    pub(crate) fn next(&self) -> Next {
        self.next
    }

    /// Whether it counts as a failed attempt.
    pub(crate) fn is_attempt(&self) -> bool {
        self.next != Next::Release
    }

    /// What the system answered, where it is behind the failure.
    pub(crate) fn os_code(&self) -> Option<i32> {
        let mut cause: Option<&(dyn Error + 'static)> = Some(self.cause.as_ref());
        while let Some(known) = cause {
            if let Some(code) = known
                .downcast_ref::<io::Error>()
                .and_then(io::Error::raw_os_error)
            {
                return Some(code);
            }
            if let Some(again) = known.downcast_ref::<Again>() {
                return again.os_code;
            }
            cause = known.source();
        }
        None
    }

    /// The same failure, which counts no attempt.
    pub(crate) fn released(self) -> Self {
        Self {
            next: Next::Release,
            ..self
        }
    }

    /// The same failure once more, for another message of the batch.
    pub(crate) fn again(&self) -> Self {
        Self {
            next: self.next,
            kind: self.kind,
            cause: Box::new(Again {
                text: self.to_string(),
                os_code: self.os_code(),
            }),
        }
    }
}

/// An error that cannot be cloned, for the other messages of a batch.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct Again {
    text: String,
    os_code: Option<i32>,
}

impl<E: Into<BoxError>> From<E> for JobError {
    fn from(cause: E) -> Self {
        Self {
            next: Next::Retry,
            kind: FailureCause::Error,
            cause: cause.into(),
        }
    }
}

impl fmt::Display for JobError {
    /// The cause and the causes behind it, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cause)?;
        let mut source = self.cause.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl fmt::Debug for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobError({:?}: {self})", self.next)
    }
}
