//! Cron runs: those that are open, and how the last ones ended.

use diesel::prelude::*;

use super::dialect::{Connection, RunQueryDsl};
use crate::store::columns::{ALIVE, RUN_ENDED};
use crate::store::rows::{EndedRun, EntryRuns, OpenRun};
use crate::store::schema::{boot, cron_run};
use crate::store::traits::READ_RUNS;
use crate::store::views::Run;

/// Runs of the partition whose end is not known.
pub(in crate::store) async fn open(
    connection: &mut Connection,
    partition: &str,
) -> QueryResult<Vec<OpenRun>> {
    let alive: Vec<String> = boot::table
        .filter(boot::state.eq(ALIVE))
        .select(boot::owner)
        .load(connection)
        .await?;
    let runs: Vec<Run> = cron_run::table
        .filter(cron_run::partition_name.eq(partition))
        .filter(cron_run::state.lt(RUN_ENDED))
        .select(Run::as_select())
        .load(connection)
        .await?;
    Ok(runs.into_iter().map(|run| run.open(&alive)).collect())
}

/// Runs of other partitions whose end is not known, and whose daemon is dead.
pub(in crate::store) async fn orphaned(
    connection: &mut Connection,
    partition: &str,
) -> QueryResult<Vec<OpenRun>> {
    let alive = boot::table.filter(boot::state.eq(ALIVE));
    let runs: Vec<Run> = cron_run::table
        .filter(cron_run::partition_name.ne(partition))
        .filter(cron_run::state.lt(RUN_ENDED))
        .filter(cron_run::owner.ne_all(alive.select(boot::owner)))
        .select(Run::as_select())
        .load(connection)
        .await?;
    Ok(runs.into_iter().map(|run| run.open(&[])).collect())
}

/// The newest runs of each of these entries that have ended.
pub(in crate::store) async fn ended(
    connection: &mut Connection,
    partition: &str,
    entries: Vec<String>,
) -> QueryResult<Vec<EntryRuns>> {
    let mut all = Vec::with_capacity(entries.len());
    for entry in entries {
        let runs: Vec<(String, String, String, i64, i64)> = cron_run::table
            .filter(cron_run::partition_name.eq(partition))
            .filter(cron_run::entry.eq(&entry))
            .filter(cron_run::state.ge(RUN_ENDED))
            .order(cron_run::scheduled_ms.desc())
            .limit(READ_RUNS)
            .select((
                cron_run::uk,
                cron_run::owner,
                cron_run::status,
                cron_run::started_ms,
                cron_run::ended_ms,
            ))
            .load(connection)
            .await?;
        all.push((entry, runs.into_iter().map(EndedRun::from).collect()));
    }
    Ok(all)
}
