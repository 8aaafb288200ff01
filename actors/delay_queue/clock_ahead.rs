//! Retries that a clock which was ahead has put off.
//!
//! The time of a retry is set by this machine's clock, and no back-off explains one that is due later than the longest
//! back-off from now. Looked for at the start, and when the clock has been set back: many tasks may wait for a time far
//! away, and all of them are looked at.

use std::time::Duration;

use actix::prelude::*;
use tokio::time::Instant;

use super::engine::DelayConfig;
use super::{DelayQueueActor, Storage};
use crate::clock::{millis, now_ms};
use crate::db::{CLOCK_STEP_MS, Db, DbError, TRIM_ROWS};

/// Compares the time of day with the time that has passed.
#[derive(Debug, Default)]
pub(super) struct ClockWatch {
    last: Option<(Instant, i64)>,
}

impl ClockWatch {
    /// Whether the clock has been set back since the last call. The first call answers `true`: nobody knows.
    pub(super) fn was_set_back(&mut self, now: Instant, now_ms: i64) -> bool {
        let last = self.last.replace((now, now_ms));
        last.is_none_or(|(at, at_ms)| now_ms < at_ms + millis(now - at) - CLOCK_STEP_MS)
    }
}

impl DelayQueueActor {
    pub(super) fn check_clock(&mut self, ctx: &mut Context<Self>) {
        let (Some(engine), Storage::Database(db)) = (&mut self.engine, &self.storage) else {
            return;
        };
        if !engine.clock.was_set_back(Instant::now(), now_ms()) || engine.stop.begun() {
            return;
        }
        let longest = longest_backoff(&engine.config);
        let db = db.clone();
        let hasten = async move {
            match hasten(&db, longest).await {
                Ok(0) => {}
                Ok(tasks) => log::warn!(
                    "{tasks} delayed tasks were to run again later than the longest back-off ({longest:?}): the clock was \
                     ahead when they failed; they run again now"
                ),
                // DbActor tells of the outage.
                Err(DbError::Away(_)) => {}
                Err(cause) => {
                    log::warn!("retries that are due too late cannot be looked for: {cause}")
                }
            }
        };
        // What was claimed by the other time waits for that. What is due is claimed again.
        self.give_back_waiting(ctx);
        ctx.spawn(hasten.into_actor(self));
    }
}

async fn hasten(db: &Db, longest: Duration) -> Result<usize, DbError> {
    let after_s = (now_ms() + millis(longest) + CLOCK_STEP_MS).div_euclid(1000) + 1;
    let mut hastened = 0;
    loop {
        let ids = db.reader().late_retries(after_s).await?;
        let found = ids.len();
        if found > 0 {
            hastened += db.hasten_tasks(ids, after_s).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_is_noticed_once() {
        let (mut clock, begin) = (ClockWatch::default(), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        let cases = [
            (0, 1_000_000, true, "the first"),
            (1, 1_001_000, false, "as it goes"),
            (2, 1_001_500, false, "a little slow"),
            (3, 9_000_000, false, "set ahead"),
            (4, 1_004_000, true, "set back"),
            (5, 1_005_000, false, "as it goes"),
        ];
        for (seconds, now_ms, wanted, case) in cases {
            assert_eq!(clock.was_set_back(at(seconds), now_ms), wanted, "{case}");
        }
    }
}
