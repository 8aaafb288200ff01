//! Whether this daemon makes a fire: its row, and whose it is.

use std::time::Duration;

use super::fire::Firing;
use super::misfire::kept;
use super::outcome::Outcome;
use super::process::machine::Place;
use crate::clock::{millis, now_ms};
use crate::config::Overlap;
use crate::db::rows::{AtOverlap, Claim, Doom, Fire};
use crate::db::{DbError, Standing};

/// A fire that is late by almost the grace still has time for its row: a commit takes milliseconds, a slow disk's more.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);
/// Before a claim whose answer was lost is repeated.
const CLAIM_AGAIN: Duration = Duration::from_millis(100);

impl Firing {
    /// Whether this daemon fires. With the database away it waits up to the grace: late, but not missed.
    pub(super) async fn claim(&self) -> bool {
        let why = Outcome::not_started("the database was away for longer than misfire_grace");
        let doom = Doom::new(&why.result);
        let claim = self.answered_claim(&doom);
        tokio::pin!(claim);
        let late = now_ms() - self.scheduled_ms;
        let patience = patience(late, millis(self.config.misfire_grace));
        match tokio::time::timeout(patience, &mut claim).await {
            Ok(Ok(Claim::Ours)) => true,
            Ok(Ok(Claim::Others | Claim::Missed)) => false,
            Ok(Ok(Claim::Skipped)) => {
                self.say_skipped();
                false
            }
            Ok(Err(cause)) => {
                log::error!("cron `{}`: a fire was missed: {cause}", self.name());
                false
            }
            Err(_) => {
                log::error!(
                    "cron `{}`: the fire of {} was missed: the database did not take its row within {:?}",
                    self.name(),
                    self.entry.shown(self.scheduled_ms),
                    self.config.misfire_grace
                );
                self.is_made_up_for(claim, &doom, why).await
            }
        }
    }

    /// A misfire. Its row may come to be yet, and is written as ended, unless the fire is made up for: those behind it must
    /// not step back for what does not run.
    async fn is_made_up_for(
        &self,
        claim: impl Future<Output = Result<Claim, DbError>>,
        doom: &Doom,
        why: Outcome,
    ) -> bool {
        let kept = kept(self.entry.config.misfire);
        let late = &self.config.late;
        let _late = late.begin(&self.entry.key, self.scheduled_ms, kept, doom);
        match claim.await {
            Ok(Claim::Ours) if !doom.is_sealed() => {
                log::warn!(
                    "cron `{}`: the missed fire of {} is made up for now",
                    self.name(),
                    self.entry.shown(self.scheduled_ms)
                );
                true
            }
            // Its row was written in the moment in which its time was over.
            Ok(Claim::Ours) => {
                self.end_unstarted(why).await;
                false
            }
            Ok(Claim::Skipped) => {
                self.say_skipped();
                false
            }
            Ok(Claim::Others | Claim::Missed) | Err(_) => false,
        }
    }

    /// An answer that was lost is asked for again: the row says whose it is.
    async fn answered_claim(&self, doom: &Doom) -> Result<Claim, DbError> {
        loop {
            match self.config.db.claim_fire(self.row(doom)).await {
                Err(DbError::Restarted) => tokio::time::sleep(CLAIM_AGAIN).await,
                answer => return answer,
            }
        }
    }

    fn row(&self, doom: &Doom) -> Fire {
        let entry = &self.entry.config;
        Fire {
            partition: self.config.partition.clone(),
            entry: self.entry.key.clone(),
            scheduled_ms: self.scheduled_ms,
            uk: self.uk.to_string(),
            name: entry.name.clone(),
            exec_cmd: entry.exec_cmd.clone(),
            params: entry.params.clone(),
            owner: self.config.owner.clone(),
            machine: serde_json::to_string(Place::here()).unwrap_or_default(),
            timeout_ms: entry.timeout.map_or(0, millis),
            is_log: entry.is_log,
            at_overlap: self.at_overlap(),
            doom: doom.clone(),
        }
    }

    /// A daemon that was silent for long may have been taken for dead, and its fire taken over: the database knows.
    pub(super) async fn is_still_ours(&self) -> bool {
        match self.config.liveness.standing(self.generation) {
            Standing::Ours => true,
            Standing::Unsure | Standing::Lost | Standing::Halted => {
                self.take_from(self.config.owner.clone()).await
            }
        }
    }

    pub(super) async fn take_from(&self, from: String) -> bool {
        let owner = self.config.owner.clone();
        let taken = self
            .config
            .db
            .take_fire(self.uk.to_string(), from, owner, self.at_overlap())
            .await;
        match taken {
            Ok(Claim::Ours) => true,
            Ok(Claim::Others | Claim::Missed) => false,
            Ok(Claim::Skipped) => {
                self.say_skipped();
                false
            }
            Err(cause) => {
                log::warn!(
                    "cron `{}`: run {} is left to others: {cause}",
                    self.name(),
                    self.uk
                );
                false
            }
        }
    }

    fn say_skipped(&self) {
        log::warn!("cron `{}`: skipped, an earlier run still runs", self.name());
    }

    fn at_overlap(&self) -> AtOverlap {
        match self.entry.config.overlap {
            Overlap::Allow => AtOverlap::Allow,
            Overlap::Forbid => AtOverlap::Skip {
                result: Outcome::skipped().result,
            },
            Overlap::Replace => AtOverlap::Replace,
        }
    }
}

/// How long a fire that is so late waits for its row. One that is later than the grace is made up for: its time is now.
fn patience(late_ms: i64, grace_ms: i64) -> Duration {
    let left = match grace_ms - late_ms {
        left @ 0.. => left.min(grace_ms),
        _ => grace_ms,
    };
    Duration::from_millis(left.unsigned_abs()).max(LEAST_PATIENCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fire_waits_for_its_row_up_to_the_grace() {
        let cases = [(0, 10_000), (4_000, 6_000), (-5, 10_000), (10_000, 1_000)];
        for (late, expected) in cases {
            assert_eq!(patience(late, 10_000).as_millis(), expected, "{late}");
        }
        let a_year = 366 * 24 * 3600 * 1000;
        assert_eq!(
            patience(a_year, 10_000).as_millis(),
            10_000,
            "made up for now"
        );
    }
}
