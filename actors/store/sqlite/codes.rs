//! What SQLite's errors mean. diesel drops their codes, and what it does after an error clears them; but SQLite's own
//! texts stand for its codes, one for one and in one language. A trigger may raise any text, so a text counts only as a
//! whole, and only where SQLite itself can have raised it: once a transaction has begun (`BEGIN IMMEDIATE`) it waits
//! for no lock.

use std::ffi::{CStr, c_int};

use diesel::result::{DatabaseErrorKind as Kind, Error};
use libsqlite3_sys as ffi;

use crate::store::error::DbError;

/// Where in a transaction an error came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// `BEGIN`, `COMMIT`, or a question.
    Around,
    /// A statement that writes.
    Within,
}

/// Somebody else holds the file.
const HELD: [c_int; 2] = [ffi::SQLITE_BUSY, ffi::SQLITE_LOCKED];

/// The disk, the memory or the file is not as every write needs it.
const CLOSED: [c_int; 6] = [
    ffi::SQLITE_NOMEM,
    ffi::SQLITE_READONLY,
    ffi::SQLITE_IOERR,
    ffi::SQLITE_FULL,
    ffi::SQLITE_CANTOPEN,
    ffi::SQLITE_PROTOCOL,
];

/// An error about the disk or the file within a transaction may hold for one write alone: only a write of another kind
/// shows whether the database is away.
pub(super) fn judged(error: &Error, step: Step) -> DbError {
    let text = error.to_string();
    let is_its_own = matches!(error, Error::DatabaseError(Kind::Unknown, _));
    let passes = match step {
        Step::Around => is_one_of(&text, &HELD) || is_one_of(&text, &CLOSED),
        Step::Within => is_one_of(&text, &CLOSED),
    };
    match is_its_own && passes {
        true => DbError::Away(text),
        false => DbError::Refused(text),
    }
}

/// Whether another process holds the file, by the text of an error outside of a transaction.
pub(super) fn is_held(text: &str) -> bool {
    is_one_of(text, &HELD)
}

fn is_one_of(text: &str, codes: &[c_int]) -> bool {
    codes.iter().any(|code| text == text_of(*code))
}

fn text_of(code: c_int) -> &'static str {
    // SAFETY: SQLite answers a text that is compiled into it, for any number.
    let text = unsafe { CStr::from_ptr(ffi::sqlite3_errstr(code)) };
    text.to_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_sqlite_says_itself_passes() {
        let refusal = |text: &str| Error::DatabaseError(Kind::Unknown, Box::new(text.to_owned()));
        for (text, around, within) in [
            ("database is locked", true, false),
            ("database or disk is full", true, true),
            ("disk I/O error", true, true),
            ("out of memory", true, true),
            ("the queue is full", false, false),
            ("our disk I/O error", false, false),
        ] {
            let is_away = |step| matches!(judged(&refusal(text), step), DbError::Away(_));
            let passes = (is_away(Step::Around), is_away(Step::Within));
            assert_eq!(passes, (around, within), "{text}");
        }
    }
}
