//! How a command ends that could not do its work.

use std::fmt::Display;
use std::process::ExitCode;

use crate::logs;
use crate::operations::Refusal;

/// Exit status of a command that failed.
pub(crate) const FAILED: u8 = 1;
/// Exit status for bad configuration or usage: nothing was started.
pub(crate) const MISUSED: u8 = 2;

/// What to say, and with which exit status to end.
#[derive(Debug)]
pub(crate) struct Failure {
    text: String,
    code: u8,
}

impl Failure {
    /// The work failed.
    pub(crate) fn failed(what: impl Display) -> Self {
        Self {
            text: what.to_string(),
            code: FAILED,
        }
    }

    /// Configuration or command line are not right.
    pub(crate) fn misused(what: impl Display) -> Self {
        Self {
            text: what.to_string(),
            code: MISUSED,
        }
    }

    /// What was asked for or ordered is refused.
    pub(crate) fn refused(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown(why) | Refusal::Misused(why) => Self::misused(why),
            Refusal::Impossible(why) => Self::failed(why),
            Refusal::Database(cause) => Self::failed(chain(&cause)),
        }
    }

    /// What to say.
    pub(crate) fn text(self) -> String {
        self.text
    }

    /// Says it on standard error.
    pub(crate) fn report(self) -> ExitCode {
        // Where nobody reads it, the exit status remains.
        logs::say(&format!("{}\n", self.text.trim_end()));
        ExitCode::from(self.code)
    }
}

/// An error and the causes behind it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
