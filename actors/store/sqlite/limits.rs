//! The lengths of texts. No column of SQLite has a width: texts for people are cut as on a server, names are not cut.

use crate::store::parts::Manner;
use crate::store::truncate::{ERROR_CHARS, Plain, audited, fitted, shorten};

/// The limits of the write that is under way, and whether it is made whole or by parts.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::store) struct Limits {
    pub(super) manner: Manner,
}

#[expect(
    clippy::unused_self,
    reason = "as on a server, whose columns have widths"
)]
impl Limits {
    pub(super) fn task_result(self, text: &str) -> String {
        fitted(text)
    }

    pub(super) fn run_result(self, text: &str) -> String {
        fitted(text)
    }

    pub(super) fn run_name(self, text: &str) -> String {
        text.to_owned()
    }

    pub(super) fn run_exec_cmd(self, text: &str) -> String {
        text.to_owned()
    }

    pub(super) fn run_params(self, text: &str) -> String {
        text.to_owned()
    }

    pub(super) fn error(self, text: &str) -> String {
        shorten(text, ERROR_CHARS)
    }

    /// How much of a dead letter's payload is kept.
    pub(super) fn kept(self, bytes: usize) -> usize {
        bytes
    }

    pub(super) fn with_words(self) -> Self {
        self
    }

    pub(super) fn audited(self, text: &str) -> String {
        audited(text, Plain::AsItIs)
    }

    pub(super) fn exec_cmd(self, text: &str) -> String {
        text.to_owned()
    }

    pub(super) fn name(self, text: &str) -> String {
        text.to_owned()
    }
}
