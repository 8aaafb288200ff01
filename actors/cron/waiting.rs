//! The fires of one entry that wait to be made: seconds, and a count of those that never will be.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::LiveEntry;
use super::misfire::kept;
use crate::store::rows::GivenUp;

/// See the module's header.
pub(super) struct Waiting {
    pub(super) entry: Arc<LiveEntry>,
    /// By their seconds; those too that are being claimed.
    fires: BTreeMap<i64, LateFire>,
    /// Those that are not made, and not reported yet.
    expired: Option<Expired>,
    /// Somebody makes the misfires one after another.
    in_series: bool,
    /// Somebody reports what is expired.
    reporting: bool,
    /// The log has a line of the first fire that was missed.
    is_logged: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lateness {
    /// Within the grace, when that was checked.
    Late,
    /// Beyond it.
    Misfire,
}

struct LateFire {
    lateness: Lateness,
    /// While it is being claimed: the way to give that claim up.
    claim: Option<GivenUp>,
}

/// Misfires that `misfire` does not make up for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expired {
    pub(super) count: usize,
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
}

impl Waiting {
    pub(super) fn new(entry: Arc<LiveEntry>) -> Self {
        Self {
            entry,
            fires: BTreeMap::new(),
            expired: None,
            in_series: false,
            reporting: false,
            is_logged: false,
        }
    }

    pub(super) fn add(&mut self, at: i64, lateness: Lateness) {
        let fire = LateFire {
            lateness,
            claim: None,
        };
        self.fires.entry(at).or_insert(fire);
    }

    /// Of the fires before that moment the last ones stay which `misfire` makes up for. It is called for each fire that is
    /// added, so an entry has no more than those and the ones within the grace.
    pub(super) fn expire(&mut self, too_late: i64) {
        let mut first = None;
        for (at, fire) in self.fires.range_mut(..too_late) {
            if fire.lateness == Lateness::Late {
                fire.lateness = Lateness::Misfire;
                first = first.or(Some(*at));
            }
        }
        if let Some(at) = first
            && !std::mem::replace(&mut self.is_logged, true)
        {
            log::error!(
                "cron `{}`: the fire of {} was missed: the database did not take its row within `misfire_grace`; those that follow are counted",
                self.entry.config.name,
                self.entry.shown(at)
            );
        }
        let missed = self.fires.range(..too_late).count();
        for _ in kept(self.entry.config.misfire)..missed {
            if let Some((at, fire)) = self.fires.pop_first() {
                if let Some(claim) = fire.claim {
                    claim.set();
                }
                self.add_expired(at);
            }
        }
    }

    fn add_expired(&mut self, at: i64) {
        let expired = self.expired.get_or_insert(Expired {
            count: 0,
            first_ms: at,
            last_ms: at,
        });
        expired.count += 1;
        // Now, and not when it has its row: that needs the database, which is away.
        self.entry.state.missed(1);
        expired.first_ms = expired.first_ms.min(at);
        expired.last_ms = expired.last_ms.max(at);
    }

    pub(super) fn holds(&self, at: i64) -> bool {
        self.fires.contains_key(&at)
    }

    /// The first fire from that moment on that is not being claimed.
    pub(super) fn first_from(&self, from: i64) -> Option<i64> {
        let mut from = self.fires.range(from..);
        from.find_map(|(at, fire)| fire.claim.is_none().then_some(*at))
    }

    /// It is being claimed, until one of the next two.
    pub(super) fn begin_claim(&mut self, at: i64) -> Option<GivenUp> {
        let fire = self.fires.get_mut(&at)?;
        Some(fire.claim.insert(GivenUp::default()).clone())
    }

    /// It is not to be claimed again. None where it has expired meanwhile: it is not to be made.
    pub(super) fn end_claim(&mut self, at: i64) -> Option<Lateness> {
        self.fires.remove(&at).map(|fire| fire.lateness)
    }

    /// It is to be claimed again, unless it has expired.
    pub(super) fn put_back(&mut self, at: i64) {
        if let Some(fire) = self.fires.get_mut(&at) {
            fire.claim = None;
        }
    }

    /// Where there are misfires, and nobody makes them yet.
    pub(super) fn begin_series(&mut self, too_late: i64) -> Option<Arc<LiveEntry>> {
        if self.in_series || self.first_from(i64::MIN).is_none_or(|at| at >= too_late) {
            return None;
        }
        self.in_series = true;
        Some(Arc::clone(&self.entry))
    }

    /// The next misfire, which is being claimed from now on; without one the series is over.
    pub(super) fn next_of_series(&mut self, too_late: i64) -> Option<(i64, GivenUp)> {
        self.expire(too_late);
        let first = self.first_from(i64::MIN).filter(|at| *at < too_late);
        let next = first.and_then(|at| Some((at, self.begin_claim(at)?)));
        self.in_series = next.is_some();
        next
    }

    /// Where something is to be reported, and nobody does so yet.
    pub(super) fn begin_report(&mut self) -> Option<Expired> {
        if self.reporting {
            return None;
        }
        let expired = self.expired.clone()?;
        self.reporting = true;
        Some(expired)
    }

    pub(super) fn end_report(&mut self, expired: &Expired, reported: bool) {
        self.reporting = false;
        if !reported {
            return;
        }
        log::error!(
            "cron `{}`: {}",
            self.entry.config.name,
            self.text_of(expired)
        );
        self.is_logged = false;
        // More may have expired meanwhile.
        self.expired = self.expired.take().and_then(|all| {
            let count = all.count.checked_sub(expired.count).filter(|n| *n > 0)?;
            let next = self.entry.next_after(expired.last_ms);
            Some(Expired {
                count,
                first_ms: next.unwrap_or(all.last_ms).min(all.last_ms),
                last_ms: all.last_ms,
            })
        });
    }

    /// For the log, and for the row of the last of them.
    pub(super) fn text_of(&self, expired: &Expired) -> String {
        expired_text(&self.entry, expired)
    }

    /// Only what is being claimed is made.
    pub(super) fn close(&mut self, why: &str) {
        let all = self.fires.len();
        self.fires.retain(|_, fire| fire.claim.is_some());
        let expired = self.expired.take().map_or(0, |expired| expired.count);
        let count = all - self.fires.len() + expired;
        if count > 0 {
            log::warn!(
                "cron `{}`: {count} fires that were late are not made: {why}",
                self.entry.config.name
            );
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.fires.len()
    }

    pub(super) fn is_over(&self) -> bool {
        self.fires.is_empty() && self.expired.is_none() && !self.in_series && !self.reporting
    }
}

pub(super) fn expired_text(entry: &LiveEntry, expired: &Expired) -> String {
    const WHY: &str = "the database was away for longer than misfire_grace";
    let Expired {
        count,
        first_ms,
        last_ms,
    } = expired;
    let last = entry.shown(*last_ms);
    match count {
        1 => format!("the fire of {last} is not made: {WHY}"),
        _ => format!(
            "{count} fires from {} to {last} are not made: {WHY}",
            entry.shown(*first_ms)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Misfire;
    use crate::cron::entry::tests::entry;

    const SECOND: i64 = 1000;

    fn waiting(misfire: Misfire) -> Waiting {
        Waiting::new(Arc::new(entry("* * * * * *", misfire)))
    }

    #[test]
    fn the_last_misfires_stay_in_whatever_order_they_become_late() {
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
            let cases = [
                (Misfire::Skip, vec![]),
                (Misfire::Coalesce, vec![3]),
                (Misfire::CatchUp(2.try_into().unwrap()), vec![2, 3]),
            ];
            for (misfire, expected) in cases {
                let mut waiting = waiting(misfire);
                for at in order {
                    waiting.add(at, Lateness::Late);
                    waiting.expire(4);
                }
                assert_eq!(
                    waiting.fires.keys().copied().collect::<Vec<i64>>(),
                    expected
                );
                let expired = waiting.begin_report().unwrap();
                assert_eq!(expired.count, 4 - expected.len());
                assert!(waiting.begin_report().is_none(), "once at a time");
                waiting.end_report(&expired, false);
                assert_eq!(waiting.begin_report(), Some(expired), "again");
            }
        }
    }

    #[test]
    fn fires_within_the_grace_do_not_expire() {
        let mut waiting = waiting(Misfire::Skip);
        for at in 0..10 {
            waiting.add(at * SECOND, Lateness::Late);
        }
        waiting.expire(4 * SECOND);
        assert_eq!(waiting.first_from(i64::MIN), Some(4 * SECOND));
        let expired = waiting.begin_report().unwrap();
        assert_eq!(
            (expired.count, expired.first_ms, expired.last_ms),
            (4, 0, 3 * SECOND)
        );
        waiting.expire(6 * SECOND);
        waiting.end_report(&expired, true);
        let meanwhile = Expired {
            count: 2,
            first_ms: 4 * SECOND,
            last_ms: 5 * SECOND,
        };
        assert_eq!(waiting.begin_report(), Some(meanwhile));
    }

    #[test]
    fn a_claim_that_has_expired_is_given_up() {
        let mut waiting = waiting(Misfire::Coalesce);
        waiting.add(1, Lateness::Late);
        let first = waiting.begin_claim(1).unwrap();
        waiting.expire(2);
        assert!(!first.is_set(), "it is made up for");
        waiting.add(2, Lateness::Late);
        waiting.expire(3);
        assert!(first.is_set());
        assert_eq!(waiting.end_claim(1), None, "the later one is made instead");
        assert!(waiting.begin_claim(2).is_some());
        assert_eq!(waiting.first_from(i64::MIN), None, "it is being claimed");
        waiting.put_back(2);
        assert_eq!(waiting.first_from(i64::MIN), Some(2));
        assert_eq!(waiting.end_claim(2), Some(Lateness::Misfire));
    }

    #[test]
    fn a_series_ends_with_the_last_misfire() {
        let mut waiting = waiting(Misfire::CatchUp(5.try_into().unwrap()));
        for at in [1, 2, 7] {
            waiting.add(at, Lateness::Late);
        }
        waiting.expire(5);
        assert!(waiting.begin_series(5).is_some());
        assert!(waiting.begin_series(5).is_none(), "one at a time");
        for expected in [1, 2] {
            let (at, _) = waiting.next_of_series(5).unwrap();
            assert_eq!(at, expected);
            assert_eq!(waiting.end_claim(at), Some(Lateness::Misfire));
        }
        assert!(waiting.next_of_series(5).is_none());
        assert!(!waiting.is_over(), "one is late");
        waiting.begin_claim(7);
        waiting.close("the daemon stops");
        assert_eq!(waiting.end_claim(7), Some(Lateness::Late));
        assert!(waiting.is_over());
    }
}
