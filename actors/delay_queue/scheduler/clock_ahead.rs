//! Retries that a clock which was ahead has put off.
//!
//! The time of a retry is set by this machine's clock, and no back-off explains one that is due later than the longest
//! back-off from now. But a handler may have asked for it (`JobError::retry_in`). So they are searched for only when the
//! clock was seen to be set back: many tasks may wait for a time far away, and the search reads all of them.

use std::time::Duration;

use super::{Ctx, DelayConfig, Scheduler};
use crate::clock::{Moment, millis, now_ms};
use crate::clock_watch::CLOCK_STEP_MS;
use crate::db::Db;
use crate::store::write::HastenTasks;
use crate::store::{DbError, TRIM_ROWS};

impl Scheduler {
    pub(super) fn check_clock(&mut self, ctx: &mut Ctx) {
        if !self.clock.was_set_back(Moment::now()) || self.stop.begun() {
            return;
        }
        let longest = longest_backoff(&self.config);
        let db = self.db.clone();
        let hasten = async move {
            match hasten(&db, longest).await {
                Ok(0) => {}
                Ok(tasks) => log::warn!(
                    "{tasks} delayed tasks were to run again later than the longest back-off ({longest:?}): the clock was \
                     ahead when they failed; they run again now"
                ),
                // DbActor logs the outage.
                Err(DbError::Away(_)) => {}
                Err(cause) => {
                    log::warn!("retries that are due too late cannot be searched for: {cause}")
                }
            }
        };
        // What was claimed by the other time waits for that. What is due is claimed again.
        self.release_waiting(ctx);
        Self::spawn(ctx, hasten, |_, (), _| {});
    }
}

async fn hasten(db: &Db, longest: Duration) -> Result<usize, DbError> {
    let after_s = (now_ms() + millis(longest) + CLOCK_STEP_MS).div_euclid(1000) + 1;
    let mut hastened = 0;
    loop {
        let ids = db.reader().late_retries(after_s).await?;
        let found = ids.len();
        if found > 0 {
            hastened += db.write(HastenTasks { ids, after_s }).await?;
        }
        if found < TRIM_ROWS {
            return Ok(hastened);
        }
    }
}

fn longest_backoff(config: &DelayConfig) -> Duration {
    let rules = config.rules.values().chain([&config.default_rules]);
    let longest = rules.map(|rules| rules.retry.backoff.max).max();
    longest.unwrap_or_default()
}
