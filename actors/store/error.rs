//! What can go wrong between us and the database.

use std::path::PathBuf;

use super::error_class::{Verdict, with_code};
use crate::settler::Refusal;

/// Why a write or a read did not happen.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DbError {
    /// The database cannot be used at the moment; DbActor tries again by itself.
    #[error("the database is away: {0}")]
    Away(String),
    /// The server answers, and does not let us work: wrong password, no such database, sessions that are not our own.
    #[error("the database cannot be used with this address: {0}")]
    Denied(String),
    /// This write or question is refused by the database; others are not touched by it.
    #[error("the database refused it: {0}")]
    Refused(String),
    /// The adapter panicked while the write was under way; whether it was committed is not known.
    #[error("the database writer was restarted; whether the write was committed is not known")]
    Restarted,
    /// The process stops and takes no more writes.
    #[error("the daemon has stopped writing")]
    Stopped,
    /// The database file could not be made or opened.
    #[error("cannot open the database `{path}`: {cause}")]
    Open {
        /// The file.
        path: PathBuf,
        /// The error of the system or of SQLite.
        cause: String,
    },
    /// Another file is in the place of the database file, or none. What is written to the old one is lost; the daemon ends.
    #[error(
        "the database file `{path}` was {how} while this process had it open; stop the daemon before you move, restore or delete it"
    )]
    Replaced {
        /// The file.
        path: PathBuf,
        /// What became of it.
        how: &'static str,
    },
    /// The migrations could not be run.
    #[error("cannot bring the tables up to date: {0}")]
    Migrate(String),
}

impl DbError {
    /// The server's text, without its meaning.
    pub(in crate::store) fn into_text(self) -> String {
        match self {
            Self::Away(text) | Self::Refused(text) | Self::Denied(text) => text,
            other => other.to_string(),
        }
    }

    /// Why the database is away, for a line that already contains that it is away.
    pub(crate) fn into_reason(self) -> String {
        match self {
            Self::Away(reason) => reason,
            other => other.to_string(),
        }
    }

    /// What a server's error means, as its adapter judged, with its code.
    pub(in crate::store) fn from_server(
        error: &diesel::result::Error,
        (verdict, code): &(Verdict, Option<String>),
    ) -> Self {
        let text = with_code(error, code.as_deref());
        match verdict {
            Verdict::Closed => Self::Away(format!("it answers, and takes no writes: {text}")),
            Verdict::Broken | Verdict::Conflict | Verdict::Waited | Verdict::Duplicate => {
                Self::Away(text)
            }
            Verdict::Refused => Self::Refused(text),
        }
    }
}

impl Refusal for DbError {
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}
