//! Polls for tasks that are due soon, and claims them.

use std::ops::RangeInclusive;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::budget::{self, Budget, Flow};
use super::due_queue::Claim;
use super::{Ctx, Scheduler};
use crate::clock::{millis, now_ms};
use crate::db::Db;
use crate::store::rows::ClaimedTask;
use crate::store::write::ClaimTasks;
use crate::store::{DbError, Most};

/// How often rows are polled. Rows of other programs are seen within one interval; `POLL_AHEAD` leaves a slow claim
/// eight intervals before its rows are due.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Polls keep away from whole seconds, at which most tasks of other programs are due: the database and the processors
/// are for those tasks then. Each actor draws its own offset, so that many daemons do not poll at the same moment.
const AFTER_THE_SECOND_MS: RangeInclusive<i64> = 75..=175;
pub(super) const POLL_AHEAD: Duration = Duration::from_secs(2);
/// How far usual polls go back: the bound keeps them off the index entries of rows long finished, which an old snapshot
/// may hold in the database. Once a second one poll goes back without a bound.
const POLL_BACK_S: i64 = 60;
const UNBOUNDED_INTERVAL: Duration = Duration::from_secs(1);
/// This part of a capacity is worth a poll: with the default, a poll of 62 overdue rows or 125 that are on time.
const AT_ONCE_SHARE: u32 = 16;
/// Bytes of one claim at most: other programs may insert rows of any size.
const CLAIM_BYTES: u32 = 16 << 20;

impl Scheduler {
    pub(super) fn begin_polling(ctx: &mut Ctx) {
        Self::poll_each_interval(fastrand::i64(AFTER_THE_SECOND_MS), ctx);
    }

    fn poll_each_interval(after_the_second_ms: i64, ctx: &mut Ctx) {
        let wait = until_the_next_poll(now_ms(), after_the_second_ms);
        Self::later(ctx, wait, move |scheduler, ctx| {
            scheduler.poll(ctx);
            Self::poll_each_interval(after_the_second_ms, ctx);
        });
    }

    /// Releases what is claimed and has not started, at once when the queue is paused: it is due when the queue is resumed,
    /// wherever there is capacity then.
    pub(super) fn watch_pauses(mut pauses: watch::Receiver<bool>, ctx: &mut Ctx) {
        let change = async move {
            pauses.changed().await.ok()?;
            let is_paused = *pauses.borrow_and_update();
            Some((is_paused, pauses))
        };
        Self::spawn(ctx, change, |scheduler, change, ctx| {
            let Some((is_paused, pauses)) = change else {
                return;
            };
            match is_paused {
                true => scheduler.release_waiting(ctx),
                false => scheduler.poll(ctx),
            }
            Self::watch_pauses(pauses, ctx);
        });
    }

    /// All that is to be done four times a second.
    pub(super) fn poll(&mut self, ctx: &mut Ctx) {
        self.check_clock(ctx);
        // The end of a task that an earlier actor started does not reach this one.
        self.start_due_or_release(ctx);
        self.release_long_waiting(ctx);
        self.poll_ahead(ctx);
    }

    /// Claims what is due soon, as far as there is capacity.
    pub(in crate::delay_queue) fn poll_ahead(&mut self, ctx: &mut Ctx) {
        if self.polling || !self.ready || self.rests() {
            return;
        }
        let budget = self.budget();
        if budget == Budget::NOTHING {
            return;
        }
        self.flow = Flow::Stands;
        self.polling = true;
        let unbounded = self.is_unbounded(Instant::now());
        // Read before the claim: if this boot is judged dead in between, the claim is not trusted.
        let generation = self.config.liveness.generation();
        let owner = self.config.owner.clone();
        let claims = claim(self.db.clone(), owner, budget, unbounded);
        Self::spawn(ctx, claims, move |scheduler, claimed, ctx| {
            scheduler.claimed(claimed, generation, unbounded, ctx);
        });
    }

    /// Whether the poll that begins now goes back without a bound.
    fn is_unbounded(&mut self, now: Instant) -> bool {
        let is_time = |last| now - last >= UNBOUNDED_INTERVAL;
        let unbounded = self.last_unbounded.is_none_or(is_time) || self.more_long_overdue;
        if unbounded {
            self.last_unbounded = Some(now);
        }
        unbounded
    }

    fn claimed(
        &mut self,
        claimed: Result<Claimed, DbError>,
        generation: u64,
        unbounded: bool,
        ctx: &mut Ctx,
    ) {
        self.polling = false;
        let claimed = match claimed {
            Ok(claimed) => claimed,
            Err(cause) => {
                // Nothing is claimed during the pause. What the lost answer named is released after it.
                self.ready = false;
                let pause = self.outage.failed(cause);
                Self::later(ctx, pause, Self::release_orphans);
                return;
            }
        };
        self.outage.passed();
        self.more_on_time = claimed.more_on_time;
        self.more_overdue = claimed.more_overdue;
        self.more_long_overdue = claimed.more_overdue && unbounded;
        let claimed_ms = now_ms();
        for (task, overdue) in claimed.tasks {
            self.due_queue.add(Claim {
                task,
                generation,
                overdue,
                claimed_ms,
            });
        }
        self.start_due_or_release(ctx);
        self.release_orphans_that_waited(ctx);
    }

    /// Ends are durable: there is capacity again.
    pub(in crate::delay_queue) fn settled(&mut self, flow: Flow, ctx: &mut Ctx) {
        if flow == Flow::Moves {
            self.flow = Flow::Moves;
        }
        self.start_due_or_release(ctx);
        if self.more_waits() {
            self.poll_ahead(ctx);
        }
    }

    /// Whether to poll at once: the last poll found all that it requested, and much of that capacity is free again. What
    /// a downtime left is worked off as fast as it goes, and a second with more rows than there is capacity for ahead of
    /// it is claimed while it begins.
    fn more_waits(&self) -> bool {
        let budget = self.budget();
        let concurrency = self.config.concurrency;
        let on_time_share = budget::ahead(concurrency) / AT_ONCE_SHARE;
        let overdue_share = concurrency / AT_ONCE_SHARE;
        self.more_on_time && budget.on_time > on_time_share
            || self.more_overdue && budget.overdue > overdue_share
    }
}

fn until_the_next_poll(now_ms: i64, after_the_second_ms: i64) -> Duration {
    let interval = millis(POLL_INTERVAL);
    let into = (now_ms - after_the_second_ms).rem_euclid(interval);
    Duration::from_millis((interval - into).unsigned_abs())
}

/// Tasks and whether each was overdue.
struct Claimed {
    tasks: Vec<(ClaimedTask, bool)>,
    more_on_time: bool,
    more_overdue: bool,
}

/// Claims those that are due from this second on first: they must not wait for what is late anyway. Each kind has a budget
/// of its own.
async fn claim(db: Db, owner: String, budget: Budget, unbounded: bool) -> Result<Claimed, DbError> {
    let now_s = now_ms().div_euclid(1000);
    let until_s = now_s + i64::try_from(POLL_AHEAD.as_secs()).unwrap_or(0);
    let since_s = (!unbounded).then_some(now_s - POLL_BACK_S);
    let claim = async |from_s, until_s, count| {
        let bytes = CLAIM_BYTES;
        let claimed = match count {
            0 => Vec::new(),
            _ => {
                let claim = ClaimTasks {
                    owner: owner.clone(),
                    from_s,
                    until_s,
                    most: Most { count, bytes },
                };
                db.write(claim).await?.tasks
            }
        };
        let full =
            count > 0 && (u32::try_from(claimed.len()) == Ok(count) || is_half_of(bytes, &claimed));
        Ok::<_, DbError>((claimed, full))
    };
    let (on_time, more_on_time) = claim(Some(now_s), until_s, budget.on_time).await?;
    let (overdue, more_overdue) = claim(since_s, now_s - 1, budget.overdue).await?;
    let on_time = on_time.into_iter().map(|task| (task, false));
    let overdue = overdue.into_iter().map(|task| (task, true));
    Ok(Claimed {
        tasks: on_time.chain(overdue).collect(),
        more_on_time,
        more_overdue,
    })
}

/// The claim may have ended at its bytes and not at its rows.
fn is_half_of(bytes: u32, claimed: &[ClaimedTask]) -> bool {
    let claimed: usize = claimed.iter().map(|task| task.params.len()).sum();
    claimed > usize::try_from(bytes / 2).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_keep_away_from_whole_seconds() {
        let cases = [
            (0, 125),
            (124, 1),
            (125, 250),
            (126, 249),
            (874, 1),
            (999, 126),
            (-1, 126),
        ];
        for (now, wait) in cases {
            assert_eq!(
                until_the_next_poll(5000 + now, 125),
                Duration::from_millis(wait),
                "{now}"
            );
        }
    }
}
