//! Writes of boots: that one lives, has ended, or is dead.

use super::Operation;
use crate::store::rows::{BootRow, Crash, Reaped};

/// Makes this boot known.
#[derive(Debug, Clone)]
pub(crate) struct BeginBoot(pub(crate) BootRow);

impl Operation for BeginBoot {
    type Reply = ();
}

/// Releases all that a boot still owns and marks it ended.
#[derive(Debug, Clone)]
pub(crate) struct EndBoot {
    pub(crate) owner: String,
}

impl Operation for EndBoot {
    type Reply = Reaped;
    const IS_BARRIER: bool = true;
    const HAS_PARTS: bool = true;
}

/// Takes over from boots whose last heartbeat is three intervals older than `as_of_ms`, the moment of a heartbeat of our
/// own: what was late for the same reason as ours is not judged, however late this is written.
#[derive(Debug, Clone)]
pub(crate) struct ReapSilent {
    pub(crate) me: String,
    pub(crate) as_of_ms: i64,
}

impl Operation for ReapSilent {
    type Reply = Reaped;
    const HAS_PARTS: bool = true;
}

/// Takes over from one boot whose process is known to be gone, and records the crashes that ended it. Replies without any boot where
/// this database does not know it.
#[derive(Debug, Clone)]
pub(crate) struct ReapGone {
    pub(crate) owner: String,
    pub(crate) crashes: Vec<Crash>,
}

impl Operation for ReapGone {
    type Reply = Reaped;
    const HAS_PARTS: bool = true;

    fn has_words_of_one(&self) -> bool {
        true
    }
}
