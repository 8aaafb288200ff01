//! Fires whose row the database did not take in time. They are misfires: when the database is back, `misfire` says how
//! many of an entry's last ones are made all the same. All that wait together are counted together: whoever has become
//! late dooms those that are no longer among the last ones, so whenever the database takes their rows, it is settled
//! which of them are made.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::db::rows::Doom;

/// The fires that wait beyond the grace, by entry.
#[derive(Clone, Default)]
pub(crate) struct LateFires {
    by_entry: Arc<Mutex<BTreeMap<String, Outage>>>,
}

/// What one entry missed while the database was away.
#[derive(Default)]
struct Outage {
    /// By their seconds; those too that have heard of their rows already.
    fires: BTreeMap<i64, Vec<Doom>>,
    waiting: usize,
}

/// A fire that waits beyond the grace, until this is dropped.
pub(super) struct LateFire {
    fires: LateFires,
    entry: String,
}

impl LateFires {
    /// The last `keep` of an entry's late fires are made up for; the others, of which this may be one, are doomed.
    pub(super) fn begin(
        &self,
        entry: &str,
        scheduled_ms: i64,
        keep: usize,
        doom: &Doom,
    ) -> LateFire {
        let mut by_entry = self.lock();
        let outage = by_entry.entry(entry.to_owned()).or_default();
        let of_second = outage.fires.entry(scheduled_ms).or_default();
        of_second.push(doom.clone());
        outage.waiting += 1;
        let latest_first = outage.fires.values().rev();
        latest_first.skip(keep).flatten().for_each(Doom::seal);
        LateFire {
            fires: self.clone(),
            entry: entry.to_owned(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Outage>> {
        // Nothing that is done under this lock can panic half way.
        self.by_entry.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn the_last_ones_are_the_same_in_whatever_order_they_become_late() {
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
            for (keep, expected) in [vec![], vec![3], vec![2, 3]].into_iter().enumerate() {
                let fires = LateFires::default();
                let dooms: Vec<Doom> = (0..4).map(|_| Doom::new("")).collect();
                let other = Doom::new("");
                let of_other = fires.begin("f", 9000, 1, &other);
                let late = order.map(|n: usize| {
                    let second = i64::try_from(n).unwrap() * 1000;
                    fires.begin("e", second, keep, &dooms[n])
                });
                let kept: Vec<usize> = (0..4).filter(|n| !dooms[*n].is_sealed()).collect();
                assert_eq!(kept, expected, "{order:?}");
                assert!(!other.is_sealed());
                drop((late, of_other));
                let next = Doom::new("");
                let _late = fires.begin("e", 0, 1, &next);
                assert!(!next.is_sealed(), "the next outage");
            }
        }
    }
}
