//! What is wrong with the configuration, and where.
//!
//! Nothing starts on a bad configuration, and nobody should have to start it ten times to learn ten
//! faults: every reader records its faults and goes on, and all of them come in one [`Report`].

use std::{error::Error, fmt};

use super::quote;

/// How many faults of one file are listed; the rest is only counted. A file of another kind (a
/// dump, a log) has a fault in every line, and nobody reads more than a screen of them.
pub(crate) const LISTED_FAULTS: usize = 1_000;

/// A position in a text file, as editors show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Place {
    /// Counts from 1.
    pub line: usize,
    /// Counts characters (not bytes), from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One thing wrong with one file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    file: String,
    place: Option<Place>,
    path: String,
    message: String,
}

impl Fault {
    /// A fault of the whole file: it is missing, unreadable, empty.
    pub(crate) fn of_file(file: &str, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            place: None,
            path: String::new(),
            message: message.into(),
        }
    }

    /// A fault at a place of the file; `path` is the way to it in the document, empty at its root.
    pub(crate) fn at(
        file: &str,
        place: Place,
        path: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            file: file.to_owned(),
            place: Some(place),
            path: path.into(),
            message: message.into(),
        }
    }

    /// The file, as it was given on the command line or found below the working directory.
    #[cfg(test)]
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// Where in the file; `None` where the fault is the file itself.
    #[cfg(test)]
    pub(crate) fn place(&self) -> Option<Place> {
        self.place
    }

    /// What was found, and what would be right.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(place) = self.place {
            write!(f, ":{place}")?;
        }
        if !self.path.is_empty() {
            write!(f, ": `{}`", self.path)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// The faults of one file, in the order of their places.
#[derive(Debug, Default)]
pub(crate) struct FileFaults {
    pub(crate) listed: Vec<Fault>,
    /// How many more there are.
    pub(crate) unlisted: usize,
}

impl From<Fault> for FileFaults {
    fn from(fault: Fault) -> Self {
        Self {
            listed: vec![fault],
            unlisted: 0,
        }
    }
}

/// All faults of all files: the reason why nothing was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    faults: Vec<Fault>,
    count: usize,
}

impl From<Fault> for Report {
    fn from(fault: Fault) -> Self {
        Self {
            faults: vec![fault],
            count: 1,
        }
    }
}

impl Report {
    /// Joins the faults of several files, which come in the order they are to be shown in.
    ///
    /// `None` when there is no fault.
    pub(crate) fn of(files: impl IntoIterator<Item = FileFaults>) -> Option<Self> {
        let mut report = Self {
            faults: Vec::new(),
            count: 0,
        };
        for FileFaults { listed, unlisted } in files {
            report.count += listed.len() + unlisted;
            let rest = listed.last().filter(|_| unlisted > 0).map(|last| {
                let message = format!("{} more, not listed", quote::faults(unlisted));
                Fault::of_file(&last.file, message)
            });
            report.faults.extend(listed);
            report.faults.extend(rest);
        }
        (report.count > 0).then_some(report)
    }

    /// The faults, in the order of files and places.
    pub(crate) fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// How many faults there are, those that are not listed included.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.count
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.faults {
            writeln!(f, "{fault}")?;
        }
        write!(f, "{}; nothing was started", quote::faults(self.count))
    }
}

impl Error for Report {}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(line: usize) -> Fault {
        Fault::at("etc/a.json", Place { line, column: 2 }, "[0].x", "bad")
    }

    #[test]
    fn a_report_is_a_line_for_each_fault_and_their_number() {
        let files = [
            FileFaults::from(fault(3)),
            FileFaults::from(Fault::of_file("etc/b.json", "is empty")),
        ];
        assert_eq!(
            Report::of(files).unwrap().to_string(),
            "etc/a.json:3:2: `[0].x`: bad\netc/b.json: is empty\n2 faults; nothing was started"
        );
    }

    #[test]
    fn one_fault_is_singular() {
        let report = Report::of([fault(1).into()]).unwrap();
        assert!(
            report
                .to_string()
                .ends_with("\n1 fault; nothing was started")
        );
    }

    #[test]
    fn no_fault_is_no_report() {
        assert_eq!(Report::of([FileFaults::default()]), None);
    }

    #[test]
    fn faults_beyond_the_limit_are_counted() {
        let many = FileFaults {
            listed: vec![fault(1), fault(2)],
            unlisted: 40,
        };
        let report = Report::of([many]).unwrap();
        assert_eq!(report.count(), 42);
        assert!(
            report
                .to_string()
                .contains("etc/a.json: 40 faults more, not listed")
        );
    }
}
