//! Runs that go on although their partition has gone: a rebalance waits only five seconds for handlers, and the end of a
//! session takes all partitions at once. Pure.
//!
//! When the partition comes back, the record of such a run is not started again. It waits at its place for that run's
//! end, which counts as if the partition had never gone. An end that came earlier counts too, and so do records that were
//! finished and could not be committed. Where another member has moved the position past the record meanwhile, the record
//! does not come again, and the end changes nothing.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::epochs::{Epochs, are_same};
use super::record::{Kept, Record};
use crate::job::Disposition;

/// The time for which an end is kept while another member has the partition: that member has run the record by then.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// The runs of one partition that outlived its assignment.
#[derive(Debug, Default)]
pub(super) struct Survivors {
    /// By offset.
    runs: BTreeMap<i64, Survivor>,
    /// Offsets that were finished, and not yet committed when the partition went.
    finished: Option<Finished>,
}

#[derive(Debug)]
struct Finished {
    offsets: Range<i64>,
    epochs: Epochs,
    at: Instant,
}

#[derive(Debug)]
pub(super) struct Survivor {
    /// The lease under which the record was given out.
    lease: u64,
    record: Kept,
    /// The number of the attempt that is under way, or has ended.
    attempt: u32,
    ended: Option<(Disposition, Instant)>,
}

/// What is known of a polled record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    Nothing,
    /// A run of this attempt goes on.
    Runs(u32),
    /// It ran here to its end.
    Finished,
    /// The run here failed. With the next attempt, and the time before which it does not run.
    Failed {
        next: u32,
        due: Option<Instant>,
    },
}

impl Survivors {
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.finished.is_none()
    }

    /// Adds a record that is out while its partition goes.
    pub(super) fn add(&mut self, lease: u64, record: &Kept, attempt: u32) {
        let survivor = Survivor {
            lease,
            // The other records of its poll are freed.
            record: record.unshared_clone(),
            attempt,
            ended: None,
        };
        self.runs.insert(record.offset, survivor);
    }

    /// Adds offsets that are finished while their partition goes, and that the brokers do not know as finished.
    pub(super) fn finished(&mut self, offsets: Range<i64>, epochs: &Epochs, now: Instant) {
        if offsets.is_empty() {
            return;
        }
        let (mut from, mut all_epochs) = (offsets.start, Epochs::default());
        if let Some(before) = self.finished.take()
            && before.offsets.end >= from
        {
            from = before.offsets.start.min(from);
            all_epochs = before.epochs;
        }
        all_epochs.append(epochs);
        self.finished = Some(Finished {
            offsets: from..offsets.end,
            epochs: all_epochs,
            at: now,
        });
    }

    /// Whether another record with the same offset was finished.
    pub(super) fn finished_another(&self, record: &Record) -> bool {
        self.finished.as_ref().is_some_and(|finished| {
            let epoch = finished.epochs.of(record.offset);
            finished.offsets.contains(&record.offset) && !are_same(epoch, record.epoch)
        })
    }

    /// The offset behind the last finished one.
    pub(super) fn finished_to(&self) -> Option<i64> {
        self.finished.as_ref().map(|finished| finished.offsets.end)
    }

    /// From this offset on the partition has other records. Runs are distinguished by their records.
    pub(super) fn cut(&mut self, at: i64) {
        self.finished.take_if(|finished| {
            finished.offsets.end = finished.offsets.end.min(at);
            finished.offsets.is_empty()
        });
    }

    /// The attempt of a run that goes on under this lease.
    pub(super) fn attempt(&self, lease: u64, offset: i64) -> Option<u32> {
        let of_lease = self.runs.get(&offset).filter(|one| one.lease == lease);
        of_lease
            .filter(|survivor| survivor.ended.is_none())
            .map(|survivor| survivor.attempt)
    }

    /// Returns what is known of a polled record, and forgets it unless the run goes on.
    pub(super) fn meet(&mut self, record: &Record) -> Known {
        let mut finished = self.finished.iter();
        if finished.any(|finished| finished.offsets.contains(&record.offset)) {
            return Known::Finished;
        }
        let Some(survivor) = self.runs.get(&record.offset) else {
            return Known::Nothing;
        };
        if !is_same(&survivor.record, record) {
            // The topic was deleted and made again, or its log was cut.
            self.runs.remove(&record.offset);
            return Known::Nothing;
        }
        let Some((disposition, at)) = &survivor.ended else {
            return Known::Runs(survivor.attempt);
        };
        let next = survivor.attempt.saturating_add(1);
        let known = match disposition {
            Disposition::Complete => Known::Finished,
            Disposition::Retry(after) => Known::Failed {
                next,
                due: at.checked_add(*after),
            },
            // Without the record there was no dead letter. It has no attempt left, and becomes a dead letter without a run.
            Disposition::DeadLetter { .. } => Known::Failed { next, due: None },
            Disposition::Release => Known::Nothing,
        };
        self.runs.remove(&record.offset);
        known
    }

    /// Notes the end of a run whose record is not here. Returns whether the run was known.
    pub(super) fn end(
        &mut self,
        lease: u64,
        offset: i64,
        disposition: &Disposition,
        now: Instant,
    ) -> bool {
        if self.attempt(lease, offset).is_none() {
            return false;
        }
        match (disposition, self.runs.get_mut(&offset)) {
            (Disposition::Release, _) => drop(self.runs.remove(&offset)),
            (_, Some(survivor)) => survivor.ended = Some((disposition.clone(), now)),
            (_, None) => {}
        }
        true
    }

    /// Forgets the run at this offset: it is settled, or its record will not come again.
    pub(super) fn forget(&mut self, offset: i64) {
        self.runs.remove(&offset);
    }

    /// Forgets ended runs before this position, as their records do not come again.
    pub(super) fn passed(&mut self, position: i64) {
        let passed = |offset: &i64, one: &mut Survivor| *offset < position && one.ended.is_some();
        self.runs.extract_if(.., passed).for_each(drop);
        self.finished
            .take_if(|finished| finished.offsets.end <= position);
    }

    /// Forgets runs that ended longer ago than [`REMEMBERED`].
    pub(super) fn expire(&mut self, now: Instant) {
        let is_old = |at: Instant| now.saturating_duration_since(at) >= REMEMBERED;
        self.runs.retain(|_, survivor| {
            let ended = survivor.ended.as_ref();
            !ended.is_some_and(|(_, at)| is_old(*at))
        });
        self.finished.take_if(|finished| is_old(finished.at));
    }

    /// The number of runs that go on.
    pub(super) fn running(&self) -> usize {
        let survivors = self.runs.values();
        survivors.filter(|one| one.ended.is_none()).count()
    }
}

/// Whether two records are the same. An equal offset is not enough, as a topic that was made again has other records.
fn is_same(one: &Record, other: &Record) -> bool {
    are_same(one.epoch, other.epoch)
        && (one.timestamp_ms, &one.key, &one.payload)
            == (other.timestamp_ms, &other.key, &other.payload)
}
