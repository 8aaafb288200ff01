//! Polls records of a partition, on the thread of the consumer that runs them, without the lock of the assignments.
//!
//! Taking a record from librdkafka is half of its cost. So the polling thread must not keep others from the assignments.
//! It should be the thread that runs the record, as freeing memory that another thread has allocated costs several times
//! as much. During the poll the consumer borrows the queue, for no longer than copying a batch takes: no foreign code runs
//! in between, and nothing blocks, unless an error has to be reported.

use super::partition::Handed;
use super::record::Record;

/// Records for which memory is reserved before their number is known. The rest of the memory is freed.
const MOST_EXPECTED: usize = 500;

/// The queue with the next records of a partition.
pub(super) trait RecordQueue {
    /// Moves the records that have come to `into`, until it is full.
    fn poll(&mut self, into: &mut Polled);
    /// Whether the queue may have a record or an event. Never `false` while it has one.
    fn filled(&self) -> bool;
}

/// The result of a poll of a partition queue.
#[derive(Debug)]
pub(super) struct Polled {
    /// The maximum number of records.
    max_records: usize,
    /// Bytes that are left of the maximum. One record always fits.
    bytes_left: usize,
    pub(super) records: Vec<Record>,
    /// Whether the partition has no record behind these. `None` where that is not known.
    pub(super) at_end: Option<bool>,
    /// The last reported end of the partition: each record before this offset has been polled, or will never come.
    pub(super) end: Option<i64>,
}

impl Polled {
    pub(super) fn is_full(&self) -> bool {
        self.records.len() >= self.max_records || self.bytes_left == 0
    }

    pub(super) fn record(&mut self, record: Record) {
        self.at_end = Some(false);
        // An end behind this record is that of a log that was cut since.
        self.end.take_if(|end| *end > record.offset);
        self.bytes_left = self.bytes_left.saturating_sub(record.bytes());
        self.records.push(record);
    }

    /// The partition has no record behind the polled ones now. The next one has this offset, or a later one.
    pub(super) fn end(&mut self, next: i64) {
        self.at_end = Some(true);
        self.end = Some(next);
    }
}

/// The records of one partition that one consumer claims.
#[derive(Debug)]
pub(super) struct Claim<T> {
    pub(super) lease: u64,
    /// Records that had come before.
    pub(super) handed: Vec<Handed>,
    /// Borrowed from the partition. None where nothing may be polled.
    pub(super) partition_queue: Option<T>,
    pub(super) polled: Polled,
}

impl<T: RecordQueue> Claim<T> {
    pub(super) fn new(
        lease: u64,
        handed: Vec<Handed>,
        partition_queue: Option<T>,
        max_records: usize,
    ) -> Self {
        Self {
            lease,
            handed,
            partition_queue,
            polled: Polled {
                max_records,
                bytes_left: usize::MAX,
                records: Vec::new(),
                at_end: None,
                end: None,
            },
        }
    }

    /// Limits the poll to this many bytes, or one record. Records that had come before are in memory anyway.
    pub(super) fn within(mut self, bytes: u32) -> Self {
        self.polled.bytes_left = usize::try_from(bytes).unwrap_or(usize::MAX);
        self
    }

    /// Polls the borrowed queue.
    pub(super) fn poll(&mut self) {
        if let Some(partition_queue) = &mut self.partition_queue {
            let records = &mut self.polled.records;
            records.reserve(self.polled.max_records.min(MOST_EXPECTED));
            partition_queue.poll(&mut self.polled);
        }
    }
}
