//! Writes of messages of `table` queues.

use super::{InsertedInto, Most, Operation, Settlement};
use crate::store::rows::{ClaimedMessage, MessageEnd, NewMessage};

/// Messages, durable once their ids are replied. Consumers in this process poll at once where `Db::insert_messages`
/// writes them.
#[derive(Debug, Clone)]
pub(crate) struct InsertMessages {
    pub(crate) queue: String,
    pub(crate) rows: Vec<NewMessage>,
}

impl Operation for InsertMessages {
    type Reply = Vec<i64>;
    const INSERTS_INTO: Option<InsertedInto> = Some(InsertedInto::QueueMessage);

    fn rows(&self) -> usize {
        self.rows.len()
    }
}

/// Claims waiting messages, oldest first.
#[derive(Debug, Clone)]
pub(crate) struct ClaimMessages {
    pub(crate) queue: String,
    pub(crate) owner: String,
    pub(crate) most: Most,
}

impl Operation for ClaimMessages {
    type Reply = Vec<ClaimedMessage>;
    const HAS_PARTS: bool = true;

    fn rows(&self) -> usize {
        self.most.rows()
    }
}

/// Ends of messages; those of a stale owner change nothing.
#[derive(Debug, Clone)]
pub(crate) struct EndMessages {
    pub(crate) owner: String,
    pub(crate) ends: Vec<MessageEnd>,
}

impl Operation for EndMessages {
    type Reply = Settlement;
    const IS_END: bool = true;

    fn has_words_of_one(&self) -> bool {
        self.ends.len() == 1
    }

    fn rows(&self) -> usize {
        self.ends.len()
    }
}

/// Releases the owner's messages of one queue but for some claims. Replies how many.
#[derive(Debug, Clone)]
pub(crate) struct ReleaseMessages {
    pub(crate) queue: String,
    pub(crate) owner: String,
    /// Row and fence of each claim that is kept.
    pub(crate) keep: Vec<(i64, i64)>,
}

impl Operation for ReleaseMessages {
    type Reply = usize;
    const IS_BARRIER: bool = true;
    const HAS_PARTS: bool = true;
}

/// Makes at most `TRIM_ROWS` waiting messages of one queue due now whose time lies further ahead than a retry sets it; a
/// message that never failed is due when it is sent. Replies how many.
#[derive(Debug, Clone)]
pub(crate) struct HastenMessages {
    pub(crate) queue: String,
    /// The longest that a retry waits, in milliseconds.
    pub(crate) longest_ms: i64,
}

impl Operation for HastenMessages {
    type Reply = usize;
}
