//! One assigned partition: its lease, and the position that may be committed. Pure: takes the time and the records.
//!
//! A *lease* gives the partition to one consumer at a time, which runs its records one after the other. So the next record
//! starts only after the one before it has ended, and consumers come and go without a rebalance of the group. A record that
//! has to run again stays at its place (`entries.rs`) and blocks the records behind it: the lease is closed, and none of its
//! records starts any more (`ending.rs`).
//!
//! The position never passes an unfinished record. It is the first unfinished record, or behind the last polled one, or the
//! reported end of the partition. The end counts because some offsets never come (marks of transactions, aborted and
//! deleted records), and the position would wait for them for ever. Offsets are only compared, never counted: compaction
//! and transactions leave gaps.
//!
//! A run may have begun before the partition went and came back (`survivors.rs`). Its record has a place too, and blocks the
//! records behind it until that run has ended.

mod cut;
mod ending;
mod entries;
mod reread;

use std::collections::HashMap;
use std::time::Instant;

pub(super) use self::cut::Cut;
pub(super) use self::entries::Handed;
use self::entries::{Entries, Entry};
use self::reread::Reread;
use super::drain::{Claim, RecordQueue};
use super::epochs::Epochs;
use super::record::{Kept, Record};
use super::survivors::{Known, Survivors};

/// What the database knows of earlier attempts of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EarlierAttempts {
    /// Attempts that failed, or ended a process.
    pub(super) attempts: u32,
    pub(super) suspect: bool,
    /// The record does not run before.
    pub(super) due: Instant,
}

/// One consumer's right to the partition.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) number: u64,
    pub(super) consumer: u64,
    pub(super) since: Instant,
    /// Whether its records may start.
    open: bool,
    /// Records that were given out under it and are not settled.
    out: usize,
}

#[derive(Debug)]
pub(super) struct AssignedPartition<T> {
    /// None: a consumer has borrowed it (`drain.rs`).
    partition_queue: Option<T>,
    entries: Entries,
    /// Behind the last record that came, or will never come. None before the first.
    next: Option<i64>,
    /// The first record that came.
    first: Option<i64>,
    lease: Option<Lease>,
    survivors: Survivors,
    /// By offset. None: not known yet, and no record is given out.
    earlier_attempts: Option<HashMap<i64, EarlierAttempts>>,
    /// The position that the brokers have.
    committed: Option<i64>,
    /// The group's position when the partition came.
    resumed: Option<i64>,
    epochs: Epochs,
    /// How often the log was cut.
    log: u32,
    /// A cut that is not logged yet.
    cut: Option<Cut>,
    reread: Reread,
    /// All records that the partition has were polled.
    at_end: bool,
    /// The partition goes to another member.
    leaving: bool,
    /// The number of the last claim, also of one that found no record.
    pub(super) turn: u64,
}

impl<T: RecordQueue> AssignedPartition<T> {
    /// `survivors`: runs that began when the partition was here before.
    pub(super) fn new(partition_queue: T, survivors: Survivors) -> Self {
        Self {
            survivors,
            first: None,
            partition_queue: Some(partition_queue),
            entries: Entries::default(),
            next: None,
            lease: None,
            earlier_attempts: None,
            committed: None,
            resumed: None,
            epochs: Epochs::default(),
            log: 0,
            cut: None,
            reread: Reread::default(),
            at_end: false,
            leaving: false,
            turn: 0,
        }
    }

    /// Sets the earlier attempts that the database has counted. Records may be given out from here on.
    pub(super) fn set_earlier_attempts(&mut self, earlier: HashMap<i64, EarlierAttempts>) {
        self.earlier_attempts = Some(earlier);
    }

    pub(super) fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    /// Whether this consumer has it.
    pub(super) fn is_of(&self, consumer: u64) -> bool {
        self.lease
            .as_ref()
            .is_some_and(|lease| lease.consumer == consumer)
    }

    fn first_waiting(&self) -> Option<&Entry> {
        // Mostly the consumer has all of them. They are many, and this is called often.
        if self.entries.len() == self.out_count() {
            return None;
        }
        self.entries.iter().find(|entry| !entry.out)
    }

    /// The time from which its first waiting record may run.
    pub(super) fn due(&self) -> Option<Instant> {
        let waiting = self.first_waiting()?;
        waiting.due.filter(|_| !waiting.survives)
    }

    /// Whether there may be a record to give out now.
    fn filled(&self, now: Instant) -> bool {
        let Some(partition_queue) = &self.partition_queue else {
            return false;
        };
        let known = self.earlier_attempts.is_some() && !self.leaving;
        known
            && match self.first_waiting() {
                Some(entry) => !self.entries.is_held_up(entry, now),
                None => partition_queue.filled(),
            }
    }

    /// Its queue, to be dropped where that may take long.
    pub(super) fn partition_queue(&mut self) -> Option<T> {
        self.partition_queue.take()
    }

    /// Whether a consumer has borrowed its queue.
    pub(super) fn is_borrowed(&self) -> bool {
        self.partition_queue.is_none()
    }

    /// Whether a consumer can take it with a new lease.
    pub(super) fn is_free(&self, now: Instant) -> bool {
        self.lease.is_none() && self.filled(now)
    }

    /// Whether the consumer that has it can take more records.
    pub(super) fn is_extendable(&self, now: Instant) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.open) && self.filled(now)
    }

    /// Gives out the waiting records, `max` at most, and lends the queue for the rest: under this lease if the partition is
    /// free, else under its present lease. The polled records come by `fill`.
    pub(super) fn claim(
        &mut self,
        lease: u64,
        consumer: u64,
        max: usize,
        now: Instant,
    ) -> Claim<T> {
        // Mostly all of them are out: they are many, and are not visited then.
        let (handed, held_up) = if self.entries.len() == self.out_count() {
            (Vec::new(), false)
        } else {
            self.entries.give_out(max, now)
        };
        let lease = self.lease.get_or_insert(Lease {
            number: lease,
            consumer,
            since: now,
            open: true,
            out: 0,
        });
        lease.out += handed.len();
        let room = if held_up { 0 } else { max - handed.len() };
        let partition_queue = if room > 0 {
            self.partition_queue.take()
        } else {
            None
        };
        Claim::new(lease.number, handed, partition_queue, room)
    }

    /// Takes back the queue, and gives out the polled records, unless the lease was closed meanwhile.
    pub(super) fn fill(&mut self, claim: Claim<T>, now: Instant) -> Vec<Handed> {
        let Claim {
            lease: number,
            mut handed,
            partition_queue,
            polled,
        } = claim;
        self.partition_queue = partition_queue.or_else(|| self.partition_queue.take());
        let mut held_up = !self.is_open(number);
        let waited = handed.len();
        for record in Kept::all(polled.records) {
            if !self.enter(record) {
                continue;
            }
            let last = (!held_up)
                .then(|| self.entries.give_out_last(now))
                .flatten();
            held_up = last.is_none();
            handed.extend(last);
        }
        self.at_end = polled.at_end.unwrap_or(self.at_end) && !self.reread.is_under_way();
        let end = polled.end.filter(|_| !self.reread.is_under_way());
        // Where records came behind that end it is not the present one.
        if let Some(end) = end.filter(|_| self.at_end) {
            self.compare(end);
        }
        // A partition that never had a record needs no position.
        if let Some(end) = end.filter(|end| *end > 0) {
            self.next = Some(self.next.map_or(end, |next| next.max(end)));
        }
        if let Some(lease) = &mut self.lease {
            lease.out += handed.len() - waited;
        }
        self.end_lease_if_over();
        handed
    }

    /// Ends the lease if none of its records is out and its queue is not borrowed. Returns whether it ended.
    fn end_lease_if_over(&mut self) -> bool {
        let over = self.lease.is_some() && self.out_count() == 0 && !self.is_borrowed();
        if over {
            self.lease = None;
        }
        over
    }

    /// Returns whether the record has a place now. It has none where it was finished before its partition went and came back.
    fn enter(&mut self, record: Kept) -> bool {
        let offset = record.offset;
        if self.reread.comes_too_early(&record, &self.epochs) {
            return false;
        }
        self.compare(offset);
        if self.survivors.finished_another(&record) {
            self.cut(offset, self.survivors.finished_to().unwrap_or(offset));
        }
        self.epochs.note(offset, record.epoch);
        let earlier = self
            .earlier_attempts
            .as_ref()
            .and_then(|all| all.get(&offset));
        let mut entry = Entry {
            attempt: earlier
                .map_or(0, |earlier| earlier.attempts)
                .saturating_add(1),
            suspect: earlier.is_some_and(|earlier| earlier.suspect),
            due: earlier.map(|earlier| earlier.due),
            out: false,
            survives: false,
            log: self.log,
            record,
        };
        self.first.get_or_insert(offset);
        self.next = Some(offset.saturating_add(1));
        if !self.survivors.is_empty() {
            match self.survivors.meet(&entry.record) {
                Known::Nothing => {}
                Known::Finished => return false,
                Known::Runs(attempt) => {
                    entry.survives = true;
                    entry.attempt = entry.attempt.max(attempt);
                }
                Known::Failed { next, due } => {
                    entry.attempt = entry.attempt.max(next);
                    entry.due = entry.due.max(due);
                }
            }
            self.survivors.passed(offset);
        }
        self.entries.push(entry);
        true
    }

    /// Inserts a record that came by the client's main queue at its place.
    pub(super) fn insert_in_order(&mut self, record: Record) {
        let behind = record.offset.saturating_add(1);
        self.entries.insert_in_order(record, self.log);
        self.next = Some(self.next.map_or(behind, |next| next.max(behind)));
    }

    /// Whether this is the present lease, and its records may start.
    pub(super) fn is_open(&self, number: u64) -> bool {
        let lease = self.lease.as_ref().filter(|lease| lease.number == number);
        lease.is_some_and(|lease| lease.open)
    }

    /// No record of this lease starts any more.
    pub(super) fn block(&mut self, number: u64) {
        if let Some(lease) = self.lease.as_mut().filter(|lease| lease.number == number) {
            lease.open = false;
        }
    }

    /// The partition goes to another member: no record is given out or starts. Returns the lease that was closed.
    pub(super) fn leave(&mut self) -> Option<u64> {
        self.leaving = true;
        let lease = self.lease.as_mut()?;
        lease.open = false;
        Some(lease.number)
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// All records before it are finished. None before the first record.
    pub(super) fn position(&self) -> Option<i64> {
        let unfinished = self.entries.iter().map(|entry| entry.record.offset);
        // Records that are left of a log that was cut may have higher offsets.
        unfinished.chain(self.next).min()
    }

    /// The position that is still to be committed, and the epoch of the record before it.
    pub(super) fn uncommitted(&self) -> Option<(i64, Option<i32>)> {
        let position = self.position();
        let position = position.filter(|position| self.committed != Some(*position))?;
        Some((position, self.epochs.before(position)))
    }

    /// The brokers know of this position.
    pub(super) fn committed(&mut self, position: i64) {
        self.committed = Some(position);
        self.epochs.forget_before(position);
        self.survivors.passed(position);
    }

    /// Polled records that are not finished.
    pub(super) fn unfinished(&self) -> usize {
        self.entries.len()
    }

    /// Whether all records that the partition is known to have are finished.
    pub(super) fn is_exhausted(&self) -> bool {
        let is_dry = self
            .partition_queue
            .as_ref()
            .is_some_and(|partition_queue| !partition_queue.filled());
        self.at_end && self.entries.is_empty() && is_dry
    }

    /// Records of the present lease that are not settled.
    fn out_count(&self) -> usize {
        self.lease.as_ref().map_or(0, |lease| lease.out)
    }

    /// Records that were given out and are not settled, under the present lease or before the partition went and came back.
    pub(super) fn unsettled(&self) -> usize {
        self.out_count() + self.survivors.running()
    }
}
