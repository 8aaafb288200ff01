//! Runs of partitions that are gone: none of their daemons is left to write an end.
//!
//! Any daemon on the same tables does so, as for runs that it cannot judge: when their boot is dead and their timeout
//! (none: a day) is over. One that lives on this machine is left alone for as long as it does.

use super::CronConfig;
use super::judge::{Verdict, is_over, judge};
use super::outcome::Outcome;
use super::process::Uk;
use super::reattach::{close, forget, state_of};
use crate::store::DbError;
use crate::store::rows::OpenRun;

/// Polls once.
pub(super) async fn look(config: &CronConfig) {
    let orphans = config.db.reader().orphaned_runs(&config.partition).await;
    let orphans = match orphans {
        Ok(orphans) => orphans,
        // DbActor logs that the database is away.
        Err(DbError::Away(_)) => return,
        Err(cause) => {
            log::warn!("cron cannot read the runs of other partitions: {cause}");
            return;
        }
    };
    for run in orphans.into_iter().filter(is_over) {
        end(config, &run).await;
    }
}

async fn end(config: &CronConfig, run: &OpenRun) {
    let Ok(uk) = run.uk.parse::<Uk>() else {
        return;
    };
    let Some(state) = state_of(config, &uk).await else {
        return;
    };
    let outcome = match judge(run, state.as_ref()) {
        Verdict::Ended(outcome) => outcome,
        Verdict::NeverStarted => Outcome::not_started("its daemon ended before it could start it"),
        Verdict::Wait | Verdict::Watch { .. } => return,
    };
    // Another daemon may have taken it over meanwhile.
    close(config, run, &uk, outcome, Some(run.owner.clone())).await;
    forget(config, &uk);
}
