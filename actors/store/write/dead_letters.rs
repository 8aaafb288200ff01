//! Writes of dead letters.

use super::{InsertedInto, Operation};
use crate::store::rows::{DeadLetterOrder, NewDeadLetter, Replay};

/// Dead letters of messages that live elsewhere; durable when replied.
#[derive(Debug, Clone)]
pub(crate) struct InsertDeadLetters {
    pub(crate) dead_letters: Vec<NewDeadLetter>,
}

impl Operation for InsertDeadLetters {
    type Reply = ();
    const INSERTS_INTO: Option<InsertedInto> = Some(InsertedInto::DeadLetter);

    fn has_words_of_one(&self) -> bool {
        self.dead_letters.len() == 1
    }

    fn rows(&self) -> usize {
        self.dead_letters.len()
    }
}

/// Runs dead letters again: each of them goes and its row comes, or neither.
#[derive(Debug, Clone)]
pub(crate) struct ReplayDeadLetters {
    pub(crate) dead_letters: Vec<Replay>,
    pub(crate) order: Option<DeadLetterOrder>,
}

impl Operation for ReplayDeadLetters {
    type Reply = Replayed;
}

/// What became of dead letters that were to run again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replayed {
    /// In the order of the dead letters asked for: the row that each became; none where the dead letter was gone.
    pub(crate) rows: Vec<Option<i64>>,
    /// The order's row of `audit`, once there is one.
    pub(crate) audit: Option<i64>,
}

/// Deletes dead letters.
#[derive(Debug, Clone)]
pub(crate) struct DeleteDeadLetters {
    pub(crate) ids: Vec<i64>,
    pub(crate) order: Option<DeadLetterOrder>,
}

impl Operation for DeleteDeadLetters {
    type Reply = DeletedDeadLetters;
}

/// What became of dead letters that were to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeletedDeadLetters {
    pub(crate) count: usize,
    /// The order's row of `audit`, once there is one.
    pub(crate) audit: Option<i64>,
}
