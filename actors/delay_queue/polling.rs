//! Polling ahead: claims tasks that are due soon, and starts each at its time.

use std::ops::RangeInclusive;
use std::time::Duration;

use actix::prelude::*;
use futures_util::stream::unfold;
use tokio::sync::watch;
use tokio::time::Instant;

use super::budget::{Budget, Flow};
use super::due_queue::Claim;
use super::engine::{Engine, settler};
use super::{DelayQueueActor, PollAhead, Storage};
use crate::clock::{millis, now_ms, until};
use crate::db::Db;
use crate::outage::Outage;
use crate::settler::Refusal;
use crate::sleep::sleep;
use crate::store::rows::ClaimedTask;
use crate::store::write::{ClaimTasks, ReleaseTasks};
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
/// Tasks that are handed to the workers at once: the first of them begin while the next are handed over.
const AT_ONCE: usize = 64;
/// The longest that a claimed task waits for room; then it is released: other daemons may have room. As long as a claim is
/// ahead of its time at most.
const LONGEST_WAIT: Duration = POLL_AHEAD;
/// Bytes of one claim at most: other programs may insert rows of any size.
const CLAIM_BYTES: u32 = 16 << 20;
/// A longer sleep would miss a jump of the clock.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

impl DelayQueueActor {
    /// Begins to poll, after the claims of an earlier DelayQueueActor of this boot have been released.
    pub(super) fn begin(&mut self, ctx: &mut Context<Self>) {
        let (Some(engine), Storage::Database(db)) = (&mut self.engine, &self.storage) else {
            return;
        };
        engine.settler = Some(settler(db, &engine.config, ctx.address().downgrade()));
        let pauses = engine.config.paused.listen();
        self.release_orphans(ctx);
        Self::look_again(fastrand::i64(AFTER_THE_SECOND_MS), ctx);
        self.rest_when_paused(pauses, ctx);
    }

    /// What is claimed and has not started goes back at once: it is due when the queue is resumed, wherever there is room
    /// then.
    fn rest_when_paused(&self, pauses: watch::Receiver<bool>, ctx: &mut Context<Self>) {
        let changes = unfold(pauses, |mut pauses| async move {
            pauses.changed().await.is_ok().then(|| {
                let is_on = *pauses.borrow_and_update();
                (is_on, pauses)
            })
        });
        let seen = changes
            .into_actor(self)
            .map(|is_on, actor: &mut Self, ctx| match is_on {
                true => actor.give_back_waiting(ctx),
                false => ctx.notify(PollAhead),
            });
        ctx.spawn(seen.finish());
    }

    fn look_again(after_the_second_ms: i64, ctx: &mut Context<Self>) {
        let wait = until_the_next_poll(now_ms(), after_the_second_ms);
        ctx.run_later(wait, move |_, ctx| {
            ctx.notify(PollAhead);
            Self::look_again(after_the_second_ms, ctx);
        });
    }

    /// Releases orphaned claims, rows that this boot owns and this actor does not know: those of an earlier
    /// DelayQueueActor, and those of a claim or a push whose answer was lost. Nothing is claimed meanwhile.
    pub(super) fn release_orphans(&mut self, ctx: &mut Context<Self>) {
        let (Some(engine), Storage::Database(db)) = (&mut self.engine, &self.storage) else {
            return;
        };
        engine.ready = false;
        // The ids of tasks that are being pushed or claimed are not known yet: they would be given back, and run all the
        // same.
        engine.orphans = engine.reserved > 0 || engine.polling;
        if engine.orphans {
            return;
        }
        let mut keep = engine.config.running.claims();
        keep.extend(engine.due_queue.claims());
        let (db, owner) = (db.clone(), engine.config.owner.clone());
        let release = ReleaseTasks { owner, keep };
        let give_back = async move {
            let mut outage = Outage::new("the delay queue");
            while let Err(cause) = db.write(release.clone()).await {
                if cause.is_refusal() {
                    log::error!(
                        "delayed tasks of this daemon that nobody runs stay as they are: {cause}"
                    );
                    break;
                }
                tokio::time::sleep(outage.failed(cause)).await;
            }
        };
        ctx.spawn(give_back.into_actor(self).map(|(), actor, ctx| {
            if let Some(engine) = &mut actor.engine {
                engine.ready = true;
            }
            ctx.notify(PollAhead);
        }));
    }

    pub(super) fn poll_ahead(&mut self, ctx: &mut Context<Self>) {
        let (Some(engine), Storage::Database(db)) = (&mut self.engine, &self.storage) else {
            return;
        };
        if engine.polling || !engine.ready || engine.rests() {
            return;
        }
        let budget = engine.budget();
        if budget == Budget::NOTHING {
            return;
        }
        engine.flow = Flow::Stands;
        engine.polling = true;
        let now = Instant::now();
        let unbounded = engine
            .last_unbounded
            .is_none_or(|last| now - last >= UNBOUNDED_INTERVAL)
            || engine.more_long_overdue;
        if unbounded {
            engine.last_unbounded = Some(now);
        }
        // Read before the claim: if this boot is judged dead in between, the claim is not trusted.
        let generation = engine.config.liveness.generation();
        let owner = engine.config.owner.clone();
        let claims = claim(db.clone(), owner, budget, unbounded);
        ctx.spawn(claims.into_actor(self).map(move |claimed, actor, ctx| {
            actor.claimed(claimed, generation, unbounded, ctx);
        }));
    }

    fn claimed(
        &mut self,
        claimed: Result<Claimed, DbError>,
        generation: u64,
        unbounded: bool,
        ctx: &mut Context<Self>,
    ) {
        let Some(engine) = &mut self.engine else {
            return;
        };
        engine.polling = false;
        match claimed {
            Err(cause) => {
                // Nothing is claimed during the pause.
                engine.ready = false;
                let pause = engine.outage.failed(cause);
                ctx.run_later(pause, |actor, ctx| actor.release_orphans(ctx));
                return;
            }
            Ok(claimed) => {
                engine.outage.passed();
                engine.more_on_time = claimed.more_on_time;
                engine.more_overdue = claimed.more_overdue;
                engine.more_long_overdue = claimed.more_overdue && unbounded;
                let claimed_ms = now_ms();
                for (task, overdue) in claimed.tasks {
                    engine.due_queue.add(Claim {
                        task,
                        generation,
                        overdue,
                        claimed_ms,
                    });
                }
            }
        }
        let orphans_wait = engine.orphans;
        if engine.rests() {
            self.give_back_waiting(ctx);
        } else {
            self.start_due(ctx);
        }
        // The release waited for this poll, whose claims are known now.
        if orphans_wait {
            self.release_orphans(ctx);
        }
    }

    /// Ends are durable: there is room again.
    pub(super) fn settled(&mut self, flow: Flow, ctx: &mut Context<Self>) {
        if let (Some(engine), Flow::Moves) = (&mut self.engine, flow) {
            engine.flow = Flow::Moves;
        }
        self.start_due(ctx);
        if self.engine.as_ref().is_some_and(Engine::more_waits) {
            self.poll_ahead(ctx);
        }
    }

    /// Claimed tasks wait for room behind tasks that take long: others may have room for them.
    pub(super) fn release_long_waiting(&mut self, ctx: &mut Context<Self>) {
        let Some(engine) = &mut self.engine else {
            return;
        };
        let waiting = engine
            .due_queue
            .take_ready_before(now_ms() - millis(LONGEST_WAIT));
        if !waiting.is_empty() {
            log::debug!(
                "{} delayed tasks found no room in time and are released",
                waiting.len()
            );
            self.release(waiting, ctx);
        }
    }

    /// Starts every task whose time has come, and sleeps until the next one's.
    pub(super) fn start_due(&mut self, ctx: &mut Context<Self>) {
        let Some(engine) = &mut self.engine else {
            return;
        };
        let now = now_ms();
        // Looks and pushes at the same time may together claim more than there is room for: the rest waits here.
        let running = engine.config.running.len();
        let room = engine.config.concurrency.saturating_sub(running);
        let mut room = usize::try_from(room).unwrap_or(usize::MAX);
        loop {
            let due = std::iter::from_fn(|| engine.due_queue.take_due(now));
            let portion: Vec<Claim> = due.take(room.min(AT_ONCE)).collect();
            if portion.is_empty() {
                break;
            }
            room -= portion.len();
            engine.start(portion);
        }
        let Some(due) = engine.due_queue.next_due_ms() else {
            return;
        };
        if due <= now {
            // The end of a task makes room.
            return;
        }
        if let Some((at, timer)) = engine.timer.take() {
            if at == due {
                engine.timer = Some((at, timer));
                return;
            }
            ctx.cancel_future(timer);
        }
        let time = sleep(until(due).min(LONGEST_SLEEP)).into_actor(self);
        let timer = ctx.spawn(time.map(|(), actor, ctx| {
            if let Some(engine) = &mut actor.engine {
                engine.timer = None;
            }
            actor.start_due(ctx);
        }));
        if let Some(engine) = &mut self.engine {
            engine.timer = Some((due, timer));
        }
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

/// Those that are due from this second on first: they must not wait for what is late anyway. Each kind has a budget of its
/// own.
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
