//! Writes of warnings: their counts, and the notices that come of them.

use super::{InsertedInto, Operation};
use crate::store::warnings::{CountAdd, CountNotice, Counted, NoticeClaim};

/// Counts of a warning, in all of its windows or in none; durable when replied, if it is not held.
#[derive(Debug, Clone)]
pub(crate) struct AddCount(pub(crate) CountAdd);

impl Operation for AddCount {
    type Reply = Counted;
    const IS_OF_WARNINGS: bool = true;
    /// It waits for no row: see `warnings::add` in the adapters.
    const INSERTS_INTO: Option<InsertedInto> = Some(InsertedInto::WarningWindow);

    fn rows(&self) -> usize {
        self.0.periods.len()
    }
}

/// This boot has a receiver for the notices of that environment.
#[derive(Debug, Clone)]
pub(crate) struct SendNotices {
    pub(crate) owner: String,
    pub(crate) environment: String,
}

impl Operation for SendNotices {
    type Reply = ();
    const IS_OF_WARNINGS: bool = true;
}

/// Claims notices, the oldest first. Replies those that are this boot's now and that it does not keep.
#[derive(Debug, Clone)]
pub(crate) struct ClaimNotices(pub(crate) NoticeClaim);

impl Operation for ClaimNotices {
    type Reply = Vec<CountNotice>;
    const IS_OF_WARNINGS: bool = true;
    const HAS_PARTS: bool = true;
}

/// Deletes those of the notices that are this boot's: the receivers have them. Replies those that stay its own, as
/// another transaction has locked them or the database refuses the delete.
#[derive(Debug, Clone)]
pub(crate) struct EndNotices {
    pub(crate) owner: String,
    pub(crate) ids: Vec<i64>,
}

impl Operation for EndNotices {
    type Reply = Vec<i64>;
    const IS_OF_WARNINGS: bool = true;
    const HAS_PARTS: bool = true;

    fn rows(&self) -> usize {
        self.ids.len()
    }
}

/// Deletes at most `TRIM_ROWS` windows that ended a day and more than their period ago. Replies how many; fewer: none is
/// left.
#[derive(Debug, Clone)]
pub(crate) struct TrimWindows;

impl Operation for TrimWindows {
    type Reply = usize;
    const IS_OF_WARNINGS: bool = true;
}

/// Deletes at most `TRIM_ROWS` notices that no boot has claimed for a day, and forgets senders that are gone. Replies how
/// many notices.
#[derive(Debug, Clone)]
pub(crate) struct TrimNotices;

impl Operation for TrimNotices {
    type Reply = usize;
    const IS_OF_WARNINGS: bool = true;
    const HAS_PARTS: bool = true;
}
