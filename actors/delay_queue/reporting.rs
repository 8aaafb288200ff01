//! Watches the delay queue, beside the hot path: counts the tasks that wait, and logs reports.

use std::time::Duration;

use actix::prelude::*;

use super::stats::{Report, report};
use super::{DelayQueueActor, Storage};
use crate::clock::now_ms;
use crate::store::DbError;
use crate::store::rows::DelayCounts;

/// How often to count: the count stops at a cap, and costs some milliseconds there.
const COUNT_INTERVAL: Duration = Duration::from_secs(30);
/// The first count: after the work of the start, and before an operator opens the page.
const FIRST_COUNT: Duration = Duration::from_secs(1);
/// A queue that is late is reported at every second count, a queue that is on time at every twentieth.
const LATE_COUNTS: u32 = 2;
const ON_TIME_COUNTS: u32 = 20;

impl DelayQueueActor {
    pub(super) fn begin_watching(&mut self, ctx: &mut Context<Self>) {
        if self.engine.is_some() {
            ctx.run_later(FIRST_COUNT, |actor, ctx| actor.count(ctx));
            ctx.run_interval(COUNT_INTERVAL, |actor, ctx| actor.count(ctx));
        }
    }

    fn count(&mut self, ctx: &mut Context<Self>) {
        let (Some(engine), Storage::Database(db)) = (&mut self.engine, &self.storage) else {
            return;
        };
        // A database that takes longer than the interval is not asked twice at once.
        if std::mem::replace(&mut engine.counting, true) || engine.stop.begun() {
            return;
        }
        let db = db.clone();
        let counts = async move { db.reader().delay_counts().await };
        let counts = counts.into_actor(self);
        ctx.spawn(counts.map(|counts, actor, _| actor.counted(counts)));
    }

    fn counted(&mut self, counts: Result<DelayCounts, DbError>) {
        let Some(engine) = &mut self.engine else {
            return;
        };
        engine.counting = false;
        let counts = match counts {
            Ok(counts) => counts,
            // DbActor logs the outage.
            Err(cause) => {
                log::debug!("the waiting tasks of the delay queue cannot be counted: {cause}");
                return;
            }
        };
        let stats = &engine.config.stats;
        stats.counted(counts);
        let state = &engine.config.state;
        state.counted(counts.waiting, counts.oldest_due_ms);
        let now = now_ms();
        engine.counts_since_report += 1;
        match report(counts, stats.lateness(now), now) {
            Report::Late(text) if engine.counts_since_report >= LATE_COUNTS => {
                engine.counts_since_report = 0;
                log::warn!("{text}");
            }
            Report::OnTime(text) if engine.counts_since_report >= ON_TIME_COUNTS => {
                engine.counts_since_report = 0;
                log::info!("{text}");
            }
            Report::Late(_) | Report::OnTime(_) | Report::Idle => {}
        }
    }
}
