//! What came of a reload, for the log, the command line and the port.

use serde::{Deserialize, Serialize};

/// Entries of one kind of change that are named in one line; the answer over the port names all.
const NAMED: usize = 50;

/// What a reload came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// What the files say is so now.
    Applied,
    /// The files hold what they held before.
    #[default]
    Unchanged,
    /// The files are faulty: nothing has changed.
    Refused,
    /// This daemon is being stopped: the files were not read.
    Stopping,
}

/// See the module's header.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReloadReport {
    pub(crate) outcome: Outcome,
    /// Entries that were started.
    pub(crate) came: Vec<String>,
    /// Entries that take nothing more: what they run ends.
    pub(crate) went: Vec<String>,
    /// Entries that are others now, and in what.
    pub(crate) changed: Vec<String>,
    /// What the files say and only a new start can do.
    pub(crate) needs_restart: Vec<String>,
    /// Faults, each with its file, line and what would be right.
    pub(crate) faults: Vec<String>,
}

impl ReloadReport {
    /// Nothing has changed, for these reasons.
    pub(crate) fn refused(text: &str) -> Self {
        Self {
            outcome: Outcome::Refused,
            faults: text.lines().map(str::to_owned).collect(),
            ..Self::default()
        }
    }

    pub(crate) fn stopping() -> Self {
        Self {
            outcome: Outcome::Stopping,
            ..Self::default()
        }
    }

    /// Whether anything is other than before.
    pub(crate) fn has_changes(&self) -> bool {
        !(self.came.is_empty() && self.went.is_empty() && self.changed.is_empty())
    }

    /// One line without the faults, as the audit and the log have it.
    pub(crate) fn summary(&self) -> String {
        match self.outcome {
            Outcome::Refused => {
                let faults = self.faults.len();
                let lines = if faults == 1 { "line" } else { "lines" };
                return format!("refused, nothing has changed: {faults} {lines} of faults");
            }
            Outcome::Stopping => {
                return "this daemon is being stopped: nothing was read".to_owned();
            }
            Outcome::Applied | Outcome::Unchanged => {}
        }
        let parts = [
            ("came", &self.came),
            ("went", &self.went),
            ("changed", &self.changed),
            ("needs a restart", &self.needs_restart),
        ];
        let parts = parts.into_iter().filter(|(_, names)| !names.is_empty());
        let parts: Vec<String> = parts
            .map(|(what, names)| format!("{what}: {}", some(names)))
            .collect();
        match self.has_changes() {
            true => parts.join("; "),
            false => [vec!["no entry has changed".to_owned()], parts]
                .concat()
                .join("; "),
        }
    }

    /// All of it, a line each, for the caller that gave the order.
    pub(crate) fn text(&self) -> String {
        let mut lines = match self.outcome {
            Outcome::Refused => vec!["nothing has changed: the configuration is faulty".to_owned()],
            Outcome::Stopping => vec![self.summary()],
            Outcome::Applied | Outcome::Unchanged => vec![match self.has_changes() {
                true => "the configuration was read, and holds from now on".to_owned(),
                false => "the configuration was read: no entry has changed".to_owned(),
            }],
        };
        for (what, names) in [
            ("came", &self.came),
            ("went", &self.went),
            ("changed", &self.changed),
            ("needs a restart", &self.needs_restart),
        ] {
            lines.extend(names.iter().map(|name| format!("{what}: {name}")));
        }
        lines.extend(self.faults.iter().cloned());
        lines.join("\n") + "\n"
    }
}

fn some(names: &[String]) -> String {
    let listed = names.iter().take(NAMED).cloned().collect::<Vec<_>>();
    let more = names.len() - listed.len();
    let listed = listed.join(", ");
    match more {
        0 => listed,
        more => format!("{listed} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied() -> ReloadReport {
        ReloadReport {
            outcome: Outcome::Applied,
            came: vec!["queue `a`".to_owned(), "cron `b`".to_owned()],
            needs_restart: vec!["`workers`".to_owned()],
            ..ReloadReport::default()
        }
    }

    #[test]
    fn a_reload_is_one_line_in_the_log() {
        let report = applied();
        assert_eq!(
            report.summary(),
            "came: queue `a`, cron `b`; needs a restart: `workers`"
        );
        assert_eq!(
            report.text(),
            "the configuration was read, and holds from now on\ncame: queue `a`\ncame: cron `b`\n\
             needs a restart: `workers`\n"
        );
        let nothing = ReloadReport::default();
        assert_eq!(nothing.summary(), "no entry has changed");
    }

    #[test]
    fn faults_are_all_in_the_answer_and_counted_in_the_summary() {
        let report = ReloadReport::refused("etc/dev.json:1:2: no\netc/dev.json:3:4: nor this");
        assert!(report.summary().ends_with("2 lines of faults"));
        assert!(
            report
                .text()
                .ends_with("etc/dev.json:1:2: no\netc/dev.json:3:4: nor this\n")
        );
    }

    #[test]
    fn a_thousand_entries_are_no_line_of_a_thousand_names() {
        let report = ReloadReport {
            came: (0..1000).map(|n| format!("queue `{n}`")).collect(),
            ..applied()
        };
        assert!(report.summary().contains("queue `49` and 950 more"));
        assert_eq!(report.text().lines().count(), 1002);
    }
}
