//! The content of an alert, before a receiver's form is known.

use chrono::{DateTime, Utc};

use crate::config::Environment;

/// What has happened to an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoticeKind {
    /// Its condition holds from now on.
    Firing,
    /// Its condition still holds.
    Repeated,
    /// Its condition holds no more.
    Resolved,
    /// A `Warning` whose count reached its limit.
    Count,
}

impl NoticeKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Repeated => "repeated",
            Self::Resolved => "resolved",
            Self::Count => "count",
        }
    }
}

/// How much depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// An operator should check it.
    Warning,
    /// Somebody must act.
    Critical,
}

impl Severity {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// One thing to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) kind: NoticeKind,
    /// The own alert's name (`lag`), or the flag of a `Warning`.
    pub(crate) rule: String,
    /// What it is about: the name of a queue, an entry, a server. Empty: the daemon itself.
    pub(crate) subject: String,
    pub(crate) severity: Severity,
    /// One line. Firing, Repeated and Resolved of one alert begin with the same line.
    pub(crate) summary: String,
    /// Further lines: the last messages of a `Warning`, groups of dead letters.
    pub(crate) details: Vec<String>,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) ended_at: Option<DateTime<Utc>>,
}

impl Notice {
    /// Of its line in the log.
    pub(super) fn level(&self) -> log::Level {
        match (self.kind, self.severity) {
            (NoticeKind::Resolved, _) => log::Level::Info,
            (_, Severity::Critical) => log::Level::Error,
            (_, Severity::Warning) => log::Level::Warn,
        }
    }

    /// All of it as one line of the log.
    pub(super) fn line(&self) -> String {
        let mut line = format!("{} ({})", self.summary, self.kind.name());
        for detail in &self.details {
            line.push_str("; ");
            line.push_str(detail);
        }
        line.chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect()
    }
}

/// Which daemon reports it.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) environment: Environment,
    pub(crate) partition: String,
    pub(crate) host: String,
    /// Of this program.
    pub(crate) version: &'static str,
}
