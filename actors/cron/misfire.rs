//! What becomes of fires that were not made in time: pure arithmetic over an entry's schedule.

use std::time::Duration;

use super::LiveEntry;
use crate::clock::millis;
use crate::config::Misfire;

/// Windows in which the latest missed fires are searched for, from small to large (seconds): an entry of every second
/// that was away for a year costs as little as one that was away for a minute.
const WINDOWS_S: [i64; 6] = [
    60,
    3600,
    24 * 3600,
    40 * 24 * 3600,
    400 * 24 * 3600,
    i64::MAX / 1000,
];
/// The most missed fires that are counted for the log.
const MOST_COUNTED: usize = 1000;

/// What to do about the fires of a span of time.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Missed {
    /// To be made now, in order: those within the grace, and those that `misfire` makes up for.
    pub(super) fire: Vec<i64>,
    /// Fires beyond the grace, those that are made up for included; counted up to a limit.
    pub(super) skipped: usize,
    /// How many of those are made up for: the first ones of `fire`.
    pub(super) made_up: usize,
    /// The next fire is the first one after this.
    pub(super) planned_from: i64,
    /// When that was checked.
    pub(super) until: i64,
}

impl Missed {
    pub(super) fn skipped_text(&self) -> String {
        if self.skipped < MOST_COUNTED {
            self.skipped.to_string()
        } else {
            format!("{MOST_COUNTED} or more")
        }
    }
}

/// How many of the last misfires are made up for.
pub(super) fn kept(misfire: Misfire) -> usize {
    match misfire {
        Misfire::Skip => 0,
        Misfire::Coalesce => 1,
        Misfire::CatchUp(n) => usize::try_from(n.get()).unwrap_or(usize::MAX),
    }
}

/// The fires in (`from`, `now`], all in unix milliseconds, none of which has been made. A series (`@every`) counts from
/// `from`.
pub(super) fn missed(entry: &LiveEntry, from: i64, now: i64, grace: Duration) -> Missed {
    let keep = kept(entry.config.misfire);
    let fires = Fires {
        entry,
        origin: from,
    };
    // A fire that is late by exactly the grace is in time.
    let too_late = (now - millis(grace) - 1).max(from);
    let skipped = fires.within(from, too_late, MOST_COUNTED).len();
    let mut fire = match skipped {
        0 => Vec::new(),
        _ => fires.latest(from, too_late, keep),
    };
    let made_up = fire.len();
    fire.extend(fires.within(too_late, now, usize::MAX));
    Missed {
        fire,
        skipped,
        made_up,
        planned_from: fires.start(now),
        until: now,
    }
}

struct Fires<'a> {
    entry: &'a LiveEntry,
    origin: i64,
}

impl Fires<'_> {
    /// From where to ask for the first fire after `begin`: a series keeps its rhythm wherever the search begins.
    fn start(&self, begin: i64) -> i64 {
        let Some(every) = self.entry.config.schedule.every() else {
            return begin;
        };
        let every = millis(every).max(1);
        let origin = self.origin.div_euclid(1000) * 1000;
        origin + (begin - origin).max(0) / every * every
    }

    /// The first fires in (`begin`, `until`], `most` of them at most.
    fn within(&self, begin: i64, until: i64, most: usize) -> Vec<i64> {
        let first = self.entry.next_after(self.start(begin));
        std::iter::successors(first, |at| self.entry.next_after(*at))
            .take_while(|at| *at <= until)
            .take(most)
            .collect()
    }

    /// The last `keep` fires in (`from`, `until`].
    fn latest(&self, from: i64, until: i64, keep: usize) -> Vec<i64> {
        if keep == 0 {
            return Vec::new();
        }
        for window in WINDOWS_S {
            let begin = from.max(until.saturating_sub(window.saturating_mul(1000)));
            let mut found = self.within(begin, until, usize::MAX);
            if found.len() >= keep || begin == from {
                return found.split_off(found.len().saturating_sub(keep));
            }
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cron::entry::tests::entry;

    const GRACE: Duration = Duration::from_secs(10);
    /// A full hour.
    const NOON: i64 = 1_800_000_000_000;
    const SECOND: i64 = 1000;

    #[test]
    fn late_fires_are_made_within_the_grace() {
        let entry = entry("*/5 * * * * *", Misfire::Skip);
        let found = missed(&entry, NOON - 60 * SECOND, NOON + 2 * SECOND, GRACE);
        assert_eq!(found.fire, [NOON - 5 * SECOND, NOON]);
        assert_eq!((found.skipped, found.made_up), (10, 0));
        assert_eq!(found.planned_from, NOON + 2 * SECOND);
        let exact = missed(&entry, NOON - SECOND, NOON + 10 * SECOND, GRACE);
        assert_eq!(exact.fire, [NOON, NOON + 5 * SECOND, NOON + 10 * SECOND]);
        assert_eq!(exact.skipped, 0);
    }

    #[test]
    fn misfires_are_made_up_for_as_asked() {
        let day = 24 * 3600 * SECOND;
        let hourly = |misfire| {
            missed(
                &entry("0 0 * * * *", misfire),
                NOON - day,
                NOON - 60 * SECOND,
                GRACE,
            )
        };
        let hour = 3600 * SECOND;
        assert!(hourly(Misfire::Skip).fire.is_empty());
        assert_eq!(hourly(Misfire::Skip).skipped, 23);
        assert_eq!(hourly(Misfire::Coalesce).fire, [NOON - hour]);
        let three = Misfire::CatchUp(3.try_into().unwrap());
        assert_eq!(
            hourly(three).fire,
            [NOON - 3 * hour, NOON - 2 * hour, NOON - hour]
        );
    }

    #[test]
    fn a_year_away_costs_no_more_than_a_minute() {
        let entry = entry("* * * * * *", Misfire::Coalesce);
        let year = 366 * 24 * 3600 * SECOND;
        let found = missed(&entry, NOON - year, NOON, GRACE);
        assert_eq!(found.skipped, MOST_COUNTED);
        assert_eq!(
            found.fire.len(),
            12,
            "eleven within the grace, and one for all before"
        );
        assert_eq!(found.made_up, 1);
        assert_eq!(found.fire[0], NOON - 11 * SECOND);
    }

    #[test]
    fn a_series_counts_from_its_last_fire() {
        let entry = entry("@every 90s", Misfire::Coalesce);
        let found = missed(&entry, NOON, NOON + 300 * SECOND, GRACE);
        assert_eq!(found.fire, [NOON + 270 * SECOND]);
        assert_eq!(found.skipped, 3);
        assert_eq!(found.planned_from, NOON + 270 * SECOND);
        let on_time = missed(&entry, NOON, NOON + 89 * SECOND, GRACE);
        assert_eq!((on_time.fire.len(), on_time.planned_from), (0, NOON));
    }
}
