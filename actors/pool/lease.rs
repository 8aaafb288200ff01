//! How long consumers above `progress` stay: their leases.

use std::time::Duration;

use tokio::time::Instant;

/// The leases of the consumers above those at rest. Each is one consumer's.
#[derive(Debug)]
pub(crate) struct Leases {
    length: Duration,
    /// Ends, the latest first: those that run out first are the last.
    ends: Vec<Instant>,
}

impl Leases {
    pub(crate) fn new(length: Duration) -> Self {
        Self {
            length,
            ends: Vec::new(),
        }
    }

    /// A check wants `more` consumers above those at rest: their leases begin anew. Others run out by themselves.
    pub(crate) fn want(&mut self, more: u32, now: Instant) {
        let more = usize::try_from(more).unwrap_or(usize::MAX);
        let renewed = now + self.length;
        self.ends
            .iter_mut()
            .take(more)
            .for_each(|end| *end = renewed);
        if self.ends.len() < more {
            self.ends.resize(more, renewed);
        }
    }

    /// A check could not read the lag: an outage changes nothing.
    pub(crate) fn keep_all(&mut self, now: Instant) {
        let renewed = now + self.length;
        self.ends.iter_mut().for_each(|end| *end = renewed);
    }

    /// How many hold at this moment; those that ran out are forgotten.
    pub(crate) fn held(&mut self, now: Instant) -> u32 {
        self.ends.retain(|end| *end > now);
        u32::try_from(self.ends.len()).unwrap_or(u32::MAX)
    }

    /// When the next one runs out.
    pub(crate) fn next_end(&self) -> Option<Instant> {
        self.ends.iter().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(300);

    fn minutes(start: Instant, minutes: u64) -> Instant {
        start + Duration::from_secs(60 * minutes)
    }

    #[test]
    fn a_pool_shrinks_by_itself() {
        let start = Instant::now();
        let mut leases = Leases::new(LEASE);
        leases.want(8, start);
        leases.want(3, minutes(start, 3));
        assert_eq!(leases.held(minutes(start, 4)), 8, "no lease is over");
        assert_eq!(leases.held(minutes(start, 5)), 3);
        leases.want(0, minutes(start, 6));
        assert_eq!(leases.held(minutes(start, 7)), 3);
        assert_eq!(leases.next_end(), Some(minutes(start, 8)));
        assert_eq!(leases.held(minutes(start, 8)), 0);
        assert_eq!(leases.next_end(), None);
    }

    #[test]
    fn a_check_that_still_wants_them_renews() {
        let start = Instant::now();
        let mut leases = Leases::new(LEASE);
        for check in 0..10 {
            leases.want(4, minutes(start, check * 3));
        }
        assert_eq!(leases.held(minutes(start, 31)), 4);
    }

    #[test]
    fn an_outage_changes_nothing() {
        let start = Instant::now();
        let mut leases = Leases::new(LEASE);
        leases.want(4, start);
        for check in 1..5 {
            leases.keep_all(minutes(start, check * 3));
        }
        assert_eq!(leases.held(minutes(start, 16)), 4);
    }
}
