//! What the tables know of one moment of a cron entry.

use diesel::prelude::*;

use super::dialect::{self, Connection, RunQueryDsl};
use crate::store::daemon_orders::{CronRun, ListedRun};
use crate::store::schema::{audit, boot, cron_entry, cron_run};
use crate::store::traces::{
    AuditTrace, BootTrace, MOST_TRACES, PAUSE_ACTIONS, Traces, TracesAsked,
};

pub(in crate::store) async fn traces(
    connection: &mut Connection,
    asked: &TracesAsked,
) -> QueryResult<Traces> {
    let runs = || {
        cron_run::table
            .filter(cron_run::partition_name.eq(&asked.partition))
            .filter(cron_run::entry.eq(&asked.entry))
    };
    let within: Vec<ListedRun> = runs()
        .filter(cron_run::scheduled_ms.between(asked.from_ms, asked.until_ms))
        .order(cron_run::scheduled_ms)
        .limit(MOST_TRACES)
        .select(ListedRun::as_select())
        .load(connection)
        .await?;
    let before: Vec<ListedRun> = runs()
        .filter(cron_run::scheduled_ms.lt(asked.from_ms))
        .order(cron_run::scheduled_ms.desc())
        .limit(MOST_TRACES)
        .select(ListedRun::as_select())
        .load(connection)
        .await?;
    let after: Option<ListedRun> = runs()
        .filter(cron_run::scheduled_ms.gt(asked.until_ms))
        .order(cron_run::scheduled_ms)
        .select(ListedRun::as_select())
        .first(connection)
        .await
        .optional()?;
    let live: Option<(i16, i64)> = cron_entry::table
        .filter(cron_entry::partition_name.eq(&asked.partition))
        .filter(cron_entry::entry.eq(&asked.entry))
        .select((cron_entry::live, cron_entry::live_since_ms))
        .first(connection)
        .await
        .optional()?;
    let pauses: Vec<AuditTrace> = audit::table
        .filter(audit::environment.eq(&asked.environment))
        .filter(audit::at_ms.le(asked.until_ms))
        .filter(audit::action.eq_any(PAUSE_ACTIONS))
        .filter(audit::target.eq_any(&asked.targets))
        .order(audit::at_ms.desc())
        .limit(MOST_TRACES)
        .select(AuditTrace::as_select())
        .load(connection)
        .await?;
    let mut traces = boots(connection, asked).await?;
    traces.within = within.into_iter().map(CronRun::from).collect();
    traces.before = before.into_iter().map(CronRun::from).collect();
    traces.after = after.map(CronRun::from);
    traces.live = live.map(|(live, since)| (live != 0, since));
    traces.pauses = pauses.into_iter().map(Into::into).collect();
    Ok(traces)
}

/// The traces of daemons.
async fn boots(connection: &mut Connection, asked: &TracesAsked) -> QueryResult<Traces> {
    let of_partition = || boot::table.filter(boot::partition_name.eq(&asked.partition));
    let now = dialect::clock_ms(connection).await?;
    let boots: Vec<BootTrace> = of_partition()
        .filter(boot::started_ms.le(asked.until_ms))
        .filter(boot::heartbeat_ms.ge(asked.from_ms))
        .order(boot::started_ms.desc())
        .limit(MOST_TRACES)
        .select(BootTrace::as_select())
        .load(connection)
        .await?;
    let last_seen: Option<i64> = of_partition()
        .filter(boot::heartbeat_ms.lt(asked.from_ms))
        .order(boot::heartbeat_ms.desc())
        .select(boot::heartbeat_ms)
        .first(connection)
        .await
        .optional()?;
    let next_start: Option<i64> = of_partition()
        .filter(boot::started_ms.gt(asked.until_ms))
        .order(boot::started_ms)
        .select(boot::started_ms)
        .first(connection)
        .await
        .optional()?;
    Ok(Traces {
        boots: boots.into_iter().map(|boot| boot.boot(now)).collect(),
        last_seen_ms: last_seen,
        next_start_ms: next_start,
        ..Traces::default()
    })
}
