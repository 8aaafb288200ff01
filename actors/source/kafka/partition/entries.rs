//! The records of one partition that are here and not finished, in the order in which they came, and which of them may be
//! given out. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::job::Disposition;
use crate::source::kafka::record::{Kept, Record};

/// A record as it is given to a consumer.
#[derive(Debug)]
pub(in crate::source::kafka) struct Handed {
    pub(in crate::source::kafka) record: Kept,
    pub(in crate::source::kafka) attempt: u32,
    pub(in crate::source::kafka) suspect: bool,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) record: Kept,
    /// The number of the present attempt, or of the next one.
    pub(super) attempt: u32,
    pub(super) suspect: bool,
    /// A consumer has it.
    pub(super) out: bool,
    /// A run of it goes on under an earlier lease.
    pub(super) survives: bool,
    /// The record does not run before.
    pub(super) due: Option<Instant>,
    /// The number of the log that it is of. A cut raises it.
    pub(super) log: u32,
}

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct Entries(VecDeque<Entry>);

impl Entries {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The place of the record with this offset; mostly the first one.
    pub(super) fn place_of(&self, offset: i64) -> Option<usize> {
        let mut entries = self.0.iter();
        entries.position(|entry| entry.record.offset == offset)
    }

    pub(super) fn at(&self, place: usize) -> &Entry {
        &self.0[place]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.0.push_back(entry);
    }

    /// Inserts a record that came by the client's main queue at its place.
    pub(super) fn insert_in_order(&mut self, record: Record, log: u32) {
        let offset = record.offset;
        let place = self.0.partition_point(|entry| entry.record.offset < offset);
        let entry = Entry {
            attempt: 1,
            suspect: false,
            due: None,
            out: false,
            survives: false,
            log,
            record: Kept::alone(record),
        };
        self.0.insert(place, entry);
    }

    /// Whether the record may not be given out yet.
    pub(super) fn is_held_up(&self, entry: &Entry, now: Instant) -> bool {
        entry.is_held_up(self.first_log(), now)
    }

    /// Gives out the waiting records in their order, `max` at most. Returns also whether one of them may not be given out
    /// yet, which blocks the records behind it.
    pub(super) fn give_out(&mut self, max: usize, now: Instant) -> (Vec<Handed>, bool) {
        let mut handed = Vec::new();
        let first_log = self.first_log();
        for entry in self.0.iter_mut().filter(|entry| !entry.out) {
            if entry.is_held_up(first_log, now) {
                return (handed, true);
            }
            if handed.len() >= max {
                break;
            }
            handed.push(entry.hand());
        }
        (handed, false)
    }

    /// Gives out the record that came last. None where it may not be given out yet.
    pub(super) fn give_out_last(&mut self, now: Instant) -> Option<Handed> {
        let first_log = self.first_log();
        let last = self.0.back_mut()?;
        (!last.is_held_up(first_log, now)).then(|| last.hand())
    }

    /// A run of the record at this place has ended. Returns whether the record is finished; else it runs again, at its
    /// place.
    pub(super) fn end(&mut self, place: usize, disposition: &Disposition, now: Instant) -> bool {
        match disposition {
            Disposition::Complete | Disposition::DeadLetter { .. } => {
                self.0.remove(place);
                true
            }
            Disposition::Retry(_) | Disposition::Release => {
                self.0[place].wait_again(disposition, now);
                false
            }
        }
    }

    /// The number of the log that the first record is of.
    fn first_log(&self) -> Option<u32> {
        self.0.front().map(|entry| entry.log)
    }
}

impl Entry {
    /// Whether the record may not be given out yet.
    ///
    /// Records of a log that was cut run before those that the partition has now.
    fn is_held_up(&self, first_log: Option<u32>, now: Instant) -> bool {
        let waits_for_others = first_log.is_some_and(|first| first != self.log);
        self.survives || waits_for_others || self.due.is_some_and(|due| due > now)
    }

    /// The record runs again, at its place.
    fn wait_again(&mut self, disposition: &Disposition, now: Instant) {
        self.record = self.record.unshared_clone();
        self.out = false;
        self.survives = false;
        if let Disposition::Retry(after) = disposition {
            self.attempt = self.attempt.saturating_add(1);
            self.due = Some(now + bounded(*after));
        }
    }

    /// A consumer has it from here on.
    fn hand(&mut self) -> Handed {
        self.out = true;
        Handed {
            record: self.record.clone(),
            attempt: self.attempt,
            suspect: self.suspect,
        }
    }
}

/// A year at most, so that the due time can be computed.
fn bounded(after: Duration) -> Duration {
    after.min(Duration::from_secs(365 * 24 * 3600))
}
