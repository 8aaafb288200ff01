//! The open leases. All workers check them, for each record that starts.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

/// More places than a process mostly has partitions.
const PLACES: usize = 256;

/// The number of each open lease, at the place that it hashes to, and beside them those whose place is taken. So a check
/// mostly reads one word that seldom changes, and takes no lock.
#[derive(Debug)]
pub(super) struct OpenLeases {
    places: [AtomicU64; PLACES],
    others: Mutex<Vec<u64>>,
    other_count: AtomicUsize,
}

/// The number of no lease.
const NONE: u64 = 0;

impl Default for OpenLeases {
    fn default() -> Self {
        Self {
            places: [const { AtomicU64::new(NONE) }; PLACES],
            others: Mutex::default(),
            other_count: AtomicUsize::new(0),
        }
    }
}

impl OpenLeases {
    pub(super) fn has(&self, number: u64) -> bool {
        self.place(number).load(Ordering::Acquire) == number
            || self.other_count.load(Ordering::Acquire) > 0 && self.others.lock().contains(&number)
    }

    pub(super) fn add(&self, number: u64) {
        let place = self.place(number);
        let taken = place.compare_exchange(NONE, number, Ordering::AcqRel, Ordering::Acquire);
        if taken.is_err() {
            let mut others = self.others.lock();
            others.push(number);
            self.other_count.store(others.len(), Ordering::Release);
        }
    }

    pub(super) fn remove(&self, number: u64) {
        let place = self.place(number);
        let freed = place.compare_exchange(number, NONE, Ordering::AcqRel, Ordering::Acquire);
        if freed.is_err() && self.other_count.load(Ordering::Acquire) > 0 {
            let mut others = self.others.lock();
            others.retain(|open| *open != number);
            self.other_count.store(others.len(), Ordering::Release);
        }
    }

    fn place(&self, number: u64) -> &AtomicU64 {
        // A remainder below the number of places.
        #[expect(clippy::cast_possible_truncation, reason = "it is below 256")]
        let place = (number % PLACES as u64) as usize;
        &self.places[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_that_come_to_the_same_place_are_kept_apart() {
        let leases = OpenLeases::default();
        let same = PLACES as u64;
        for number in [1, 2, 1 + same, 1 + 2 * same] {
            assert!(!leases.has(number));
            leases.add(number);
        }
        assert!(
            [1, 2, 1 + same, 1 + 2 * same]
                .iter()
                .all(|n| leases.has(*n))
        );
        leases.remove(1);
        assert!(!leases.has(1) && leases.has(1 + same));
        leases.add(1 + 3 * same);
        for number in [1 + same, 1 + 3 * same, 1 + 2 * same, 2, 7] {
            leases.remove(number);
            assert!(!leases.has(number));
        }
    }
}
