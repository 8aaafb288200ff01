//! Which cron entries are live, and from when on their fires are to be made.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::former;
use super::part::part;
use crate::clock::now_ms;
use crate::store::apart::Manner;
use crate::store::claim_outcome::{not_known, since_when};
use crate::store::columns::RUN_ENDED;
use crate::store::cron_run::{IS_FIRE, OldRun, newest};
use crate::store::rows::KnownEntry;
use crate::store::schema::{cron_entry, cron_run};
use crate::store::write::{SyncEntries, TRIM_ROWS, TrimRuns};

/// An entry that was not live in between begins anew: it is not caught up.
pub(super) fn sync(
    connection: &mut SqliteConnection,
    manner: Manner,
    SyncEntries { partition, entries }: &SyncEntries,
) -> QueryResult<Vec<i64>> {
    use cron_entry::dsl;

    let now = now_ms();
    let inherited = part(connection, manner, |connection| {
        former::inherit(connection, partition, entries, now)
    });
    if let Err(why) = inherited? {
        log::error!("cron: what is known of entries by former names is left: {why}");
    }
    let names: Vec<&str> = entries.iter().map(|entry| entry.entry.as_str()).collect();
    let others = part(connection, manner, |connection| {
        let of_partition = cron_entry::table.filter(dsl::partition_name.eq(partition));
        diesel::update(of_partition.filter(dsl::entry.ne_all(&names)))
            .set((dsl::live.eq(0), dsl::last_fire_ms.eq(None::<i64>)))
            .execute(connection)
    });
    if let Err(why) = others? {
        log::error!("cron: entries that are no more are still marked as live: {why}");
    }
    let mut since = Vec::with_capacity(entries.len());
    for entry in entries {
        let synced = part(connection, manner, |connection| {
            sync_one(connection, partition, entry, now)
        });
        since.push(synced?.unwrap_or_else(|why| {
            not_known(entry, &why);
            now
        }));
    }
    Ok(since)
}

/// Answers from when on its fires are to be made.
fn sync_one(
    connection: &mut SqliteConnection,
    partition: &str,
    entry: &KnownEntry,
    now: i64,
) -> QueryResult<i64> {
    use cron_entry::dsl;

    let this = cron_entry::table
        .filter(dsl::partition_name.eq(partition))
        .filter(dsl::entry.eq(&entry.entry));
    // A daemon with an older configuration may have fired it meanwhile.
    diesel::update(this.filter(dsl::live.eq(0)))
        .set((
            dsl::live_since_ms.eq(now),
            dsl::last_fire_ms.eq(None::<i64>),
        ))
        .execute(connection)?;
    diesel::insert_into(cron_entry::table)
        .values((
            dsl::partition_name.eq(partition),
            dsl::entry.eq(&entry.entry),
            dsl::name.eq(&entry.name),
            dsl::expression.eq(&entry.expression),
            dsl::live.eq(1),
            dsl::live_since_ms.eq(now),
        ))
        .on_conflict((dsl::partition_name, dsl::entry))
        .do_update()
        .set((dsl::live.eq(1), dsl::name.eq(&entry.name)))
        .execute(connection)?;
    let (last_fire, live_since): (Option<i64>, i64) = this
        .select((dsl::last_fire_ms, dsl::live_since_ms))
        .first(connection)?;
    let newest = newest_run(connection, partition, &entry.entry, now)?;
    Ok(since_when(live_since, last_fire, newest, now))
}

/// The last second of the entry that was fired, as far as its rows are kept.
pub(super) fn newest_run(
    connection: &mut SqliteConnection,
    partition: &str,
    entry: &str,
    now: i64,
) -> QueryResult<Option<i64>> {
    use cron_run::dsl;

    cron_run::table
        .filter(dsl::partition_name.eq(partition))
        .filter(dsl::entry.eq(entry))
        .filter(dsl::scheduled_ms.le(now))
        .filter(sql::<Bool>(IS_FIRE))
        .order(dsl::scheduled_ms.desc())
        .select(dsl::scheduled_ms)
        .first(connection)
        .optional()
}

/// What is deleted leaves its second with its entry.
pub(super) fn trim_runs(
    connection: &mut SqliteConnection,
    &TrimRuns { before_ms }: &TrimRuns,
) -> QueryResult<usize> {
    use cron_run::dsl;

    let old: Vec<OldRun> = cron_run::table
        .filter(dsl::state.eq(RUN_ENDED))
        .filter(dsl::started_ms.lt(before_ms))
        .select((dsl::id, dsl::partition_name, dsl::entry, dsl::scheduled_ms))
        .limit(i64::try_from(TRIM_ROWS).unwrap_or(i64::MAX))
        .load(connection)?;
    let now = now_ms();
    for ((partition, entry), at) in newest(&old, now) {
        note_last_fire(connection, partition, entry, at, now)?;
    }
    let ids: Vec<i64> = old.iter().map(|(id, ..)| *id).collect();
    diesel::delete(cron_run::table.filter(dsl::id.eq_any(ids))).execute(connection)
}

fn note_last_fire(
    connection: &mut SqliteConnection,
    partition: &str,
    entry: &str,
    at: i64,
    now: i64,
) -> QueryResult<usize> {
    use cron_entry::dsl;

    // One that lies ahead is of a clock that was wrong.
    let other = dsl::last_fire_ms
        .is_null()
        .or(dsl::last_fire_ms.lt(at))
        .or(dsl::last_fire_ms.gt(now));
    diesel::update(
        cron_entry::table
            .filter(dsl::partition_name.eq(partition))
            .filter(dsl::entry.eq(entry))
            .filter(dsl::live.eq(1))
            .filter(other),
    )
    .set(dsl::last_fire_ms.eq(at))
    .execute(connection)
}
