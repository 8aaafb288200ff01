//! How texts are written: no column of SQLite has a width, so what is for people is as long as on a server, and what
//! something is called is written as it is.

use crate::store::parts::Manner;
use crate::store::truncate::{ERROR_CHARS, Plain, audited, fitted, shorten};

/// How what is being written is made.
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
