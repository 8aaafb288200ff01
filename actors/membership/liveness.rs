//! Whether this boot still holds what it claimed: what its heartbeats say.
//!
//! Others judge a boot dead after three missed heartbeats and take its rows. So nothing that was claimed may *start*
//! once the last confirmed heartbeat is two intervals old: the third interval is the margin between the two. A boot
//! that finds out that it was judged dead (it was stopped or cut off for longer) begins a new generation: what was
//! claimed before and has not started is not its own any more.
//!
//! The age of a heartbeat is measured by a clock that goes on while the machine sleeps. A machine that a hypervisor stopped
//! has no such clock; there the wall clock is set right afterwards. So where the two clocks have moved apart since the last
//! heartbeat, its age is not known, and nothing starts before the next one is confirmed.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Moment;
use crate::stop::StopListener;

/// Claims start only while the last confirmed heartbeat is younger than this many intervals.
const FRESH_INTERVALS: u32 = 2;
/// Others are judged only after heartbeats of our own have held for this many intervals.
const STEADY_INTERVALS: u32 = 3;

/// The two clocks may be apart by this share of an interval before the age of a heartbeat counts as not known. What is
/// missed by it comes on top of two intervals, and must stay below the third.
const CLOCKS_APART_SHARE: u32 = 2;

/// What a boot knows of something it claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// It may start.
    Held,
    /// The heartbeats are late: others may have taken over, or not.
    Uncertain,
    /// Others have taken over.
    Lost,
    /// One before it runs again, and it after that.
    Blocked,
}

/// Between two checks of the ownership, while the heartbeats are late.
const UNSURE_PAUSE: Duration = Duration::from_millis(100);

/// Whether what was claimed may start. What others took over is theirs; while that is not known (the heartbeats are
/// late), it waits, until a stop begins.
pub(crate) async fn may_start(ownership: impl Fn() -> Ownership, stop: &StopListener) -> bool {
    loop {
        match ownership() {
            Ownership::Held => return true,
            Ownership::Uncertain if !stop.begun() => tokio::time::sleep(UNSURE_PAUSE).await,
            Ownership::Uncertain | Ownership::Lost | Ownership::Blocked => return false,
        }
    }
}

/// Shared by DbActor, which confirms, and all that start claimed work.
#[derive(Debug)]
pub(crate) struct Liveness {
    origin: Moment,
    interval: Duration,
    /// Milliseconds since `origin`: when the last confirmed heartbeat was sent.
    confirmed: AtomicU64,
    /// How far the wall clock was ahead at that moment ([`Moment::wall_ahead_ms`]).
    wall_ahead_ms: AtomicI64,
    /// Milliseconds since `origin`: since when no heartbeat came late.
    steady_since: AtomicU64,
    generation: AtomicU64,
    /// How often the clock that heartbeats are written by was seen to be set back.
    set_backs: AtomicU64,
    /// Why this boot can hold nothing any more.
    ended: OnceLock<String>,
}

impl Liveness {
    /// Alive from now on: the boot's row has just been written.
    pub(crate) fn new(interval: Duration) -> Self {
        let origin = Moment::now();
        Self {
            origin,
            interval,
            confirmed: AtomicU64::new(0),
            wall_ahead_ms: AtomicI64::new(origin.wall_ahead_ms()),
            steady_since: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            set_backs: AtomicU64::new(0),
            ended: OnceLock::new(),
        }
    }

    pub(crate) fn interval(&self) -> Duration {
        self.interval
    }

    /// A heartbeat sent at this moment is in the database, as was answered at that one. What counts is the moment of
    /// sending: it arrived no earlier. But one whose answer came late stood still with the database, and others' with it:
    /// they have up to one interval more on the way than ours.
    pub(crate) fn confirm(&self, sent: Moment, answered: Moment) {
        let wall_ahead_ms = sent.wall_ahead_ms();
        let (sent, answered) = (self.since_origin(sent), self.since_origin(answered));
        let before = self.confirmed.swap(sent, Ordering::AcqRel);
        self.wall_ahead_ms.store(wall_ahead_ms, Ordering::Release);
        if answered.saturating_sub(before) > ms(self.interval * FRESH_INTERVALS) {
            self.steady_since.store(answered, Ordering::Release);
        }
    }

    /// The clock by which others' heartbeats are judged has jumped: theirs seem old until they have come again.
    pub(crate) fn clock_jumped(&self, sent: Moment) {
        self.steady_since
            .store(self.since_origin(sent), Ordering::Release);
    }

    /// It has jumped, and back.
    pub(crate) fn clock_was_set_back(&self) {
        self.set_backs.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn set_backs(&self) -> u64 {
        self.set_backs.load(Ordering::Acquire)
    }

    /// Others had judged this boot dead.
    pub(crate) fn was_dead(&self, sent: Moment) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.wall_ahead_ms
            .store(sent.wall_ahead_ms(), Ordering::Release);
        self.confirmed
            .store(self.since_origin(sent), Ordering::Release);
        self.steady_since
            .store(self.since_origin(sent), Ordering::Release);
    }

    /// Nothing that was claimed starts any more, in any generation. The first reason counts.
    pub(crate) fn end(&self, reason: String) {
        let _ = self.ended.set(reason);
    }

    /// Why this boot can hold nothing any more; None while it can.
    pub(crate) fn ended(&self) -> Option<&str> {
        self.ended.get().map(String::as_str)
    }

    /// To be kept with each claim.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether something claimed in this generation may start now.
    pub(crate) fn ownership(&self, generation: u64) -> Ownership {
        self.ownership_at(generation, Moment::now())
    }

    fn ownership_at(&self, generation: u64, now: Moment) -> Ownership {
        if generation != self.generation() || self.ended().is_some() {
            Ownership::Lost
        } else if self.fresh_at(now) {
            Ownership::Held
        } else {
            Ownership::Uncertain
        }
    }

    /// Whether the last confirmed heartbeat is young enough for claims to start.
    pub(crate) fn is_fresh(&self) -> bool {
        self.fresh_at(Moment::now())
    }

    fn fresh_at(&self, now: Moment) -> bool {
        let before = self.wall_ahead_ms.load(Ordering::Acquire);
        let apart = now.wall_ahead_ms().abs_diff(before);
        if apart >= ms(self.interval / CLOCKS_APART_SHARE) {
            return false;
        }
        let age = self
            .since_origin(now)
            .saturating_sub(self.confirmed.load(Ordering::Acquire));
        age < ms(self.interval * FRESH_INTERVALS)
    }

    /// Whether others may be judged: after an outage, theirs may have failed for the same reason as ours.
    pub(crate) fn may_judge(&self) -> bool {
        self.may_judge_at(Moment::now())
    }

    fn may_judge_at(&self, now: Moment) -> bool {
        let steady = self
            .since_origin(now)
            .saturating_sub(self.steady_since.load(Ordering::Acquire));
        self.fresh_at(now) && steady >= ms(self.interval * STEADY_INTERVALS)
    }

    fn since_origin(&self, at: Moment) -> u64 {
        ms(at.since(self.origin))
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::jumps;

    const INTERVAL: Duration = Duration::from_secs(5);

    fn at(liveness: &Liveness, seconds: u64) -> Moment {
        liveness.origin + Duration::from_secs(seconds)
    }

    #[test]
    fn nothing_starts_once_the_heartbeat_is_two_intervals_old() {
        let liveness = Liveness::new(INTERVAL);
        assert_eq!(liveness.ownership_at(0, at(&liveness, 9)), Ownership::Held);
        assert_eq!(
            liveness.ownership_at(0, at(&liveness, 10)),
            Ownership::Uncertain
        );
        liveness.confirm(at(&liveness, 12), at(&liveness, 12));
        assert_eq!(liveness.ownership_at(0, at(&liveness, 21)), Ownership::Held);
    }

    #[test]
    fn claims_of_before_a_judged_death_never_start() {
        let liveness = Liveness::new(INTERVAL);
        liveness.was_dead(at(&liveness, 60));
        assert_eq!(liveness.ownership_at(0, at(&liveness, 61)), Ownership::Lost);
        assert_eq!(liveness.ownership_at(1, at(&liveness, 61)), Ownership::Held);
    }

    #[test]
    fn nothing_starts_after_a_sleep_before_the_next_heartbeat() {
        let liveness = Liveness::new(INTERVAL);
        assert_eq!(liveness.ownership(0), Ownership::Held);
        jumps::sleep(60);
        assert_eq!(liveness.ownership(0), Ownership::Uncertain);
        assert!(!liveness.may_judge());
        liveness.confirm(Moment::now(), Moment::now());
        assert_eq!(liveness.ownership(0), Ownership::Held);
    }

    #[test]
    fn nothing_starts_while_the_clocks_disagree() {
        let liveness = Liveness::new(INTERVAL);
        for seconds in [60, -60, 3, -3] {
            jumps::jump(seconds);
            assert_eq!(liveness.ownership(0), Ownership::Uncertain, "{seconds}");
            liveness.confirm(Moment::now(), Moment::now());
            assert_eq!(liveness.ownership(0), Ownership::Held, "{seconds}");
        }
        jumps::jump(1);
        assert_eq!(liveness.ownership(0), Ownership::Held, "a usual correction");
    }

    #[test]
    fn nobody_judges_before_its_own_heartbeats_hold() {
        let liveness = Liveness::new(INTERVAL);
        for second in [5, 10] {
            liveness.confirm(at(&liveness, second), at(&liveness, second));
        }
        assert!(!liveness.may_judge_at(at(&liveness, 14)));
        assert!(liveness.may_judge_at(at(&liveness, 15)));
        // An outage: the next heartbeat comes 40 s later.
        liveness.confirm(at(&liveness, 50), at(&liveness, 50));
        assert!(!liveness.may_judge_at(at(&liveness, 51)));
        for second in [55, 60, 65] {
            liveness.confirm(at(&liveness, second), at(&liveness, second));
        }
        assert!(liveness.may_judge_at(at(&liveness, 65)));
        // The database stood still for 8 s after this one was sent.
        liveness.confirm(at(&liveness, 70), at(&liveness, 78));
        assert!(!liveness.may_judge_at(at(&liveness, 78)));
    }
}
