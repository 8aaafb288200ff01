//! The live entries by when they are due next.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use super::LiveEntry;

/// Each entry stands in it once. Those of one second are taken in the order in which they were added.
#[derive(Default)]
pub(super) struct DueQueue {
    by_due: BTreeMap<i64, VecDeque<Arc<LiveEntry>>>,
    /// Those that never fire again, unless the clock goes back.
    over: Vec<Arc<LiveEntry>>,
}

impl DueQueue {
    pub(super) fn add(&mut self, due_ms: Option<i64>, entry: Arc<LiveEntry>) {
        match due_ms {
            Some(due_ms) => self.by_due.entry(due_ms).or_default().push_back(entry),
            None => self.over.push(entry),
        }
    }

    /// All entries, and when each was due.
    pub(super) fn take_all(&mut self) -> Vec<(Option<i64>, Arc<LiveEntry>)> {
        let Self { by_due, over } = std::mem::take(self);
        let due = by_due.into_iter();
        let due = due.flat_map(|(due, entries)| entries.into_iter().map(move |e| (Some(due), e)));
        due.chain(over.into_iter().map(|entry| (None, entry)))
            .collect()
    }

    /// After a reload: each entry as it is now, by its key; one that is gone fires nothing more. When they are due stays.
    pub(super) fn renew(&mut self, current: impl Fn(&str) -> Option<Arc<LiveEntry>>) {
        for (due, entry) in self.take_all() {
            if let Some(entry) = current(&entry.key) {
                self.add(due, entry);
            }
        }
    }

    /// Whether an entry fires again.
    pub(super) fn is_waiting(&self) -> bool {
        !self.by_due.is_empty()
    }

    /// The entries that are due after `after_ms`, until `until_ms` at the latest, in the order in which they are taken.
    pub(super) fn between(
        &self,
        after_ms: i64,
        until_ms: i64,
    ) -> impl Iterator<Item = (i64, &Arc<LiveEntry>)> {
        let seconds = self
            .by_due
            .range((Bound::Excluded(after_ms), Bound::Included(until_ms)));
        seconds.flat_map(|(due, entries)| entries.iter().map(|entry| (*due, entry)))
    }

    /// This very entry, if it is due then. Without a search where entries are taken in their order.
    pub(super) fn take(&mut self, due_ms: i64, entry: &Arc<LiveEntry>) -> Option<Arc<LiveEntry>> {
        let entries = self.by_due.get_mut(&due_ms)?;
        let place = entries.iter().position(|one| Arc::ptr_eq(one, entry))?;
        let taken = entries.remove(place);
        if entries.is_empty() {
            self.by_due.remove(&due_ms);
        }
        taken
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_due.values().map(VecDeque::len).sum::<usize>() + self.over.len()
    }

    /// The first entry whose time has come.
    pub(super) fn take_due(&mut self, now_ms: i64) -> Option<(i64, Arc<LiveEntry>)> {
        let mut first = self.by_due.first_entry()?;
        let due = *first.key();
        if due > now_ms {
            return None;
        }
        let entry = first.get_mut().pop_front();
        if first.get().is_empty() {
            first.remove();
        }
        entry.map(|entry| (due, entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Misfire;
    use crate::cron::entry::tests::entry;

    #[test]
    fn an_entry_is_taken_once_and_when_it_is_due() {
        let mut due_queue = DueQueue::default();
        let [one, other] =
            ["1 * * * * *", "2 * * * * *"].map(|e| Arc::new(entry(e, Misfire::Skip)));
        due_queue.add(Some(1000), Arc::clone(&one));
        due_queue.add(Some(2000), Arc::clone(&other));
        let soon = |due_queue: &DueQueue, after| -> Vec<i64> {
            due_queue.between(after, 2000).map(|(due, _)| due).collect()
        };
        assert_eq!(soon(&due_queue, 0), [1000, 2000]);
        assert_eq!(soon(&due_queue, 1000), [2000]);
        assert!(due_queue.take(2000, &one).is_none());
        assert!(due_queue.take(1000, &one).is_some());
        assert!(due_queue.take(1000, &one).is_none());
        assert_eq!(soon(&due_queue, 0), [2000]);
        assert!(due_queue.take(2000, &other).is_some());
        assert!(!due_queue.is_waiting());
    }

    #[test]
    fn entries_of_one_second_are_taken_in_one_order() {
        let mut due_queue = DueQueue::default();
        let expressions = ["1 * * * * *", "2 * * * * *", "3 * * * * *"];
        for expression in expressions {
            due_queue.add(Some(1000), Arc::new(entry(expression, Misfire::Skip)));
        }
        due_queue.add(Some(2000), Arc::new(entry("4 * * * * *", Misfire::Skip)));
        due_queue.add(None, Arc::new(entry("5 * * * * *", Misfire::Skip)));
        let taken = std::iter::from_fn(|| due_queue.take_due(1000));
        let taken: Vec<String> = taken.map(|(_, e)| e.config.expression.clone()).collect();
        assert_eq!(taken, expressions);
        let left = due_queue.take_all();
        let left: Vec<Option<i64>> = left.into_iter().map(|(due, _)| due).collect();
        assert_eq!(left, [Some(2000), None]);
        assert!(due_queue.take_all().is_empty());
    }
}
