//! The records of one partition that are ours and not finished, in their order. Pure: takes the time and the records.
//!
//! A partition is given out as a *lease*: to one consumer at a time, which runs its records one after the other. So the next
//! record starts only after the one before has ended, and consumers come and go without anything moving in the group.
//! What has to run again stays at its place and holds up all behind it; the lease is closed by that, and nothing of it
//! starts any more.
//!
//! The position, which is what may be committed, never passes an unfinished record: it is the first of them, or behind the
//! last one taken, or the end of the partition where that is reported: the marks of transactions, records that were taken
//! back and those that were deleted never come, and the position would wait for them for ever. Offsets are only compared,
//! never counted: compaction and transactions leave gaps.
//!
//! A record of which a run goes on that began before the partition went and came back (`survivors.rs`) has its place
//! too, and holds up those behind it until that run has ended.

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

/// What the database knows of a record from before it came here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Charged {
    /// That failed, or ended a process.
    pub(super) attempts: u32,
    pub(super) suspect: bool,
    /// When it may run again.
    pub(super) due: Instant,
}

/// One consumer's right to the partition.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) number: u64,
    pub(super) consumer: u64,
    pub(super) since: Instant,
    /// Whether what was given out under it may start.
    open: bool,
    /// Given out and not settled.
    out: usize,
}

#[derive(Debug)]
pub(super) struct AssignedPartition<T> {
    /// None: it is borrowed (`claim.rs`).
    partition_queue: Option<T>,
    entries: Entries,
    /// Behind the last record that came, or will never come; none before the first.
    next: Option<i64>,
    /// The first record that came.
    first: Option<i64>,
    lease: Option<Lease>,
    survivors: Survivors,
    /// By offset. None: not known yet, and nothing is given out.
    charged: Option<HashMap<i64, Charged>>,
    /// What the brokers know.
    committed: Option<i64>,
    /// Where the group's position was when the partition came; none once a record has come.
    resumed: Option<i64>,
    epochs: Epochs,
    /// How often the log was cut.
    log: u32,
    /// A cut that is not logged yet.
    cut: Option<Cut>,
    reread: Reread,
    /// All that the partition has came here.
    at_end: bool,
    /// The partition goes to others.
    leaving: bool,
    /// When it was claimed last, by the count of the assignments; an empty one goes to the end as well.
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
            charged: None,
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

    /// What the database knows is known: records may be given out.
    pub(super) fn charge(&mut self, charged: HashMap<i64, Charged>) {
        self.charged = Some(charged);
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
        // Mostly the consumer has all of them: they are many, and this is asked often.
        if self.entries.len() == self.out_count() {
            return None;
        }
        self.entries.iter().find(|entry| !entry.out)
    }

    /// When its first waiting record may run, if it may not yet.
    pub(super) fn due(&self) -> Option<Instant> {
        let waiting = self.first_waiting()?;
        waiting.due.filter(|_| !waiting.survives)
    }

    /// Whether there is something to give out now.
    fn filled(&self, now: Instant) -> bool {
        let Some(partition_queue) = &self.partition_queue else {
            return false;
        };
        let known = self.charged.is_some() && !self.leaving;
        known
            && match self.first_waiting() {
                Some(entry) => !self.entries.is_held_up(entry, now),
                None => partition_queue.filled(),
            }
    }

    /// To be dropped where that may take its time.
    pub(super) fn partition_queue(&mut self) -> Option<T> {
        self.partition_queue.take()
    }

    /// Whether a consumer polls from its partition queue.
    pub(super) fn is_borrowed(&self) -> bool {
        self.partition_queue.is_none()
    }

    /// Whether a consumer that has no lease of it can take it.
    pub(super) fn is_free(&self, now: Instant) -> bool {
        self.lease.is_none() && self.filled(now)
    }

    /// Whether the consumer that has it can take more of it.
    pub(super) fn is_extendable(&self, now: Instant) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.open) && self.filled(now)
    }

    /// Gives out the waiting records, `max` at most, and lends the partition queue for the rest: under this lease if
    /// the partition is free, else under the one it has. Polled records come back by `fill`.
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

    /// Takes back the partition queue, and gives out what was polled. Of what was closed in the meantime nothing more is given out.
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
        // Where records came behind that end it was not the last word.
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

    /// Answers whether it is over: nothing of it is out, and nothing is being polled for it.
    fn end_lease_if_over(&mut self) -> bool {
        let over = self.lease.is_some() && self.out_count() == 0 && !self.is_borrowed();
        if over {
            self.lease = None;
        }
        over
    }

    /// Answers whether it has a place now: it has none where it was run to its end before its partition went and came back.
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
        let charged = self.charged.as_ref().and_then(|all| all.get(&offset));
        let mut entry = Entry {
            attempt: charged
                .map_or(0, |charged| charged.attempts)
                .saturating_add(1),
            suspect: charged.is_some_and(|charged| charged.suspect),
            due: charged.map(|charged| charged.due),
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

    /// Inserts a record that did not come by the partition queue at its place.
    pub(super) fn insert_in_order(&mut self, record: Record) {
        let behind = record.offset.saturating_add(1);
        self.entries.insert_in_order(record, self.log);
        self.next = Some(self.next.map_or(behind, |next| next.max(behind)));
    }

    /// Whether this lease is its present one, and if so whether its records may start.
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

    /// The partition goes to others: nothing is given out, and nothing starts. Answers the lease that was closed.
    pub(super) fn leave(&mut self) -> Option<u64> {
        self.leaving = true;
        let lease = self.lease.as_mut()?;
        lease.open = false;
        Some(lease.number)
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// All before it is finished; none before the first record.
    pub(super) fn position(&self) -> Option<i64> {
        let unfinished = self.entries.iter().map(|entry| entry.record.offset);
        // What is left of a log that was cut stands behind.
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

    /// How many records are here and not finished.
    pub(super) fn unfinished(&self) -> usize {
        self.entries.len()
    }

    /// All records that the partition has are finished, as far as is known here.
    pub(super) fn is_exhausted(&self) -> bool {
        let is_dry = self
            .partition_queue
            .as_ref()
            .is_some_and(|partition_queue| !partition_queue.filled());
        self.at_end && self.entries.is_empty() && is_dry
    }

    /// Given out and not settled.
    fn out_count(&self) -> usize {
        self.lease.as_ref().map_or(0, |lease| lease.out)
    }

    /// Given out and not settled, now or before the partition went and came back.
    pub(super) fn unsettled(&self) -> usize {
        self.out_count() + self.survivors.running()
    }
}
