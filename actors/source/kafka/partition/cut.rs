//! A log that lost its end, because a leader without its last records took over, or a broker's disk lost them. Offsets
//! that were polled before come again, with other records. Pure.
//!
//! The position goes back to the cut. Polled records that are gone from the log run to their end, as no broker has them any
//! more. The records that have their offsets now start after them, as an end names only an offset. What is known of an
//! offset by its number alone is forgotten.

use std::fmt;

use super::AssignedPartition;
use crate::source::kafka::drain::RecordQueue;

/// Where a log was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source::kafka) struct Cut {
    /// The first offset with another record.
    pub(in crate::source::kafka) at: i64,
    /// The offset up to which it had been read.
    pub(in crate::source::kafka) read_to: i64,
    /// The leader epochs of the last record before each of them.
    pub(in crate::source::kafka) epoch: Option<i32>,
    pub(in crate::source::kafka) epoch_read: Option<i32>,
}

impl fmt::Display for Cut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, read_to, .. } = self;
        let epoch =
            |epoch: Option<i32>| epoch.map_or("unknown".to_owned(), |epoch| epoch.to_string());
        let last = read_to.saturating_sub(1);
        write!(
            formatter,
            "it goes on at offset {at} (leader epoch before it: {}), and had been read to offset {last} (leader epoch {}); the records that were read at offsets {at} to {last} are not in it any more, and what it has there now runs. A broker that lacked them leads it, or lost them: look at its log, at `unclean.leader.election.enable` and `min.insync.replicas`",
            epoch(self.epoch),
            epoch(self.epoch_read),
        )
    }
}

impl<T: RecordQueue> AssignedPartition<T> {
    /// The group's position when the partition comes, and the epoch committed with it.
    pub(in crate::source::kafka) fn resume(&mut self, position: i64, epoch: Option<i32>) {
        self.resumed = Some(position);
        if position > 0 {
            self.epochs.note(position - 1, epoch);
        }
    }

    /// The next offset is this one. Where it was passed before, it is that of a record, or of an end, of another log.
    pub(super) fn compare(&mut self, offset: i64) {
        let read_to = self.next.or(self.resumed).unwrap_or(0);
        if offset < read_to {
            self.cut(offset, read_to);
        }
    }

    /// The records that come from here on are of another log.
    pub(super) fn cut(&mut self, at: i64, read_to: i64) {
        let epoch_read = self.epochs.before(read_to);
        self.epochs.cut(at);
        self.survivors.cut(at);
        if let Some(earlier) = &mut self.earlier_attempts {
            earlier.retain(|offset, _| *offset < at);
        }
        (self.log, self.next, self.first, self.committed) = (self.log + 1, Some(at), None, None);
        self.cut = Some(Cut {
            at,
            read_to,
            epoch: self.epochs.before(at),
            epoch_read,
        });
    }

    /// The last cut that was not taken yet.
    pub(in crate::source::kafka) fn take_cut(&mut self) -> Option<Cut> {
        self.cut.take()
    }
}
