//! What becomes of a job that was taken.

use std::time::Duration;

use crate::state::Settlements;

/// What becomes of a message or a delayed task that was taken. Decided once it has run (`retry.rs`); its queue makes it
/// durable. `R` says when a retry is due: after this long, or at a time by the clock of the queue that keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Disposition<R = Duration> {
    /// It is finished and goes.
    Complete,
    /// It runs again; the attempt counts.
    Retry(R),
    /// It goes to the dead letters.
    DeadLetter { error: String, attempts: u32 },
    /// It goes back as it was: it has not run, or was cut short by a stop.
    Release,
}

impl Disposition {
    /// The same, with the time at which a retry is due.
    pub(crate) fn due_at<R>(self, at: impl FnOnce(Duration) -> R) -> Disposition<R> {
        match self {
            Self::Complete => Disposition::Complete,
            Self::Retry(after) => Disposition::Retry(at(after)),
            Self::DeadLetter { error, attempts } => Disposition::DeadLetter { error, attempts },
            Self::Release => Disposition::Release,
        }
    }
}

/// How many there are of each.
pub(crate) fn settlements<'a, R: 'a>(
    dispositions: impl Iterator<Item = &'a Disposition<R>>,
) -> Settlements {
    let mut counts = Settlements::default();
    for disposition in dispositions {
        *match disposition {
            Disposition::Complete => &mut counts.completed,
            Disposition::Retry(_) => &mut counts.retried,
            Disposition::DeadLetter { .. } => &mut counts.dead_lettered,
            Disposition::Release => &mut counts.released,
        } += 1;
    }
    counts
}
