//! The ends of runs: of records of the present lease, and of runs that outlived an earlier assignment of the partition.
//! Pure.

use std::time::Instant;

use super::AssignedPartition;
use crate::job::Disposition;
use crate::source::kafka::drain::RecordQueue;
use crate::source::kafka::record::Record;
use crate::source::kafka::survivors::Survivors;

impl<T: RecordQueue> AssignedPartition<T> {
    /// The record and the attempt of a delivery that is not settled.
    pub(in crate::source::kafka) fn out(&self, number: u64, offset: i64) -> Option<(&Record, u32)> {
        let lease = self.lease.as_ref();
        let of_lease = lease.is_some_and(|lease| lease.number == number);
        let survives = || self.survivors.attempt(number, offset).is_some();
        let entry = self.entries.at(self.entries.place_of(offset)?);
        let is_out = entry.out && of_lease || entry.survives && survives();
        is_out.then_some((&entry.record, entry.attempt))
    }

    /// The attempt of a run that goes on although its partition went, whether or not its record came again.
    pub(in crate::source::kafka) fn surviving_attempt(
        &self,
        number: u64,
        offset: i64,
    ) -> Option<u32> {
        self.survivors.attempt(number, offset)
    }

    /// Notes the end of a delivery. Each counts once: one that is settled already, or of another lease, changes nothing.
    /// Returns whether the lease ended, or a run that blocked other records.
    pub(in crate::source::kafka) fn settle(
        &mut self,
        number: u64,
        offset: i64,
        disposition: &Disposition,
        now: Instant,
    ) -> bool {
        let Some(lease) = self.lease.as_mut().filter(|lease| lease.number == number) else {
            return self.settle_survivor(number, offset, disposition, now);
        };
        let place = self.entries.place_of(offset);
        let Some(place) = place.filter(|place| self.entries.at(*place).out) else {
            return false;
        };
        lease.open &= self.entries.end(place, disposition, now);
        lease.out -= 1;
        self.end_lease_if_over()
    }

    /// The end of a run that began before the partition went and came back.
    fn settle_survivor(
        &mut self,
        number: u64,
        offset: i64,
        disposition: &Disposition,
        now: Instant,
    ) -> bool {
        if self.survivors.attempt(number, offset).is_none() {
            return false;
        }
        let place = self.entries.place_of(offset);
        match place.filter(|place| self.entries.at(*place).survives) {
            Some(place) => {
                self.survivors.forget(offset);
                self.entries.end(place, disposition, now);
            }
            // Another member has moved the position past the record, or the record has been deleted.
            None if self.next.is_some_and(|next| offset < next) => self.survivors.forget(offset),
            None => drop(self.survivors.end(number, offset, disposition, now)),
        }
        true
    }

    /// The partition has gone. Returns its runs that go on, and what is known of those that ended.
    pub(in crate::source::kafka) fn into_survivors(mut self, now: Instant) -> Survivors {
        self.survivors.expire(now);
        let known = self.committed.or(self.first);
        if let (Some(known), Some(position)) = (known, self.position()) {
            self.survivors.finished(known..position, &self.epochs, now);
        }
        let number = self.lease.as_ref().map_or(0, |lease| lease.number);
        for entry in self.entries.iter().filter(|entry| entry.out) {
            self.survivors.add(number, &entry.record, entry.attempt);
        }
        self.survivors
    }
}
