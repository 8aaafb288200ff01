//! What is known of cron entries by the names that earlier versions gave them, on every database.
//!
//! An entry's name is made from its time zone, and a version may make another one of the same zone. When it starts, what is
//! known by a former name goes over to the present one: since when the entry is live, its last fire, and its open runs,
//! which `overlap` must know of. Ended runs stay where they are until they are trimmed: of those only the last counts.

use std::collections::HashMap;

use super::rows::KnownEntry;

/// Milliseconds of a second: a run whose second is taken keeps it, and gets a millisecond of its own in it.
const SECOND_MS: i64 = 1000;

/// The entries by their former names. No entry is called today what another one was: former names are made from links of
/// the time zone database, present ones from what they lead to.
pub(in crate::store) struct FormerNames<'a> {
    entries: HashMap<&'a str, &'a KnownEntry>,
}

impl<'a> FormerNames<'a> {
    pub(in crate::store) fn of(entries: &'a [KnownEntry]) -> Self {
        let names = entries
            .iter()
            .flat_map(|entry| entry.former.iter().map(move |name| (name.as_str(), entry)));
        Self {
            entries: names.collect(),
        }
    }

    pub(in crate::store) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(in crate::store) fn entry(&self, former: &str) -> Option<&'a KnownEntry> {
        self.entries.get(former).copied()
    }
}

/// A live entry's row, and its newest run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Inherited {
    pub(in crate::store) live_since_ms: i64,
    pub(in crate::store) last_fire_ms: Option<i64>,
}

impl Inherited {
    /// What lies ahead is of a clock that was wrong.
    pub(in crate::store) fn new(
        live_since_ms: i64,
        noted: Option<i64>,
        newest: Option<i64>,
        now: i64,
    ) -> Self {
        let last_fire_ms = noted.filter(|at| *at <= now).max(newest);
        Self {
            live_since_ms,
            last_fire_ms,
        }
    }

    /// With what is known by another name: daemons may have had the zone by two.
    pub(in crate::store) fn and(self, other: Self) -> Self {
        Self {
            live_since_ms: self.live_since_ms.min(other.live_since_ms),
            last_fire_ms: self.last_fire_ms.max(other.last_fire_ms),
        }
    }
}

/// The moments that a run of that second may have.
pub(in crate::store) fn moments(scheduled_ms: i64) -> (i64, i64) {
    (scheduled_ms, scheduled_ms + SECOND_MS - 1)
}

/// The first of these moments that no other run of the entry has.
pub(in crate::store) fn free_moment(scheduled_ms: i64, taken: &[i64]) -> Option<i64> {
    let (first, last) = moments(scheduled_ms);
    (first..=last).find(|moment| !taken.contains(moment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_second_has_other_moments() {
        assert_eq!(free_moment(5000, &[]), Some(5000));
        assert_eq!(free_moment(5000, &[5000, 5001, 6000]), Some(5002));
        let all: Vec<i64> = (5000..6000).collect();
        assert_eq!(free_moment(5000, &all), None);
    }

    #[test]
    fn the_earliest_start_and_the_latest_fire_are_inherited() {
        let one = Inherited::new(5, Some(99), Some(8), 10);
        assert_eq!(one.last_fire_ms, Some(8), "99 lies ahead");
        let both = one.and(Inherited::new(7, Some(9), None, 10));
        assert_eq!((both.live_since_ms, both.last_fire_ms), (5, Some(9)));
        let never = Inherited::new(5, None, None, 10);
        assert_eq!(never.and(never).last_fire_ms, None);
    }
}
