//! Records on their way from a partition to a consumer: polled by that consumer's thread, without the assignments.
//!
//! Taking a record from librdkafka is half of its cost. So the thread that takes it must not keep others from the
//! assignments, and should be the thread that runs it: memory that one thread allocates another one frees at several
//! times the cost. During the poll the queue is borrowed, which takes no longer than copying a batch: no foreign code runs
//! in between, and nothing is waited for, unless an error has to be reported.

use super::partition::Handed;
use super::record::Record;

/// Records for which room is made before their number is known; the room that is left is given back.
const MOST_EXPECTED: usize = 500;

/// Where the next records of a partition come from.
pub(super) trait RecordQueue {
    /// Gives what has come, until there is no room.
    fn poll(&mut self, into: &mut Polled);
    /// Whether there may be something to poll. Never `false` while there is.
    fn filled(&self) -> bool;
}

/// What a partition queue gave.
#[derive(Debug)]
pub(super) struct Polled {
    /// Records that there is room for,
    room: usize,
    /// and bytes that there is room for; one record always fits.
    bytes: usize,
    pub(super) records: Vec<Record>,
    /// Whether no record is behind these; `None` where that is not known.
    pub(super) at_end: Option<bool>,
    /// The last end that was reported: all before this offset has been given, or will never be.
    pub(super) end: Option<i64>,
}

impl Polled {
    pub(super) fn is_full(&self) -> bool {
        self.records.len() >= self.room || self.bytes == 0
    }

    pub(super) fn record(&mut self, record: Record) {
        self.at_end = Some(false);
        // Of a log that was cut since.
        self.end.take_if(|end| *end > record.offset);
        self.bytes = self.bytes.saturating_sub(record.bytes());
        self.records.push(record);
    }

    /// No record is behind those it gave, at this moment; the next one has this offset, or a later one.
    pub(super) fn end(&mut self, next: i64) {
        self.at_end = Some(true);
        self.end = Some(next);
    }
}

/// What one consumer gets of one partition.
#[derive(Debug)]
pub(super) struct Claim<T> {
    pub(super) lease: u64,
    /// Records that had come before.
    pub(super) handed: Vec<Handed>,
    /// The partition's; none where nothing may be polled.
    pub(super) partition_queue: Option<T>,
    pub(super) polled: Polled,
}

impl<T: RecordQueue> Claim<T> {
    pub(super) fn new(
        lease: u64,
        handed: Vec<Handed>,
        partition_queue: Option<T>,
        room: usize,
    ) -> Self {
        Self {
            lease,
            handed,
            partition_queue,
            polled: Polled {
                room,
                bytes: usize::MAX,
                records: Vec::new(),
                at_end: None,
                end: None,
            },
        }
    }

    /// Polls no more than this many bytes, or one record. Those that had come before are in memory anyway.
    pub(super) fn within(mut self, bytes: u32) -> Self {
        self.polled.bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self
    }

    /// Takes what has come.
    pub(super) fn poll(&mut self) {
        if let Some(partition_queue) = &mut self.partition_queue {
            let records = &mut self.polled.records;
            records.reserve(self.polled.room.min(MOST_EXPECTED));
            partition_queue.poll(&mut self.polled);
        }
    }
}
