//! What an error of a server means for the write that met it. Decided by its code, never by its text: that may be in
//! any language, and a trigger may write into it whatever it likes.

use diesel::result::{Error, UnexpectedEndOfRow};

/// See the module's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Verdict {
    /// The server answers, and takes no writes now: it is read-only, or its disk is full.
    Closed,
    /// The connection is no good any more, or the server failed at this write. A ping shows whether it is away.
    Broken,
    /// It collided with another transaction; the next try may succeed.
    Conflict,
    /// It waited for another transaction's lock, or was interrupted: trying again at once would take as long.
    Waited,
    /// Its key is there already: by another transaction that was faster, or for good.
    Duplicate,
    /// The write itself is refused, now and later.
    Refused,
}

impl Verdict {
    /// Of an error that came without a code.
    pub(in crate::store) fn without_code(error: &Error) -> Self {
        match error {
            Error::DatabaseError(..) | Error::BrokenTransactionManager => Self::Broken,
            // The connection broke in the middle of an answer.
            Error::DeserializationError(cause) if cause.is::<UnexpectedEndOfRow>() => Self::Broken,
            // It never reached the server, or cannot be read.
            _ => Self::Refused,
        }
    }
}

/// The error for people, with its code.
pub(in crate::store) fn with_code(error: &Error, code: Option<&str>) -> String {
    match code {
        Some(code) => format!("{error} ({code})"),
        None => error.to_string(),
    }
}

/// What a server does with a second row under one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Collision {
    /// The statement fails, and the transaction with it.
    Fails,
    /// The statement inserts nothing, and reports it.
    Answers,
}
