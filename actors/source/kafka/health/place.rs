//! Whether this member of the group gets records of the topic, and why not.
//!
//! A group that assigns no partitions is watched too: librdkafka waits for a coordinator for ever, without an error.

use std::time::{Duration, Instant};

use super::super::probe::{GroupState, Lack, Reached};
use crate::outage::Outage;

/// The time for the group to assign its partitions. That takes seconds, and longer when a member ended without leaving; this
/// is longer than both.
pub(super) const GROUP_PATIENCE: Duration = Duration::from_secs(30);
/// Between two examinations of a silent group: the reason may change.
pub(super) const PROBE_INTERVAL: Duration = Duration::from_secs(60);

/// The reason why no records come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source::kafka) enum Problem {
    /// The topic does not exist, or may not be described. Over when the cluster's metadata have it.
    Topic,
    /// The topic may be described and not read. Over when a record was read, as the metadata do not show it.
    Read,
    /// Some partitions have no position that is in their logs. Over when records or ends have come of all of them.
    Position,
    /// The group does not accept this member. Over when it assigns its partitions.
    Group,
    /// Some partitions have no leader that can be reached. Over when all leaders have answered.
    Leader,
}

/// For the group's partitions.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    since: Instant,
    next_probe: Instant,
}

impl Waiting {
    fn from(now: Instant) -> Self {
        Self {
            since: now,
            next_probe: now + GROUP_PATIENCE,
        }
    }
}

/// See the module's header.
pub(super) struct Place {
    outage: Outage,
    held_up: Option<(Problem, String)>,
    /// Set while the group has not assigned partitions to this member.
    waiting: Option<Waiting>,
    /// The group has assigned its partitions since this member joined.
    is_taken: bool,
}

impl Place {
    /// `place` names topic and group.
    pub(super) fn of(queue: &str, place: &str) -> Self {
        Self {
            outage: Outage::of_queue(queue, format!("queue `{queue}`: {place}")),
            held_up: None,
            waiting: None,
            is_taken: false,
        }
    }

    pub(super) fn is_well(&self) -> bool {
        self.held_up.is_none() && self.waiting.is_none()
    }

    pub(super) fn held_up(&self) -> Option<Problem> {
        self.held_up.as_ref().map(|(problem, _)| *problem)
    }

    /// Returns the pause before the next attempt.
    pub(super) fn hold_up(&mut self, problem: Problem, why: &str) -> Duration {
        self.held_up = Some((problem, why.to_owned()));
        self.outage.failed(why)
    }

    /// The problem persists, as far as is known: an outage that lasts is logged again from time to time.
    pub(super) fn remind(&mut self) {
        if let Some((_, why)) = &self.held_up {
            let _ = self.outage.failed(why);
        }
    }

    /// Ends the present problem, if it is one of these.
    pub(super) fn well(&mut self, of: impl Fn(Problem) -> bool) {
        if self.held_up().is_some_and(of) {
            self.held_up = None;
            self.outage.passed();
        }
    }

    /// Why no records come although there may be some. A group that has accepted this member may assign its partitions anew,
    /// and has [`GROUP_PATIENCE`] for it: each deployment causes that for all members, and they stay ready.
    pub(super) fn hindrance(&self) -> Option<String> {
        let is_new_share = match (self.held_up(), &self.waiting) {
            (None | Some(Problem::Group), Some(waiting)) if self.is_taken => {
                waiting.since.elapsed() < GROUP_PATIENCE
            }
            _ => false,
        };
        if is_new_share {
            return None;
        }
        match (&self.held_up, &self.waiting) {
            (Some((_, why)), _) => Some(why.clone()),
            (None, Some(waiting)) if self.is_taken => Some(format!(
                "the group has given this process no partitions for {} s",
                waiting.since.elapsed().as_secs()
            )),
            (None, _) => {
                (!self.is_taken).then(|| "the group has not taken this process yet".to_owned())
            }
        }
    }

    pub(super) fn waits(&self) -> bool {
        self.waiting.is_some()
    }

    /// The member has joined, and waits for the group's assignment from now on.
    pub(super) fn asks_group(&mut self) {
        self.waiting
            .get_or_insert_with(|| Waiting::from(Instant::now()));
    }

    /// The group could not answer until now: the wait begins anew.
    pub(super) fn asks_group_anew(&mut self) {
        if self.waiting.is_some() {
            self.waiting = Some(Waiting::from(Instant::now()));
        }
    }

    /// The group assigned its partitions.
    pub(super) fn shared_out(&mut self, any_is_ours: bool) {
        self.is_taken = true;
        self.waiting = None;
        // A member without a partition has nothing to read.
        self.well(|problem| match problem {
            Problem::Group => true,
            Problem::Topic => any_is_ours,
            Problem::Read => !any_is_ours,
            Problem::Leader | Problem::Position => false,
        });
    }

    /// Whether the cluster is to be queried why the group is silent: it has been silent for long enough, and no known problem
    /// explains it.
    pub(super) fn must_probe(&mut self, now: Instant) -> bool {
        let is_explained = matches!(
            self.held_up(),
            Some(Problem::Topic | Problem::Read | Problem::Position)
        );
        match &mut self.waiting {
            Some(waiting) if now >= waiting.next_probe && !is_explained => {
                waiting.next_probe = now + PROBE_INTERVAL;
                true
            }
            _ => false,
        }
    }

    /// Takes the result of the probe.
    pub(super) fn probed(&mut self, found: Result<Reached, Lack>) {
        let Some(Waiting { since, .. }) = self.waiting else {
            return;
        };
        let why = match found {
            // Logged already, by the outage of all brokers.
            Err(Lack::Brokers { .. }) => return,
            Err(lack) => lack.to_string(),
            Ok(Reached {
                group: GroupState::Rebalancing { members },
                ..
            }) => format!(
                "the group shares out its partitions and waits for one of its {members} members; a member that hangs is left out after its `max.poll.interval.ms` (5 minutes by default), or when it is restarted"
            ),
            Ok(_) => "brokers, topic, coordinator and rights are as they should be; the brokers' logs may show why the group does not admit this member".to_owned(),
        };
        // An error that librdkafka reported is more specific.
        if self.held_up() != Some(Problem::Group) {
            let silent = since.elapsed().as_secs();
            let why = format!("the group has given us no partitions for {silent} s: {why}");
            // It has lasted since the member joined, not since the silence was noticed.
            let _ = self.outage.failed_after(since.elapsed(), &why);
            self.held_up = Some((Problem::Group, why));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits_for(place: &mut Place, so_long: Duration) {
        place.asks_group();
        let since = Instant::now().checked_sub(so_long).unwrap();
        place.waiting = Some(Waiting::from(since));
    }

    #[test]
    fn a_group_that_has_not_taken_us_hinders_at_once() {
        let mut place = Place::of("q", "p");
        assert!(place.hindrance().is_some());
        place.asks_group();
        assert!(place.hindrance().is_some());
        place.shared_out(true);
        assert_eq!(place.hindrance(), None);
    }

    #[test]
    fn a_short_rebalance_hinders_nobody_and_a_long_one_does() {
        let mut place = Place::of("q", "p");
        place.shared_out(true);
        waits_for(&mut place, GROUP_PATIENCE / 2);
        assert_eq!(place.hindrance(), None);
        let _ = place.hold_up(Problem::Group, "something that passes");
        assert_eq!(place.hindrance(), None);
        let _ = place.hold_up(Problem::Topic, "it is gone");
        assert!(
            place.hindrance().is_some(),
            "that has nothing to do with it"
        );
        place.well(|problem| problem == Problem::Topic);
        waits_for(&mut place, GROUP_PATIENCE);
        let why = place.hindrance().unwrap();
        assert!(why.contains("no partitions for 30 s"), "{why}");
        let _ = place.hold_up(Problem::Group, "no right");
        assert_eq!(place.hindrance().as_deref(), Some("no right"));
        place.shared_out(false);
        assert_eq!(place.hindrance(), None);
    }
}
