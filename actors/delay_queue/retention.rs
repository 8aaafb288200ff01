//! Deletes finished tasks that are older than `delay_retention`; without it they are kept for ever.

use std::time::Duration;

use actix::prelude::*;

use super::{DelayQueueActor, Storage};
use crate::clock::{millis, now_ms};
use crate::db::{Db, DbError, TRIM_ROWS};

/// How often to look for old rows.
const INTERVAL: Duration = Duration::from_secs(60);
/// Between two portions: others write in between.
const PAUSE: Duration = Duration::from_millis(100);

impl DelayQueueActor {
    pub(super) fn begin_trimming(&mut self, ctx: &mut Context<Self>) {
        let (Some(engine), Storage::Database(db)) = (&self.engine, &self.storage) else {
            return;
        };
        let Some(kept) = engine.config.retention else {
            return;
        };
        let (db, mut stop) = (db.clone(), engine.stop.listen());
        let trimming = async move {
            while !stop.begun() {
                match trim(&db, kept).await {
                    Ok(()) => {}
                    // DbActor tells of the outage.
                    Err(DbError::Away(_)) => {}
                    Err(cause) => {
                        log::warn!("old rows of `delay_queue_log` could not be deleted: {cause}");
                    }
                }
                tokio::select! {
                    () = tokio::time::sleep(INTERVAL) => {}
                    () = stop.quiet() => return,
                }
            }
        };
        ctx.spawn(trimming.into_actor(self));
    }
}

/// A portion at a time, until none is left.
async fn trim(db: &Db, kept: Duration) -> Result<(), DbError> {
    let before_s = (now_ms() - millis(kept)).div_euclid(1000);
    while db.trim_tasks(before_s).await? >= TRIM_ROWS {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
