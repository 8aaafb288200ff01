//! What errors mean. diesel keeps few of PostgreSQL's codes, so some are known by their texts.

use diesel::result::{DatabaseErrorKind as Kind, Error, UnexpectedEndOfRow};

use crate::db::error::DbError;
use crate::db::verdict::Verdict;

/// What a server says when a later try may succeed.
const PASSING: [&str; 13] = [
    "the database system is",
    "terminating connection",
    "too many clients",
    "remaining connection slots",
    "too many connections",
    "read-only transaction",
    "No space left on device",
    "could not extend file",
    "could not write to file",
    "out of memory",
    "out of shared memory",
    "canceling statement due to user request",
    "canceling statement due to statement timeout",
];

const COLLISIONS: [&str; 3] = [
    "deadlock detected",
    "could not serialize access",
    "canceling statement due to lock timeout",
];

pub(in crate::db) fn verdict(error: &Error) -> Verdict {
    let text = error.to_string();
    match error {
        Error::DatabaseError(Kind::UniqueViolation | Kind::SerializationFailure, _) => {
            Verdict::Conflict
        }
        Error::DatabaseError(
            Kind::ReadOnlyTransaction | Kind::ClosedConnection | Kind::UnableToSendCommand,
            _,
        )
        | Error::BrokenTransactionManager => Verdict::Away,
        Error::DatabaseError(Kind::Unknown, _) => {
            let says = |texts: &[&str]| texts.iter().any(|one| text.contains(one));
            if says(&COLLISIONS) {
                Verdict::Conflict
            } else if says(&PASSING) {
                Verdict::Away
            } else {
                Verdict::Refused
            }
        }
        // The connection broke in the middle of an answer.
        Error::DeserializationError(cause) if cause.is::<UnexpectedEndOfRow>() => Verdict::Away,
        _ => Verdict::Refused,
    }
}

/// Whether a collision was that of a key.
pub(super) fn is_unique_violation(cause: &DbError) -> bool {
    cause.to_string().contains("unique constraint")
}

/// Whether a statement that alters gave up waiting for those who use the table.
pub(super) fn is_lock_timeout(error: &Error) -> bool {
    error
        .to_string()
        .contains("canceling statement due to lock timeout")
}

/// Whether it waited for a row that another transaction holds: trying again at once would wait as long.
pub(super) fn is_long_wait(cause: &DbError) -> bool {
    cause
        .to_string()
        .contains("canceling statement due to lock timeout")
}
