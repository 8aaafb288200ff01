//! The leader epochs of a partition's records. Pure.
//!
//! A broker that becomes the leader of a partition begins a new epoch, and each record keeps the epoch it was written in. An
//! offset and its epoch name one record for ever. An offset alone does not: a leader that lacked the last records writes
//! others at their offsets.

use std::collections::VecDeque;

/// The epochs of the polled records, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Epochs {
    /// The first offset of each epoch, ascending. None: the format of the records has no epochs.
    starts: VecDeque<(i64, Option<i32>)>,
}

impl Epochs {
    /// The offset of the next record.
    pub(super) fn note(&mut self, offset: i64, epoch: Option<i32>) {
        if self.starts.back().is_none_or(|(_, last)| *last != epoch) {
            self.starts.push_back((offset, epoch));
        }
    }

    /// Adds the epochs of records behind these.
    pub(super) fn append(&mut self, later: &Self) {
        let last = self.starts.back().map_or(i64::MIN, |(start, _)| *start);
        for (start, epoch) in later.starts.iter().filter(|(start, _)| *start > last) {
            self.note(*start, *epoch);
        }
    }

    /// The epoch of the last record before this position.
    pub(super) fn before(&self, position: i64) -> Option<i32> {
        let mut starts = self.starts.iter().rev();
        starts.find(|(start, _)| *start < position)?.1
    }

    /// The epoch of the polled record with this offset.
    pub(super) fn of(&self, offset: i64) -> Option<i32> {
        self.before(offset.saturating_add(1))
    }

    /// Forgets the epochs before this position, except for that of the last record before it.
    pub(super) fn forget_before(&mut self, position: i64) {
        while self
            .starts
            .get(1)
            .is_some_and(|(start, _)| *start < position)
        {
            self.starts.pop_front();
        }
    }

    /// Forgets the epochs from this offset on: other records come there.
    pub(super) fn cut(&mut self, offset: i64) {
        self.starts.retain(|(start, _)| *start < offset);
    }
}

/// Whether the epochs of two records with one offset allow that they are the same record.
pub(super) fn are_same(one: Option<i32>, other: Option<i32>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_has_the_epoch_of_the_record_before_it() {
        let mut epochs = Epochs::default();
        assert_eq!(epochs.before(7), None);
        for (offset, epoch) in [(3, 1), (4, 1), (9, 4), (10, 4)] {
            epochs.note(offset, Some(epoch));
        }
        let of = |position| epochs.before(position);
        assert_eq!(
            [3, 4, 5, 9, 10, 99].map(of),
            [None, Some(1), Some(1), Some(1), Some(4), Some(4)]
        );
        assert_eq!(epochs.of(9), Some(4));
        epochs.forget_before(9);
        assert_eq!(epochs.before(9), Some(1));
        epochs.forget_before(10);
        assert_eq!((epochs.before(10), epochs.before(9)), (Some(4), None));
        epochs.note(11, None);
        assert_eq!(epochs.before(12), None, "of a format without epochs");
        epochs.cut(10);
        assert_eq!(epochs.before(99), Some(4));
        epochs.cut(9);
        assert_eq!(epochs, Epochs::default());
    }
}
