//! The live entries by when they are due next.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::LiveEntry;

/// Each entry stands in it once.
#[derive(Default)]
pub(super) struct Agenda {
    by_due: BTreeMap<i64, Vec<Arc<LiveEntry>>>,
}

impl Agenda {
    pub(super) fn add(&mut self, due_ms: i64, entry: Arc<LiveEntry>) {
        self.by_due.entry(due_ms).or_default().push(entry);
    }

    pub(super) fn next_due_ms(&self) -> Option<i64> {
        self.by_due.keys().next().copied()
    }

    /// The first entry whose time has come.
    pub(super) fn take_due(&mut self, now_ms: i64) -> Option<(i64, Arc<LiveEntry>)> {
        let mut first = self.by_due.first_entry()?;
        let due = *first.key();
        if due > now_ms {
            return None;
        }
        let entry = first.get_mut().pop();
        if first.get().is_empty() {
            first.remove();
        }
        entry.map(|entry| (due, entry))
    }
}
