//! Fires whose row the database did not take in time. They are misfires: when the database is back, `misfire` says how
//! many of an entry's last ones are made all the same. Which those are is known only then, so each waits until it hears
//! of its row, and all that wait together are counted together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The fires that wait beyond the grace, by entry.
#[derive(Clone, Default)]
pub(crate) struct LateFires {
    by_entry: Arc<Mutex<BTreeMap<String, Outage>>>,
}

/// What one entry missed while the database was away.
#[derive(Default)]
struct Outage {
    seconds: BTreeSet<i64>,
    waiting: usize,
}

/// A fire that waits beyond the grace, until this is dropped.
pub(super) struct LateFire {
    fires: LateFires,
    entry: String,
    scheduled_ms: i64,
}

impl LateFires {
    pub(super) fn begin(&self, entry: &str, scheduled_ms: i64) -> LateFire {
        let mut by_entry = self.lock();
        let outage = by_entry.entry(entry.to_owned()).or_default();
        outage.seconds.insert(scheduled_ms);
        outage.waiting += 1;
        LateFire {
            fires: self.clone(),
            entry: entry.to_owned(),
            scheduled_ms,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Outage>> {
        // Nothing that is done under this lock can panic half way.
        self.by_entry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LateFire {
    /// Whether this is one of the last so many that were missed, those counted too that have heard of their row already.
    pub(super) fn is_among_last(&self, keep: usize) -> bool {
        let by_entry = self.fires.lock();
        let later = by_entry.get(&self.entry).map_or(0, |outage| {
            outage.seconds.range(self.scheduled_ms + 1..).count()
        });
        later < keep
    }
}

impl Drop for LateFire {
    fn drop(&mut self) {
        let mut by_entry = self.fires.lock();
        if let Some(outage) = by_entry.get_mut(&self.entry) {
            outage.waiting -= 1;
            if outage.waiting == 0 {
                by_entry.remove(&self.entry);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_the_same_in_whatever_order_their_rows_come() {
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
            let fires = LateFires::default();
            let mut late: Vec<_> = (0..4).map(|n| Some(fires.begin("e", n * 1000))).collect();
            let other = fires.begin("f", 9000);
            let mut kept = [Vec::new(), Vec::new(), Vec::new()];
            for n in order {
                let fire = late[n].take().unwrap();
                for (keep, kept) in kept.iter_mut().enumerate() {
                    kept.extend(fire.is_among_last(keep).then_some(n));
                }
            }
            kept.iter_mut().for_each(|kept| kept.sort_unstable());
            assert_eq!(kept, [vec![], vec![3], vec![2, 3]], "{order:?}");
            assert!(other.is_among_last(1));
            assert!(fires.begin("e", 0).is_among_last(1), "the next outage");
        }
    }
}
