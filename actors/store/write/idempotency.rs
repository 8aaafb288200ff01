//! Writes of idempotency keys.

use super::Operation;
use crate::store::idempotency::{KeyClaim, KeyClaimed, KeyEnd, Keyed, KeyedInsert};

/// Rows of which some have idempotency keys: those that an earlier insert made are not made again.
#[derive(Debug, Clone)]
pub(crate) struct InsertKeyed(pub(crate) KeyedInsert);

impl Operation for InsertKeyed {
    type Reply = Keyed;

    fn rows(&self) -> usize {
        self.0.keys.len()
    }
}

/// Claims the key of a message that cannot be in a transaction of ours.
#[derive(Debug, Clone)]
pub(crate) struct ClaimKey(pub(crate) KeyClaim);

impl Operation for ClaimKey {
    type Reply = KeyClaimed;
}

/// What became of that message; changes nothing where the key is another attempt's by now.
#[derive(Debug, Clone)]
pub(crate) struct EndKey {
    pub(crate) key: String,
    pub(crate) owner: String,
    pub(crate) end: KeyEnd,
}

impl Operation for EndKey {
    type Reply = ();
}

/// Deletes at most `TRIM_ROWS` keys that were used first before that. Replies how many; fewer: none is left.
#[derive(Debug, Clone)]
pub(crate) struct TrimKeys {
    pub(crate) before_ms: i64,
}

impl Operation for TrimKeys {
    type Reply = usize;
}
