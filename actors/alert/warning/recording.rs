//! Counts of a test's handlers, kept for the test to read.

use std::sync::Arc;

use parking_lot::Mutex;

/// The flag, the count and the messages of one `add`.
type Add = (String, u64, Vec<String>);

/// What was added, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recording(Arc<Mutex<Vec<Add>>>);

impl Recording {
    pub(super) fn add(&self, flag: &str, count: u64, messages: Vec<String>) {
        let mut adds = self.0.lock();
        adds.push((flag.to_owned(), count, messages));
    }

    pub(crate) fn adds(&self) -> Vec<Add> {
        let adds = self.0.lock();
        adds.clone()
    }
}
