//! Makes the ends of tasks durable, and notifies the scheduler of the capacity that they free.

use std::sync::Arc;

use actix::WeakAddr;
use tokio::runtime::Handle;

use super::DelayConfig;
use super::budget::Flow;
use crate::db::Db;
use crate::delay_queue::{DelayQueueActor, TasksSettled};
use crate::job::{Disposition, settlements};
use crate::settler::{GATHERING, Refusal, Settler};
use crate::store::DbError;
use crate::store::rows::TaskEnd;
use crate::store::write::EndTasks;

pub(super) fn settler(
    db: &Db,
    config: &Arc<DelayConfig>,
    actor: WeakAddr<DelayQueueActor>,
) -> Settler<TaskEnd> {
    let (db, config) = (db.clone(), Arc::clone(config));
    let home = Handle::current();
    Settler::start(
        &home,
        "settling of delayed tasks".to_owned(),
        GATHERING,
        move |ends| {
            let (db, config, actor) = (db.clone(), Arc::clone(&config), actor.clone());
            async move { settle(&db, &config, &actor, ends).await }
        },
    )
}

/// Writes a batch of ends. Returns the ends whose rows another transaction has locked.
async fn settle(
    db: &Db,
    config: &DelayConfig,
    actor: &WeakAddr<DelayQueueActor>,
    ends: Vec<TaskEnd>,
) -> Result<Vec<TaskEnd>, DbError> {
    let write = EndTasks {
        owner: config.owner.clone(),
        ends: ends.clone(),
    };
    let written = db.write(write).await;
    if let (Err(cause), [end]) = (&written, ends.as_slice())
        && cause.is_refusal()
    {
        cannot_end(config, actor, [end].into_iter());
    }
    let settled = written?;
    if !settled.stale.is_empty() {
        log::warn!(
            "{} results of delayed tasks came too late, others had taken over: {:?}",
            settled.stale.len(),
            settled.stale
        );
    }
    let is_held = |end: &TaskEnd| settled.held.contains(&end.id);
    let (later, ended): (Vec<TaskEnd>, Vec<TaskEnd>) = ends.into_iter().partition(is_held);
    if !later.is_empty() {
        cannot_end(config, actor, later.iter());
    }
    let counted = ended.iter().filter(|end| !settled.stale.contains(&end.id));
    let settled = settlements(counted.map(|end| &end.disposition));
    config.state.settled(settled);
    config
        .running
        .end(ended.iter().map(|end| (end.id, end.fence)));
    notify(actor, flow(&ended));
    Ok(later)
}

/// Frees the capacity of tasks whose ends cannot be written now: nobody knows how long that lasts.
fn cannot_end<'a>(
    config: &DelayConfig,
    actor: &WeakAddr<DelayQueueActor>,
    ends: impl Iterator<Item = &'a TaskEnd>,
) {
    config
        .running
        .cannot_end(ends.map(|end| (end.id, end.fence)));
    notify(actor, Flow::Moves);
}

fn notify(actor: &WeakAddr<DelayQueueActor>, flow: Flow) {
    if let Some(actor) = actor.upgrade() {
        actor.do_send(TasksSettled { flow });
    }
}

/// A task that was only released has never had capacity among the running tasks.
fn flow(ended: &[TaskEnd]) -> Flow {
    let ran = |end: &TaskEnd| end.disposition != Disposition::Release;
    match ended.iter().any(ran) {
        true => Flow::Moves,
        false => Flow::Stands,
    }
}
