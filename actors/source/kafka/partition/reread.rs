//! Records that librdkafka had fetched, and drops before a consumer has polled them.
//!
//! When it sees by a new leader that a log was cut, it goes back to the cut, and drops all that lies in its queue: also
//! what stands before the cut, which no consumer has run. What comes next is a record of a new epoch, with a gap before
//! it. A gap is none of this where the log was compacted or has marks of transactions; so where one lies between two
//! epochs the partition is read again from behind the last record that came. Pure.

use crate::source::kafka::assignments::Position;
use crate::source::kafka::epochs::Epochs;
use crate::source::kafka::record::Record;

#[derive(Debug, Default)]
pub(super) struct Reread {
    /// The last record that came.
    last: Option<i64>,
    /// Behind the gap: what comes from behind this was fetched before the partition is read again.
    upto: Option<i64>,
    /// The gap before this one was read again.
    checked: Option<i64>,
    /// To be read from here, and the epoch before it.
    wanted: Option<(i64, Option<i32>)>,
}

impl Reread {
    /// Whether the record is to come again, as others may belong before it.
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
    /// From where the partition is to be read again, if that was not asked for yet.
    pub(in crate::source::kafka) fn take_reread(&mut self, partition: i32) -> Option<Position> {
        let (offset, epoch) = self.reread.wanted.take()?;
        Some(Position {
            partition,
            offset,
            epoch,
        })
    }
}
