//! Counts of a test's handlers, kept for the test to look at.

use std::sync::{Arc, Mutex, PoisonError};

/// What was added, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recording(Arc<Mutex<Vec<(String, u64, Vec<String>)>>>);

impl Recording {
    pub(super) fn add(&self, flag: &str, count: u64, messages: Vec<String>) {
        let mut adds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        adds.push((flag.to_owned(), count, messages));
    }

    /// The flag, the count and the messages of each.
    pub(crate) fn adds(&self) -> Vec<(String, u64, Vec<String>)> {
        let adds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        adds.clone()
    }
}
