//! What an error of a server means for the write that met it.

/// See the module's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::db) enum Verdict {
    /// The database cannot be used at the moment; the write is fine.
    Away,
    /// It collided with another transaction; the next try may succeed.
    Conflict,
    /// The write itself is refused, now and later.
    Refused,
}

/// What a server does with a second row under one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::db) enum Collision {
    /// The statement fails, and the transaction with it.
    Fails,
    /// The statement inserts nothing, and says so.
    Answers,
}
