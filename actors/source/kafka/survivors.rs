//! Runs that go on though their partition has gone: in a rebalance handlers are waited for only so long, and a session
//! that is over takes all at once. Pure.
//!
//! When the partition comes back, a record of which a run goes on is not started again: it waits in its place for that
//! run's end, which counts as if the partition had never gone. So does an end that came before. Where others have moved
//! the position past the record meanwhile, it does not come here again, and the end means nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::record::{Kept, Record};
use crate::source::End;

/// An end is known for so long while its partition is with others: they have run the record by then.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Of one partition, by offset.
#[derive(Debug, Default)]
pub(super) struct Survivors(BTreeMap<i64, Survivor>);

#[derive(Debug)]
pub(super) struct Survivor {
    /// Under which it was given out.
    lease: u64,
    record: Kept,
    /// The one that is under way, or that ended.
    attempt: u32,
    ended: Option<(End, Instant)>,
}

/// What is known of a record that comes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    Nothing,
    /// A run goes on, its attempt this one.
    Runs(u32),
    /// It ran here to its end.
    Finished,
    /// The run here failed; the next attempt is this one, and not before then.
    Failed {
        next: u32,
        due: Option<Instant>,
    },
}

impl Survivors {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its partition goes while it is out.
    pub(super) fn add(&mut self, lease: u64, record: &Kept, attempt: u32) {
        let survivor = Survivor {
            lease,
            // Those that it was drawn with go.
            record: record.apart(),
            attempt,
            ended: None,
        };
        self.0.insert(record.offset, survivor);
    }

    /// The attempt of a run that goes on under this lease.
    pub(super) fn attempt(&self, lease: u64, offset: i64) -> Option<u32> {
        let of_lease = self.0.get(&offset).filter(|one| one.lease == lease);
        of_lease
            .filter(|survivor| survivor.ended.is_none())
            .map(|survivor| survivor.attempt)
    }

    /// A record comes with its partition. What is asked is forgotten, unless the run goes on.
    pub(super) fn meet(&mut self, record: &Record) -> Known {
        let Some(survivor) = self.0.get(&record.offset) else {
            return Known::Nothing;
        };
        if !is_same(&survivor.record, record) {
            // The topic was deleted and made again.
            self.0.remove(&record.offset);
            return Known::Nothing;
        }
        let Some((end, at)) = &survivor.ended else {
            return Known::Runs(survivor.attempt);
        };
        let next = survivor.attempt.saturating_add(1);
        let known = match end {
            End::Done => Known::Finished,
            End::Retry(after) => Known::Failed {
                next,
                due: at.checked_add(*after),
            },
            // There was no record to make a letter of. It has no attempt left, and becomes one without a run.
            End::Dead { .. } => Known::Failed { next, due: None },
            End::GiveBack => Known::Nothing,
        };
        self.0.remove(&record.offset);
        known
    }

    /// Its end has come, and the record is not here. Answers whether it was one of these.
    pub(super) fn end(&mut self, lease: u64, offset: i64, end: &End, now: Instant) -> bool {
        if self.attempt(lease, offset).is_none() {
            return false;
        }
        match (end, self.0.get_mut(&offset)) {
            (End::GiveBack, _) => drop(self.0.remove(&offset)),
            (end, Some(survivor)) => survivor.ended = Some((end.clone(), now)),
            (_, None) => {}
        }
        true
    }

    /// It is settled, or will not come here any more.
    pub(super) fn forget(&mut self, offset: i64) {
        self.0.remove(&offset);
    }

    /// Those of which an end is known and that are before this position do not come again.
    pub(super) fn passed(&mut self, position: i64) {
        let passed = |offset: &i64, one: &mut Survivor| *offset < position && one.ended.is_some();
        self.0.extract_if(.., passed).for_each(drop);
    }

    /// Those that ended long ago are forgotten.
    pub(super) fn expire(&mut self, now: Instant) {
        self.0.retain(|_, survivor| {
            let ended = survivor.ended.as_ref();
            ended.is_none_or(|(_, at)| now.saturating_duration_since(*at) < REMEMBERED)
        });
    }

    /// Runs that go on.
    pub(super) fn running(&self) -> usize {
        let survivors = self.0.values();
        survivors.filter(|one| one.ended.is_none()).count()
    }
}

/// An offset alone does not say so: a topic that was made again begins anew.
fn is_same(one: &Record, other: &Record) -> bool {
    (one.timestamp_ms, &one.key, &one.payload) == (other.timestamp_ms, &other.key, &other.payload)
}
