//! A log that lost its end, as a leader without its last records took over, or a broker's disk lost them: offsets that
//! came here before come again, as other records. Pure.
//!
//! The position goes back to where the log was cut. Records that are gone from the log and are here run to their end,
//! as no broker has them any more; the records that have their offsets now start behind them, or an end could be taken
//! for that of the other. What is known of an offset by its number alone is forgotten.

use std::fmt;

use super::AssignedPartition;
use crate::source::kafka::drain::RecordQueue;

/// Where a log was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source::kafka) struct Cut {
    /// The log goes on here.
    pub(in crate::source::kafka) at: i64,
    /// It had been read up to here.
    pub(in crate::source::kafka) read_to: i64,
    /// The epochs of the last record before either.
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

    /// The next offset is this one. One that was passed before is a record, or an end, of another log.
    pub(super) fn compare(&mut self, offset: i64) {
        let read_to = self.next.or(self.resumed).unwrap_or(0);
        if offset < read_to {
            self.cut(offset, read_to);
        }
    }

    /// From here on all that comes is of another log.
    pub(super) fn cut(&mut self, at: i64, read_to: i64) {
        let epoch_read = self.epochs.before(read_to);
        self.epochs.cut(at);
        self.survivors.cut(at);
        if let Some(charged) = &mut self.charged {
            charged.retain(|offset, _| *offset < at);
        }
        (self.log, self.next, self.first, self.committed) = (self.log + 1, Some(at), None, None);
        self.cut = Some(Cut {
            at,
            read_to,
            epoch: self.epochs.before(at),
            epoch_read,
        });
    }

    /// The last one that was not taken yet.
    pub(in crate::source::kafka) fn take_cut(&mut self) -> Option<Cut> {
        self.cut.take()
    }
}
