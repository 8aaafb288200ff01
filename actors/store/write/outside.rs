//! Writes about messages that live outside the database, whose attempts it counts.

use super::Operation;
use crate::store::rows::{FailedAttempt, OutsideId};

/// Failed attempts; durable when replied. May be repeated: the highest attempt of a message counts.
#[derive(Debug, Clone)]
pub(crate) struct NoteFailures {
    pub(crate) failures: Vec<FailedAttempt>,
}

impl Operation for NoteFailures {
    type Reply = ();

    fn rows(&self) -> usize {
        self.failures.len()
    }
}

/// These messages, whose crashes or failed attempts are recorded, are finished. Replies how many rows that deletes.
#[derive(Debug, Clone)]
pub(crate) struct ForgetDeaths {
    pub(crate) ids: Vec<OutsideId>,
}

impl Operation for ForgetDeaths {
    type Reply = usize;
}
