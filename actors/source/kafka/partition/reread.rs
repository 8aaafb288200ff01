//! Records that librdkafka had fetched and drops before a consumer has polled them.
//!
//! When librdkafka learns from a new leader that a log was cut, it goes back to the cut and drops all records of its
//! queue, also those before the cut that no consumer has run. The next record is of a new epoch, with a gap before it. A log
//! that was compacted or has marks of transactions has gaps too. So where a gap lies between two epochs, the partition is
//! read again from behind the last polled record. Pure.

use crate::source::kafka::assignments::Position;
use crate::source::kafka::epochs::Epochs;
use crate::source::kafka::record::Record;

#[derive(Debug, Default)]
pub(super) struct Reread {
    /// The last record that came.
    last: Option<i64>,
    /// The record behind the gap. Later records were fetched before the partition is read again.
    upto: Option<i64>,
    /// The gap before this offset was read again.
    checked: Option<i64>,
    /// The offset to read from, and the epoch before it.
    wanted: Option<(i64, Option<i32>)>,
}

impl Reread {
    /// Whether the record is to be polled again later, as others may belong before it.
    pub(super) fn comes_too_early(&mut self, record: &Record, epochs: &Epochs) -> bool {
        let offset = record.offset;
        if let Some(upto) = self.upto {
            if offset > upto {
                return true;
            }
            (self.checked, self.upto) = (Some(upto), None);
        }
        if let Some(last) = self.last
            && offset > last.saturating_add(1)
            && self.checked != Some(offset)
            && let (Some(before), Some(epoch)) = (epochs.of(last), record.epoch)
            && before != epoch
        {
            self.upto = Some(offset);
            self.wanted = Some((last + 1, Some(before)));
            return true;
        }
        self.last = Some(offset);
        false
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.upto.is_some()
    }
}

impl<T: crate::source::kafka::drain::RecordQueue> super::AssignedPartition<T> {
    /// The position from which the partition is to be read again, if it was not taken yet.
    pub(in crate::source::kafka) fn take_reread(&mut self, partition: i32) -> Option<Position> {
        let (offset, epoch) = self.reread.wanted.take()?;
        Some(Position {
            partition,
            offset,
            epoch,
        })
    }
}
