//! Taking new tasks.

use actix::prelude::*;
use parking_lot::Mutex;

use super::due_queue::Claim;
use super::polling::POLL_AHEAD;
use super::push::{self, PushError, PushItem};
use super::{DelayQueueActor, Storage};
use crate::clock::{millis, now_ms};
use crate::db::Db;
use crate::store::idempotency::{Keyed, KeyedInsert, KeyedRow, KeyedRows};
use crate::store::rows::{ClaimedTask, FIRST_FENCE, NewTask};
use crate::store::write::{InsertKeyed, InsertTasks};

/// What a push is answered, when it is.
pub(super) type Pushing = ResponseActFuture<DelayQueueActor, Result<Vec<i64>, PushError>>;

impl DelayQueueActor {
    /// Checks the items, inserts them, and answers after that is durable.
    pub(super) fn take(&mut self, items: Vec<PushItem>) -> Pushing {
        let db = match &self.storage {
            Storage::Database(db) => db.clone(),
            Storage::Test(pushed) => {
                return Box::pin(actix::fut::ready(push_for_test(pushed, items)));
            }
        };
        let (rows, generation) = match self.rows(&items) {
            Ok(rows) => rows,
            Err(refused) => return Box::pin(actix::fut::ready(Err(refused))),
        };
        if rows.is_empty() {
            return Box::pin(actix::fut::ready(Ok(Vec::new())));
        }
        let engine = self.engine.as_ref();
        let owner = engine.map_or_else(String::new, |engine| engine.config.owner.clone());
        let reserved = claimed_in(&rows);
        let insert = insert(db, items, rows, owner).into_actor(self);
        Box::pin(insert.map(move |inserted, actor, ctx| {
            if let Some(engine) = &mut actor.engine {
                engine.reserved -= reserved;
                // Whether its rows were inserted is not known then.
                let in_doubt = matches!(inserted, Err(PushError::Database(_)));
                engine.orphans |= in_doubt && reserved > 0;
            }
            let answer = inserted.map(|(rows, inserted)| {
                actor.pushed(rows, &inserted, generation, ctx);
                inserted.into_iter().map(|row| row.id).collect()
            });
            if actor.engine.as_ref().is_some_and(|engine| engine.orphans) {
                actor.release_orphans(ctx);
            }
            answer
        }))
    }

    fn rows(&mut self, items: &[PushItem]) -> Result<(Vec<NewTask>, u64), PushError> {
        let now = now_ms();
        let mut rows = push::rows(items, &self.known, now)?;
        let Some(engine) = &mut self.engine else {
            return Ok((rows, 0));
        };
        // A task that is due before the next polls can see it is inserted already claimed, as far as there is capacity.
        if engine.ready && !engine.rests() {
            let mut budget = engine.budget();
            let soon = now + millis(POLL_AHEAD);
            for row in rows.iter_mut().filter(|row| row.due_ms <= soon) {
                let starts_now = row.due_ms <= now;
                if budget.on_time == 0 || starts_now && budget.now == 0 {
                    continue;
                }
                budget.on_time -= 1;
                budget.now -= u32::from(starts_now);
                row.claimed = true;
            }
            engine.reserved += claimed_in(&rows);
        }
        Ok((rows, engine.config.liveness.generation()))
    }

    fn pushed(
        &mut self,
        rows: Vec<NewTask>,
        inserted: &[KeyedRow],
        generation: u64,
        ctx: &mut Context<Self>,
    ) {
        let Some(engine) = &mut self.engine else {
            return;
        };
        let ours = |(row, inserted): &(NewTask, &KeyedRow)| row.claimed && inserted.is_new;
        for (row, inserted) in rows.into_iter().zip(inserted).filter(ours) {
            let task = ClaimedTask {
                id: inserted.id,
                name: row.name,
                exec_cmd: row.exec_cmd,
                params: row.params,
                due_ms: row.due_ms,
                attempts: 0,
                fence: FIRST_FENCE,
                suspect: false,
                trace: row.trace,
            };
            engine.due_queue.add(Claim {
                task,
                generation,
                overdue: false,
                claimed_ms: now_ms(),
            });
        }
        if engine.rests() {
            self.give_back_waiting(ctx);
        } else {
            self.start_due(ctx);
        }
    }
}

/// Durable when answered. Rows whose idempotency key has one already are that one.
async fn insert(
    db: Db,
    items: Vec<PushItem>,
    rows: Vec<NewTask>,
    owner: String,
) -> Result<(Vec<NewTask>, Vec<KeyedRow>), PushError> {
    if items.iter().all(|item| item.idempotency_key.is_none()) {
        let insert = InsertTasks {
            rows: rows.clone(),
            owner,
        };
        let ids = db.write(insert).await?;
        let new = |id| KeyedRow { id, is_new: true };
        return Ok((rows, ids.into_iter().map(new).collect()));
    }
    let insert = KeyedInsert {
        keys: items.iter().map(push::key_of).collect(),
        rows: KeyedRows::Tasks {
            rows: rows.clone(),
            owner,
        },
    };
    match db.write(InsertKeyed(insert)).await? {
        Keyed::Rows(inserted) => Ok((rows, inserted)),
        Keyed::Differs(difference) => {
            let index = difference.at;
            let key = items[index].idempotency_key.as_deref().unwrap_or_default();
            Err(PushError::Key {
                index,
                name: items[index].name.clone(),
                reason: difference.describe(key),
            })
        }
    }
}

fn claimed_in(rows: &[NewTask]) -> u32 {
    let claimed = rows.iter().filter(|row| row.claimed).count();
    u32::try_from(claimed).unwrap_or(u32::MAX)
}

/// Checked as in the daemon, but for the names of handlers, which a test does not register.
fn push_for_test(
    pushed: &Mutex<Vec<PushItem>>,
    items: Vec<PushItem>,
) -> Result<Vec<i64>, PushError> {
    let named = items.iter().map(|item| item.exec_cmd.clone()).collect();
    push::rows(&items, &named, now_ms())?;
    let mut pushed = pushed.lock();
    let id_at = |index: usize| i64::try_from(index + 1).unwrap_or(i64::MAX);
    let with_key = |pushed: &[PushItem], key: &String| {
        let has_key = |item: &PushItem| item.idempotency_key.as_ref() == Some(key);
        pushed.iter().position(has_key)
    };
    for (index, item) in items.iter().enumerate() {
        let Some(key) = &item.idempotency_key else {
            continue;
        };
        if with_key(&pushed, key).is_some_and(|before| pushed[before] != *item) {
            return Err(PushError::Key {
                index,
                name: item.name.clone(),
                reason: format!("the idempotency key `{key}` named another push before"),
            });
        }
    }
    let mut ids = Vec::with_capacity(items.len());
    for item in items {
        let before = item.idempotency_key.as_ref();
        let before = before.and_then(|key| with_key(&pushed, key));
        ids.push(id_at(before.unwrap_or(pushed.len())));
        if before.is_none() {
            pushed.push(item);
        }
    }
    Ok(ids)
}
