//! What the last runs of a cron entry printed, as far as this daemon started them.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::logs::PrintedPart;

/// Runs that are known, the last ones.
const MOST_RUNS: usize = 20;

/// See the module's header.
#[derive(Debug, Default)]
pub(crate) struct PrintedParts(Mutex<VecDeque<(String, PrintedPart)>>);

impl PrintedParts {
    pub(crate) fn begun(&self, run_id: &str, part: PrintedPart) {
        let mut parts = self.0.lock();
        if parts.len() == MOST_RUNS {
            parts.pop_front();
        }
        parts.push_back((run_id.to_owned(), part));
    }

    /// What comes from now on is printed by others. It asks for the length of the file, and blocks while the disk does not answer.
    pub(crate) fn ended(&self, run_id: &str) {
        let Some(part) = self.of(run_id).and_then(PrintedPart::ended) else {
            self.0.lock().retain(|(id, _)| id != run_id);
            return;
        };
        let mut parts = self.0.lock();
        if let Some((_, its)) = parts.iter_mut().find(|(id, _)| id == run_id) {
            *its = part;
        }
    }

    pub(crate) fn of(&self, run_id: &str) -> Option<PrintedPart> {
        let parts = self.0.lock();
        let its = parts.iter().find(|(id, _)| id == run_id);
        its.map(|(_, part)| part.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_runs_are_known_and_one_whose_file_is_gone_is_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let part = PrintedPart::begun(file.path(), &file.as_file().metadata().unwrap());
        let parts = PrintedParts::default();
        for n in 0..=MOST_RUNS {
            parts.begun(&n.to_string(), part.clone());
        }
        assert_eq!(parts.of("0"), None);
        assert_eq!(parts.of("1"), Some(part.clone()));
        parts.ended("1");
        assert_eq!(parts.of("1"), part.ended());
        drop(file);
        parts.ended("2");
        assert_eq!(parts.of("2"), None);
    }
}
