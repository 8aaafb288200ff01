//! What errors mean. diesel keeps the texts of MySQL's errors and drops their numbers; connections speak English.

use diesel::result::{DatabaseErrorKind as Kind, Error, UnexpectedEndOfRow};

use crate::db::error::DbError;
use crate::db::verdict::Verdict;

/// How errors begin that did not come from the server.
const NOT_FROM_THE_SERVER: [&str; 2] = ["Input/output error", "Driver error"];

/// What a server says when a later try may succeed.
const PASSING: [&str; 21] = [
    "Server shutdown in progress",
    "Normal shutdown",
    "Too many connections",
    "has more than 'max_user_connections'",
    "running with the --read-only",
    "--read-only option",
    "--super-read-only option",
    "in read only mode",
    "read-only mode",
    "offline mode",
    "No space left on device",
    "Out of memory",
    "Too many open files",
    "max_prepared_stmt_count",
    "because of inactivity",
    "is full",
    "Disk full",
    "Connection was killed",
    "Query execution was interrupted",
    "Lost connection",
    "WSREP has not yet prepared node",
];

const COLLISIONS: [&str; 6] = [
    "Deadlock found when trying to get lock",
    "WSREP detected deadlock/conflict",
    "Lock wait timeout exceeded",
    "Record has changed since last read",
    "Table definition has changed",
    "needs to be re-prepared",
];

/// A single message larger than the server takes breaks the connection, and would do so each time.
const TOO_LARGE: [&str; 2] = ["max_allowed_packet", "Packet too large"];

pub(in crate::db) fn verdict(error: &Error) -> Verdict {
    let text = error.to_string();
    match error {
        Error::DatabaseError(Kind::UniqueViolation, _) => Verdict::Conflict,
        Error::DatabaseError(Kind::ReadOnlyTransaction | Kind::ClosedConnection, _)
        | Error::BrokenTransactionManager => Verdict::Away,
        Error::DatabaseError(Kind::Unknown, _) => {
            let says = |texts: &[&str]| texts.iter().any(|one| text.contains(one));
            if says(&TOO_LARGE) {
                Verdict::Refused
            } else if says(&COLLISIONS) {
                Verdict::Conflict
            } else if says(&PASSING) || NOT_FROM_THE_SERVER.iter().any(|one| text.starts_with(one))
            {
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
    cause.to_string().contains("Duplicate entry")
}

/// Whether a statement that alters gave up waiting for those who use the table.
pub(super) fn is_lock_timeout(error: &Error) -> bool {
    error.to_string().contains("Lock wait timeout exceeded")
}

/// Whether it waited for a row that another transaction holds: trying again at once would wait as long.
pub(super) fn is_long_wait(cause: &DbError) -> bool {
    cause.to_string().contains("Lock wait timeout exceeded")
}
