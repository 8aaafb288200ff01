//! What an operation says of itself, and how its reply comes back to its caller.

use super::{Write, Written};
use crate::store::error::DbError;

/// One kind of write. Its fields are what the statements need; the defaults below are those of a write that is about one
/// row and waits its turn.
pub(crate) trait Operation: Listed {
    /// The caller has it once the write is committed.
    type Reply;

    /// It releases rows of a boot that lives on, or of this boot at its end. The ends before it must be written by then,
    /// or they would be stale, and the claims behind it must not be, or it would release them.
    const IS_BARRIER: bool = false;
    /// Its caller has to act at a certain moment: make a fire. No urgent write depends on one that is not urgent, so it
    /// may go before those, and beside them. What becomes of a run is among them: what `overlap` makes of a fire depends
    /// on the ends before it, and the start of a run locks the rows that its end needs.
    const IS_URGENT: bool = false;
    /// Only claims of fires are in one transaction with it: claims are made in one order, by every daemon.
    const CLAIMS_A_FIRE: bool = false;
    /// It is about warnings: no other write waits for it, and no claim depends on it.
    const IS_OF_WARNINGS: bool = false;
    /// It ends what is claimed.
    const IS_END: bool = false;
    /// The table into which it inserts, and does nothing else. The lock that blocks it then is one of the whole table,
    /// or of a range.
    const INSERTS_INTO: Option<InsertedInto> = None;
    /// Parts of it may be left out where they are refused: rows of a claim, those that are released or deleted, what
    /// is written for people alone, entries.
    const HAS_PARTS: bool = false;

    /// It is about one thing, and has words about it that may be written more plainly, or left out.
    fn has_words_of_one(&self) -> bool {
        false
    }

    /// How many rows it is about, roughly.
    fn rows(&self) -> usize {
        1
    }

    /// The reply without a write, where its caller has given it up and waits only to learn what became of it.
    fn given_up(&self) -> Option<Self::Reply> {
        None
    }
}

/// Has a variant of [`Write`] and one of [`Written`]: `operations!` makes this for each operation in its list.
pub(crate) trait Listed: Into<Write> {
    /// The answer to this write.
    fn answer(&self, reply: <Self as Operation>::Reply) -> Written
    where
        Self: Operation;

    /// The reply in it, if it is the answer to such a write.
    fn reply(written: Written) -> Result<<Self as Operation>::Reply, Written>
    where
        Self: Operation;
}

/// The reply from the answer to a write of this operation.
///
/// **It is never the answer to another operation.** An adapter makes each answer with [`Listed::answer`] of the write
/// that it matched, or with the variant of the writes that it gathered, and puts it at the place of that write in its
/// batch. `db::write_queue::commit` sends the answer at a place to the caller whose write stood there, and `Db::write`
/// made that write from the operation whose reply it asks for.
pub(crate) fn reply_of<O: Operation>(
    answer: Result<Written, DbError>,
) -> Result<O::Reply, DbError> {
    answer.map(|written| match O::reply(written) {
        Ok(reply) => reply,
        Err(other) => unreachable!("the answer to another operation: {other:?}"),
    })
}

/// A table into which writes insert that do nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum InsertedInto {
    DelayQueueLog,
    QueueMessage,
    DeadLetter,
    WarningWindow,
}

impl InsertedInto {
    pub(crate) const ALL: [Self; 4] = [
        Self::DelayQueueLog,
        Self::QueueMessage,
        Self::DeadLetter,
        Self::WarningWindow,
    ];
}
