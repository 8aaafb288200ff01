//! Pushes in a daemon: a task that is due before the next polls can see it is inserted already claimed.
//!
//! A push reserves capacity before its rows are inserted, and redeems the reservation when it has ended, well or not.
//! Between the two the ids of its rows are not known, so no orphaned claims are released (`orphans.rs`).

use actix::fut::{ready, wrap_future};
use actix::{ActorFutureExt, ResponseActFuture};

use super::due_queue::Claim;
use super::polling::POLL_AHEAD;
use super::{Ctx, Scheduler};
use crate::clock::{millis, now_ms};
use crate::delay_queue::pusher::{Inserted, ids};
use crate::delay_queue::{DelayQueueActor, PushError, PushItem};
use crate::store::rows::{ClaimedTask, FIRST_FENCE, NewTask};

/// Answers a push.
pub(in crate::delay_queue) type Pushing =
    ResponseActFuture<DelayQueueActor, Result<Vec<i64>, PushError>>;

/// The rows that a push inserts already claimed.
#[must_use = "its capacity is free again when it is redeemed"]
struct Reservation {
    /// Each with its place in the push.
    tasks: Vec<(usize, NewTask)>,
    /// Read before the insert: if this boot is judged dead in between, the claims are not trusted.
    generation: u64,
}

impl Reservation {
    fn len(&self) -> u32 {
        u32::try_from(self.tasks.len()).unwrap_or(u32::MAX)
    }
}

impl Scheduler {
    /// Checks the items, inserts their rows, and answers after that is durable.
    pub(in crate::delay_queue) fn push(&mut self, items: Vec<PushItem>) -> Pushing {
        let now_ms = now_ms();
        let mut rows = match self.pusher.rows(&items, now_ms) {
            Ok(rows) => rows,
            Err(refused) => return Box::pin(ready(Err(refused))),
        };
        let reservation = self.reserve(&mut rows, now_ms);
        let owner = self.config.owner.clone();
        let insert = wrap_future(self.pusher.insert(items, rows, owner));
        Box::pin(insert.map(|inserted, actor: &mut DelayQueueActor, ctx| {
            if let Some(scheduler) = actor.scheduler() {
                scheduler.redeem(reservation, &inserted, ctx);
            }
            inserted.map(ids)
        }))
    }

    /// Marks the rows that are to be inserted claimed, as far as there is capacity, and keeps that capacity.
    fn reserve(&mut self, rows: &mut [NewTask], now_ms: i64) -> Reservation {
        let mut reservation = Reservation {
            tasks: Vec::new(),
            generation: self.config.liveness.generation(),
        };
        if !self.ready || self.rests() {
            return reservation;
        }
        let mut budget = self.budget();
        let soon_ms = now_ms + millis(POLL_AHEAD);
        for (place, row) in rows.iter_mut().enumerate() {
            let starts_now = row.due_ms <= now_ms;
            if row.due_ms > soon_ms || budget.on_time == 0 || starts_now && budget.now == 0 {
                continue;
            }
            budget.on_time -= 1;
            budget.now -= u32::from(starts_now);
            row.claimed = true;
            reservation.tasks.push((place, row.clone()));
        }
        self.reserved += reservation.len();
        reservation
    }

    /// Takes the rows that were inserted claimed. Where the answer was lost it is not known which were: they are orphans.
    fn redeem(&mut self, reservation: Reservation, inserted: &Inserted, ctx: &mut Ctx) {
        let claimed = reservation.len();
        self.reserved -= claimed;
        match inserted {
            Ok(inserted) => {
                let generation = reservation.generation;
                for (place, task) in reservation.tasks {
                    // A row that the key of an earlier push named belongs to that push.
                    if let Some(row) = inserted.get(place).filter(|row| row.is_new) {
                        self.due_queue.add(claim(task, row.id, generation));
                    }
                }
                self.start_due_or_release(ctx);
            }
            Err(PushError::Database(_)) => self.release_orphans_later |= claimed > 0,
            Err(_) => {}
        }
        self.release_orphans_that_waited(ctx);
    }
}

fn claim(task: NewTask, id: i64, generation: u64) -> Claim {
    let task = ClaimedTask {
        id,
        name: task.name,
        exec_cmd: task.exec_cmd,
        params: task.params,
        due_ms: task.due_ms,
        attempts: 0,
        fence: FIRST_FENCE,
        suspect: false,
        trace: task.trace,
    };
    Claim {
        task,
        generation,
        overdue: false,
        claimed_ms: now_ms(),
    }
}
