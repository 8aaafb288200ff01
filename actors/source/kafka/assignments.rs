//! The partitions that this process has, and the consumer that has each of them.
//!
//! A consumer without a batch takes the partition that has waited longest, and goes on with it until the partition has no
//! record left, or [`TURN`] is over and another partition waits. A consumer that finds no partition waits here. Each
//! partition that has records wakes one waiting consumer.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::drain::{Claim, RecordQueue};
use super::leases::OpenLeases;
use super::partition::{AssignedPartition, Cut, EarlierAttempts, Handed};
use super::record::Record;
use super::survivors::Survivors;
use crate::job::Disposition;
use crate::source::{Fetcher, KafkaReceipt, Settled, Streams};

/// The time for which a consumer goes on with its partition while others have records too. A change costs one round trip
/// between the threads.
const TURN: Duration = Duration::from_millis(100);

/// Pause before another consumer is woken for a partition that no consumer has taken: a handler may block the thread of
/// the consumer that was woken first.
const AGAIN: Duration = Duration::from_millis(50);

/// Records of one partition for one consumer.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) partition: i32,
    pub(super) lease: u64,
    pub(super) handed: Vec<Handed>,
}

/// All records of a partition before this are finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// The leader epoch of the record before it, where it is known.
    pub(super) epoch: Option<i32>,
}

impl Position {
    /// By partition.
    pub(super) fn without_epochs(offsets: BTreeMap<i32, i64>) -> Vec<Self> {
        let position = |(partition, offset)| Self {
            partition,
            offset,
            epoch: None,
        };
        offsets.into_iter().map(position).collect()
    }
}

/// The progress of one partition.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    pub(super) position: Option<i64>,
    /// Polled records that are not finished.
    pub(super) unfinished: usize,
    /// All records that the partition has are finished.
    pub(super) exhausted: bool,
}

#[derive(Debug)]
struct Waiter {
    who: Fetcher,
    wake: Arc<Notify>,
}

#[derive(Debug)]
pub(super) struct Assignments<T> {
    partitions_held: BTreeMap<i32, AssignedPartition<T>>,
    waiters: Vec<Waiter>,
    open: Arc<OpenLeases>,
    /// By partition, for partitions that are not assigned.
    survivors: BTreeMap<i32, Survivors>,
    /// Records of which the database has a crash or a failed attempt, by partition and offset. Not a field of the partitions:
    /// the answer to a commit may come when its partition has gone, or has gone and come back.
    noted: BTreeSet<(i32, i64)>,
    /// Cuts that are not logged yet.
    cuts: Vec<(i32, Cut)>,
    /// The positions from which partitions are to be read again.
    rereads: Vec<Position>,
    /// When the timer wakes the waiters next.
    rings: Option<Instant>,
    /// The number of the last lease.
    leases: u64,
}

impl<T: RecordQueue> Assignments<T> {
    pub(super) fn new(open: Arc<OpenLeases>) -> Self {
        Self {
            partitions_held: BTreeMap::new(),
            waiters: Vec::new(),
            open,
            survivors: BTreeMap::new(),
            noted: BTreeSet::new(),
            cuts: Vec::new(),
            rereads: Vec::new(),
            rings: None,
            leases: 0,
        }
    }

    /// A new partition is assigned. None of its records is given out before its recorded crashes are known.
    pub(super) fn assign(&mut self, partition: i32, partition_queue: T) {
        let survivors = self.survivors.remove(&partition).unwrap_or_default();
        let before = self.partitions_held.insert(
            partition,
            AssignedPartition::new(partition_queue, survivors),
        );
        debug_assert!(before.is_none(), "it comes after it went");
    }

    /// Sets the group's positions in assigned partitions.
    pub(super) fn resume(&mut self, positions: &[Position]) {
        for position in positions {
            if let Some(assigned) = self.partitions_held.get_mut(&position.partition) {
                assigned.resume(position.offset, position.epoch);
            }
        }
    }

    /// Sets what the database knows of records of these partitions, by partition and offset.
    pub(super) fn set_earlier_attempts(
        &mut self,
        mut earlier: HashMap<i32, HashMap<i64, EarlierAttempts>>,
        of: &[i32],
        now: Instant,
    ) {
        for partition in of {
            if let Some(assigned) = self.partitions_held.get_mut(partition) {
                let earlier = earlier.remove(partition).unwrap_or_default();
                let offsets = earlier.keys().map(|offset| (*partition, *offset));
                self.noted.extend(offsets);
                assigned.set_earlier_attempts(earlier);
            }
        }
        self.wake(now);
    }

    pub(super) fn partitions(&self) -> Vec<i32> {
        self.partitions_held.keys().copied().collect()
    }

    /// A partition that may have records for this consumer, if there is one. To be polled, and then filled.
    pub(super) fn claim(
        &mut self,
        who: Fetcher,
        max: usize,
        now: Instant,
    ) -> Option<(i32, Claim<T>)> {
        let partition = self.choose(who, now)?;
        let assigned = self.partitions_held.get_mut(&partition)?;
        if assigned.lease().is_none() {
            self.leases += 1;
            assigned.turn = self.leases;
            self.open.add(self.leases);
        }
        Some((
            partition,
            assigned
                .claim(self.leases, who.consumer, max.max(1), now)
                .within(who.bytes),
        ))
    }

    /// The records for the consumer of the claim. None: the queue had no record, or its record is not due.
    pub(super) fn fill(
        &mut self,
        (partition, claim): (i32, Claim<T>),
        now: Instant,
    ) -> Option<Batch> {
        let lease = claim.lease;
        // Where the partition has gone, the polled records are dropped: its next owner begins with them.
        let assigned = self.partitions_held.get_mut(&partition)?;
        let handed = assigned.fill(claim, now);
        self.cuts
            .extend(assigned.take_cut().map(|cut| (partition, cut)));
        self.rereads.extend(assigned.take_reread(partition));
        if assigned.lease().is_none_or(|of| of.number != lease) {
            self.open.remove(lease);
        }
        self.wake(now);
        (!handed.is_empty()).then_some(Batch {
            partition,
            lease,
            handed,
        })
    }

    /// Whether a consumer polls one of these partitions now.
    pub(super) fn is_borrowed(&self, partitions: &[i32]) -> bool {
        self.those(partitions).any(AssignedPartition::is_borrowed)
    }

    fn those(&self, partitions: &[i32]) -> impl Iterator<Item = &AssignedPartition<T>> {
        let partitions_held = partitions.iter();
        partitions_held.filter_map(|partition| self.partitions_held.get(partition))
    }

    /// The consumer's own partition while it has records and its turn lasts, else the one that has waited longest.
    fn choose(&self, who: Fetcher, now: Instant) -> Option<i32> {
        let mut has_lease = false;
        let mut going_on = None;
        let mut free: Option<(u64, i32)> = None;
        for (partition, assigned) in &self.partitions_held {
            if assigned.is_of(who.consumer) {
                has_lease = true;
                if assigned.is_extendable(now) {
                    let since = assigned.lease().map_or(now, |lease| lease.since);
                    going_on = Some((*partition, now.saturating_duration_since(since) > TURN));
                }
            } else if assigned.is_free(now) {
                let this = (assigned.turn, *partition);
                free = Some(free.map_or(this, |best| best.min(this)));
            }
        }
        let free = free.map(|(_, partition)| partition);
        match (going_on, who.streams) {
            (Some((_, true)), Streams::One) if free.is_some() => None,
            (Some((_, true)), Streams::Many) if free.is_some() => free,
            (Some((own, _)), _) => Some(own),
            // The consumer ends its own batch first.
            (None, Streams::One) if has_lease => None,
            (None, _) => free,
        }
    }

    /// Adds a waiting consumer. `wake` is notified when there may be records for it.
    pub(super) fn wait(&mut self, who: Fetcher, wake: Arc<Notify>) {
        self.waiters.push(Waiter { who, wake });
    }

    /// Removes a waiting consumer. If it was woken and took nothing, another one is woken.
    pub(super) fn leave(&mut self, wake: &Arc<Notify>, now: Instant) {
        self.waiters
            .retain(|waiter| !Arc::ptr_eq(&waiter.wake, wake));
        self.wake(now);
    }

    /// Wakes one waiter for each partition that has records for it.
    pub(super) fn wake(&mut self, now: Instant) {
        if self.waiters.is_empty() {
            return;
        }
        let mut holders: Vec<u64> = Vec::new();
        let mut free = 0_usize;
        let mut extendable: Vec<u64> = Vec::new();
        for assigned in self.partitions_held.values() {
            if let Some(lease) = assigned.lease() {
                holders.push(lease.consumer);
                if assigned.is_extendable(now) {
                    extendable.push(lease.consumer);
                }
            } else if assigned.is_free(now) {
                free += 1;
            }
        }
        self.waiters.retain(|waiter| {
            let consumer = waiter.who.consumer;
            let is_held_up = waiter.who.streams == Streams::One && holders.contains(&consumer);
            let has_some = if extendable.contains(&consumer) {
                true
            } else if free > 0 && !is_held_up {
                free -= 1;
                true
            } else {
                false
            };
            if has_some {
                waiter.wake.notify_one();
            }
            !has_some
        });
    }

    /// The next moment at which a waiting record may run, or another consumer may be woken.
    fn next_due(&self, now: Instant) -> Option<Instant> {
        let idle = self
            .partitions_held
            .values()
            .filter(|assigned| assigned.lease().is_none());
        let due = idle
            .filter_map(AssignedPartition::due)
            .filter(|due| *due > now);
        let is_left = self
            .partitions_held
            .values()
            .any(|assigned| assigned.is_free(now))
            && self.waiters.iter().any(|waiter| self.may_begin(waiter.who));
        due.chain(is_left.then(|| now + AGAIN)).min()
    }

    /// Whether the consumer may take a free partition. With [`Streams::One`] it has to finish its own partition first.
    fn may_begin(&self, who: Fetcher) -> bool {
        let mut partitions_held = self.partitions_held.values();
        who.streams == Streams::Many
            || !partitions_held.any(|assigned| assigned.is_of(who.consumer))
    }

    /// Wakes the waiters for which there are records, and returns when to call this again for records that are not due yet.
    pub(super) fn ring(&mut self, now: Instant) -> Option<Instant> {
        self.wake(now);
        self.rings = self.next_due(now);
        self.rings
    }

    /// Whether a record is due before the timer wakes the waiters: a fetch may have found it, or an end may have made it the
    /// first one.
    pub(super) fn rings_too_late(&self, now: Instant) -> bool {
        let due = self.next_due(now);
        due.is_some_and(|due| self.rings.is_none_or(|rings| rings > due))
    }

    /// No record of this lease starts any more.
    pub(super) fn block(&mut self, receipt: KafkaReceipt) {
        self.open.remove(receipt.lease);
        if let Some(assigned) = self.partitions_held.get_mut(&receipt.partition) {
            assigned.block(receipt.lease);
        }
    }

    /// The record of a delivery that is not settled, and whose partition is here.
    pub(super) fn out(&self, receipt: KafkaReceipt) -> Option<&Record> {
        let assigned = self.partitions_held.get(&receipt.partition)?;
        let (record, _) = assigned.out(receipt.lease, receipt.offset)?;
        Some(record)
    }

    /// The attempt of a delivery that is not settled, wherever its partition is. Its failure is about to be written to the
    /// database.
    pub(super) fn note_failure(&mut self, receipt: KafkaReceipt) -> Option<u32> {
        let KafkaReceipt {
            partition,
            offset,
            lease: number,
        } = receipt;
        let attempt = match self.partitions_held.get(&partition) {
            Some(assigned) => match assigned.out(number, offset) {
                Some((_, attempt)) => Some(attempt),
                None => assigned.surviving_attempt(number, offset),
            },
            None => self.survivors.get(&partition)?.attempt(number, offset),
        }?;
        self.noted.insert((partition, offset));
        Some(attempt)
    }

    /// Notes ends of deliveries. Those of partitions that have gone are kept, for the case that they come back. Returns how
    /// many leases have ended.
    pub(super) fn settle(&mut self, ends: &[Settled], now: Instant) -> usize {
        let mut over = 0;
        for settled in ends {
            let (receipt, disposition) = (settled.receipt.of_kafka(), &settled.disposition);
            // The lease shows whether the partition is still the one of the delivery.
            let Some(assigned) = self.partitions_held.get_mut(&receipt.partition) else {
                self.settle_survivor(receipt, disposition, now);
                continue;
            };
            if assigned.settle(receipt.lease, receipt.offset, disposition, now) {
                self.open.remove(receipt.lease);
                over += 1;
            }
        }
        if over > 0 {
            self.wake(now);
        }
        over
    }

    fn settle_survivor(&mut self, receipt: KafkaReceipt, disposition: &Disposition, now: Instant) {
        if let Some(survivors) = self.survivors.get_mut(&receipt.partition) {
            survivors.end(receipt.lease, receipt.offset, disposition, now);
        }
    }

    /// Inserts a record that did not come by its partition queue.
    pub(super) fn insert_in_order(&mut self, partition: i32, record: Record, now: Instant) {
        if let Some(assigned) = self.partitions_held.get_mut(&partition) {
            assigned.insert_in_order(record);
            self.wake(now);
        }
    }

    /// These partitions go to other members: from here on none of their records is given out or starts.
    pub(super) fn stop_feeding(&mut self, partitions: &[i32]) {
        for partition in partitions {
            if let Some(number) = self
                .partitions_held
                .get_mut(partition)
                .and_then(AssignedPartition::leave)
            {
                self.open.remove(number);
            }
        }
    }

    /// Whether the partition goes to another member, so that a thread may be waiting for its borrowed queue.
    pub(super) fn is_leaving(&self, partition: i32) -> bool {
        self.partitions_held
            .get(&partition)
            .is_some_and(AssignedPartition::is_leaving)
    }

    /// Records of these partitions that consumers have.
    pub(super) fn out_count(&self, partitions: &[i32]) -> usize {
        self.those(partitions)
            .map(AssignedPartition::unsettled)
            .sum()
    }

    /// Removes these partitions. Returns their queues, to be dropped where that may take long, and how many of their records
    /// go on running.
    pub(super) fn remove(&mut self, partitions: &[i32], now: Instant) -> (Vec<T>, usize) {
        self.stop_feeding(partitions);
        let (mut partition_queues, mut running) = (Vec::new(), 0);
        for partition in partitions {
            let Some(mut assigned) = self.partitions_held.remove(partition) else {
                continue;
            };
            partition_queues.extend(assigned.partition_queue());
            let survivors = assigned.into_survivors(now);
            running += survivors.running();
            if !survivors.is_empty() {
                self.survivors.insert(*partition, survivors);
            }
        }
        self.survivors.retain(|_, survivors| {
            survivors.expire(now);
            !survivors.is_empty()
        });
        (partition_queues, running)
    }

    /// Forgets all runs: their topic was deleted.
    pub(super) fn forget_runs(&mut self) {
        self.survivors.clear();
    }

    /// Forgets the runs of these partitions: their topic was deleted.
    pub(super) fn forget_runs_of(&mut self, partitions: &[i32]) {
        self.survivors
            .retain(|partition, _| !partitions.contains(partition));
    }

    /// Positions that the brokers do not know.
    pub(super) fn uncommitted(&self) -> Vec<Position> {
        let of_partition = |(partition, assigned): (&i32, &AssignedPartition<T>)| {
            let (offset, epoch) = assigned.uncommitted()?;
            Some(Position {
                partition: *partition,
                offset,
                epoch,
            })
        };
        self.partitions_held
            .iter()
            .filter_map(of_partition)
            .collect()
    }

    /// The positions from which assigned partitions are to be read again.
    pub(super) fn take_rereads(&mut self) -> Vec<Position> {
        let mut rereads = std::mem::take(&mut self.rereads);
        rereads.retain(|one| self.partitions_held.contains_key(&one.partition));
        rereads
    }

    /// These positions could not be sought to yet.
    pub(super) fn reread_later(&mut self, positions: Vec<Position>) {
        self.rereads.extend(positions);
    }

    /// Logs that were found to be cut, each with the noted records that are no longer in it.
    pub(super) fn take_cuts(&mut self) -> Vec<(i32, Cut, Vec<i64>)> {
        let cuts = std::mem::take(&mut self.cuts);
        let with_noted = cuts.into_iter().map(|(partition, cut)| {
            let gone = self
                .noted
                .extract_if((partition, cut.at)..=(partition, i64::MAX), |_| true);
            (partition, cut, gone.map(|(_, offset)| offset).collect())
        });
        with_noted.collect()
    }

    /// The brokers have this position. Returns the noted records before it: this or another member has finished them, so the
    /// rows of their crashes and failures can be deleted.
    pub(super) fn committed(&mut self, partition: i32, position: i64) -> Vec<i64> {
        if let Some(assigned) = self.partitions_held.get_mut(&partition) {
            assigned.committed(position);
        }
        let passed = |(of, offset): &(i32, i64)| *of == partition && *offset < position;
        let passed = self.noted.extract_if(.., passed);
        passed.map(|(_, offset)| offset).collect()
    }

    /// The progress of each assigned partition.
    pub(super) fn progress(&self) -> BTreeMap<i32, Progress> {
        let partitions_held = self.partitions_held.iter();
        let of_partition = |(partition, assigned): (&i32, &AssignedPartition<T>)| {
            let progress = Progress {
                position: assigned.position(),
                unfinished: assigned.unfinished(),
                exhausted: assigned.is_exhausted(),
            };
            (*partition, progress)
        };
        partitions_held.map(of_partition).collect()
    }
}
