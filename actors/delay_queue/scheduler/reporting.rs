//! Watches the delay queue, beside the hot path: counts the tasks that wait, and logs reports.

use std::time::Duration;

use super::stats::{Report, report};
use super::{Ctx, Scheduler};
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

impl Scheduler {
    pub(super) fn begin_counting(ctx: &mut Ctx) {
        Self::count_after(FIRST_COUNT, ctx);
    }

    fn count_after(wait: Duration, ctx: &mut Ctx) {
        Self::later(ctx, wait, |scheduler, ctx| {
            scheduler.count(ctx);
            Self::count_after(COUNT_INTERVAL, ctx);
        });
    }

    fn count(&mut self, ctx: &mut Ctx) {
        // A database that takes longer than the interval is not asked twice at once.
        if std::mem::replace(&mut self.counting, true) || self.stop.begun() {
            return;
        }
        let db = self.db.clone();
        let counts = async move { db.reader().delay_counts().await };
        Self::spawn(ctx, counts, |scheduler, counts, _| {
            scheduler.counted(counts)
        });
    }

    fn counted(&mut self, counts: Result<DelayCounts, DbError>) {
        self.counting = false;
        let counts = match counts {
            Ok(counts) => counts,
            // DbActor logs the outage.
            Err(cause) => {
                log::debug!("the waiting tasks of the delay queue cannot be counted: {cause}");
                return;
            }
        };
        let stats = &self.config.stats;
        stats.counted(counts);
        let state = &self.config.state;
        state.counted(counts.waiting, counts.oldest_due_ms);
        let now = now_ms();
        self.counts_since_report += 1;
        match report(counts, stats.lateness(now), now) {
            Report::Late(text) if self.counts_since_report >= LATE_COUNTS => {
                self.counts_since_report = 0;
                log::warn!("{text}");
            }
            Report::OnTime(text) if self.counts_since_report >= ON_TIME_COUNTS => {
                self.counts_since_report = 0;
                log::info!("{text}");
            }
            Report::Late(_) | Report::OnTime(_) | Report::Idle => {}
        }
    }
}
