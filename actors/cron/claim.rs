//! Whether this daemon makes a fire: its row, and whose it is.

use std::sync::Arc;
use std::time::Duration;

use super::fire::{AtEntry, Firing};
use super::outcome::Outcome;
use super::process::machine::Place;
use super::waiting::{Expired, expired_text};
use super::{CronConfig, LiveEntry};
use crate::clock::{millis, now_ms};
use crate::config::Overlap;
use crate::membership::Ownership;
use crate::store::DbError;
use crate::store::rows::{AtOverlap, Claim, Fire, GivenUp};
use crate::store::write::{ClaimFire, TakeFire};

/// How long the claim of a fresh fire waits for its row. A commit takes milliseconds, a slow disk's more; what takes longer
/// goes on from the backlog.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// From there it waits for longer: up to the end of its grace, or as long as a statement may take at most before the
/// database counts as away.
const LONGEST_PATIENCE: Duration = Duration::from_secs(15);
/// A fire that is later than this is no fresh one, which goes before all that are late.
const LATE: Duration = Duration::from_secs(1);
/// Before a claim whose answer was lost is repeated.
const CLAIM_AGAIN: Duration = Duration::from_millis(100);

pub(super) fn is_late(scheduled_ms: i64) -> bool {
    now_ms() - scheduled_ms > millis(LATE)
}

/// For a fire of the backlog. One that is late by almost the grace still has time for its row.
pub(super) fn late_patience(scheduled_ms: i64, grace: Duration) -> Duration {
    let left = scheduled_ms + millis(grace) - now_ms();
    match u64::try_from(left) {
        Ok(left) => Duration::from_millis(left).clamp(PATIENCE, LONGEST_PATIENCE),
        // A misfire that is made up for: its time is now.
        Err(_) => LONGEST_PATIENCE,
    }
}

/// How a fire is claimed.
pub(super) struct Claiming {
    pub(super) at_entry: AtEntry,
    pub(super) patience: Duration,
    pub(super) given_up: GivenUp,
}

impl Claiming {
    pub(super) fn fresh() -> Self {
        Self {
            at_entry: AtEntry::AsConfigured,
            patience: PATIENCE,
            given_up: GivenUp::default(),
        }
    }

    /// Nobody counts its seconds: it waits for as long as the database may need.
    pub(super) fn ordered() -> Self {
        Self {
            patience: LONGEST_PATIENCE,
            ..Self::fresh()
        }
    }
}

/// The database's answer to a claim.
pub(super) enum Claimed {
    Ours,
    Busy,
    Others,
    NotTaken,
}

/// Writes the last fire of those that are not made as ended, with how many there were. Answers whether that is done, or
/// never will be.
pub(super) async fn report(
    config: &Arc<CronConfig>,
    entry: &Arc<LiveEntry>,
    expired: &Expired,
) -> bool {
    let firing = Firing::new(config, entry, expired.last_ms);
    let outcome = Outcome::not_started(expired_text(entry, expired));
    let row = Fire {
        expired: Some(outcome.result.clone()),
        ..firing.row(AtOverlap::Allow)
    };
    match tokio::time::timeout(LONGEST_PATIENCE, firing.answered_claim(row)).await {
        Err(_) => false,
        // A claim of before was committed, and not answered.
        Ok(Ok(Claim::Ours)) => {
            firing.end_unstarted(outcome).await;
            true
        }
        Ok(Ok(_)) => true,
        Ok(Err(cause)) => {
            log::error!(
                "cron `{}`: the fires that were missed have no row: {cause}",
                firing.name()
            );
            true
        }
    }
}

impl Firing {
    /// Whether this daemon fires.
    pub(super) async fn claim(&self, claiming: Claiming) -> Claimed {
        let Claiming {
            at_entry,
            patience,
            given_up,
        } = claiming;
        let at_overlap = match at_entry {
            AtEntry::AsConfigured => self.at_overlap(),
            AtEntry::WhenFree => AtOverlap::Wait,
        };
        let row = Fire {
            given_up: given_up.clone(),
            ..self.row(at_overlap)
        };
        let firing = self.clone();
        let mut claim = Box::pin(async move {
            let answer = firing.answered_claim(row).await;
            (firing, answer)
        });
        let answer = tokio::time::timeout(patience, &mut claim).await;
        match answer.map(|(_, answer)| answer) {
            Ok(Ok(Claim::Ours)) => Claimed::Ours,
            Ok(Ok(Claim::Busy)) => Claimed::Busy,
            Ok(Ok(Claim::Others | Claim::Missed)) => Claimed::Others,
            Ok(Ok(Claim::Skipped)) => {
                self.log_skipped();
                Claimed::Others
            }
            Ok(Err(cause)) => {
                self.entry.state.missed(1);
                log::error!("cron `{}`: a fire was missed: {cause}", self.name());
                Claimed::Others
            }
            Err(_) => {
                given_up.set();
                actix_rt::spawn(async move {
                    let (firing, answer) = claim.await;
                    firing.end_if_unwanted(answer).await;
                });
                Claimed::NotTaken
            }
        }
    }

    /// An answer that was lost is asked for again: the row holds its owner.
    async fn answered_claim(&self, row: Fire) -> Result<Claim, DbError> {
        loop {
            match self.config.db.write(ClaimFire(row.clone())).await {
                Err(DbError::Restarted) => tokio::time::sleep(CLAIM_AGAIN).await,
                answer => return answer,
            }
        }
    }

    fn row(&self, at_overlap: AtOverlap) -> Fire {
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
            at_overlap,
            expired: None,
            given_up: GivenUp::default(),
            order: self.order.as_ref().map(|order| order.id),
        }
    }

    /// A claim that was given up may be committed all the same. Then no other daemon makes it, and it must not block
    /// others: unless the backlog claims it again, it ends as soon as the answer arrives.
    async fn end_if_unwanted(self, answer: Result<Claim, DbError>) {
        let backlog = &self.config.backlog;
        if !matches!(answer, Ok(Claim::Ours)) || backlog.holds(&self.entry.key, self.scheduled_ms) {
            return;
        }
        if let Some(_watched) = self.config.watched.begin(self.uk.as_str()) {
            self.end_unstarted(Outcome::database_away()).await;
        }
    }

    /// A daemon that was silent for long may have been taken for dead, and its fire taken over: the database knows.
    pub(super) async fn is_still_ours(&self) -> bool {
        match self.config.liveness.ownership(self.generation) {
            Ownership::Held => true,
            Ownership::Uncertain | Ownership::Lost | Ownership::Blocked => {
                self.take_from(self.config.owner.clone()).await
            }
        }
    }

    pub(super) async fn take_from(&self, from: String) -> bool {
        let take = TakeFire {
            uk: self.uk.to_string(),
            from,
            owner: self.config.owner.clone(),
            at_overlap: self.at_overlap(),
        };
        match self.config.db.write(take).await {
            Ok(Claim::Ours) => true,
            Ok(Claim::Others | Claim::Missed | Claim::Busy) => false,
            Ok(Claim::Skipped) => {
                self.log_skipped();
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

    fn log_skipped(&self) {
        Outcome::skipped().publish(&self.entry.state, self.uk.as_str());
        let ordered = match &self.order {
            Some(order) => format!("the run that {} ordered is ", order.by),
            None => String::new(),
        };
        log::warn!(
            "cron `{}`: {ordered}skipped, an earlier run still runs",
            self.name()
        );
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_fire_waits_for_its_row_up_to_its_grace() {
        let grace = Duration::from_secs(10);
        let second = Duration::from_secs(1);
        let of = |late: i64| late_patience(now_ms() - late * 1000, grace);
        assert!(of(3) > 6 * second && of(3) <= 7 * second);
        assert_eq!(of(10), PATIENCE, "in time by a moment");
        assert_eq!(of(366 * 24 * 3600), LONGEST_PATIENCE, "made up for now");
        assert_eq!(of(-3600), LONGEST_PATIENCE);
    }
}
