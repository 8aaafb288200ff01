//! Which cron entries are live, and from when on their fires are to be made.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::dialect::{self, Connection, RunQueryDsl};
use super::former;
use super::part::part;
use crate::clock::now_ms;
use crate::store::claim_outcome::{not_known, since_when};
use crate::store::columns::RUN_ENDED;
use crate::store::cron_run::{IS_FIRE, OldRun, newest};
use crate::store::rows::KnownEntry;
use crate::store::schema::{cron_entry, cron_run};
use crate::store::write::{SyncEntries, TRIM_ROWS, TrimRuns};

/// An entry that was not live in between begins anew: it is not caught up. Two daemons that do so at once may collide on
/// an entry's key; the one that lost tries its transaction again.
pub(in crate::store) async fn sync(
    connection: &mut Connection,
    SyncEntries { partition, entries }: &SyncEntries,
) -> QueryResult<Vec<i64>> {
    use cron_entry::dsl;

    let now = now_ms();
    let inherited = part(connection, async |connection| {
        former::inherit(connection, partition, entries, now).await
    });
    if let Err(why) = inherited.await? {
        log::error!("cron: what is known of entries by former names is left: {why}");
    }
    let of_partition = || cron_entry::table.filter(dsl::partition_name.eq(partition));
    let names: Vec<&str> = entries.iter().map(|entry| entry.entry.as_str()).collect();
    let others = part(connection, async |connection| {
        diesel::update(of_partition().filter(dsl::entry.ne_all(&names)))
            .set((dsl::live.eq(0), dsl::last_fire_ms.eq(None::<i64>)))
            .execute(connection)
            .await
    });
    if let Err(why) = others.await? {
        log::error!("cron: entries that are no more are still marked as live: {why}");
    }
    let rows: Vec<Known> =
        dialect::for_update!(of_partition().order(dsl::entry).select(Known::as_select()))
            .load(connection)
            .await?;
    let rows = rows.into_iter().map(|row| (row.entry.clone(), row));
    let mut known: HashMap<String, Known> = rows.collect();
    for entry in entries {
        let row = known.get(&entry.entry).cloned();
        let synced = part(connection, async |connection| {
            sync_one(connection, partition, entry, row, now).await
        });
        match synced.await? {
            Ok(row) => drop(known.insert(entry.entry.clone(), row)),
            Err(why) => {
                known.remove(&entry.entry);
                not_known(entry, &why);
            }
        }
    }
    let newest = newest_runs(connection, partition, now).await?;
    let since = entries.iter().map(|entry| match known.get(&entry.entry) {
        Some(row) => {
            let newest = newest.get(&entry.entry).copied();
            since_when(row.live_since_ms, row.last_fire_ms, newest, now)
        }
        None => now,
    });
    Ok(since.collect())
}

/// What the row of an entry is now; it may have had none.
async fn sync_one(
    connection: &mut Connection,
    partition: &str,
    entry: &KnownEntry,
    row: Option<Known>,
    now: i64,
) -> QueryResult<Known> {
    use cron_entry::dsl;

    // For people only: an entry is known by its key.
    let limits = connection.limits;
    let (name, expression) = (limits.name(&entry.name), limits.name(&entry.expression));
    let Some(mut row) = row else {
        let row = Known {
            entry: entry.entry.clone(),
            name,
            live: 1,
            live_since_ms: now,
            last_fire_ms: None,
        };
        diesel::insert_into(cron_entry::table)
            .values((
                &row,
                dsl::partition_name.eq(partition),
                dsl::expression.eq(expression),
            ))
            .execute(connection)
            .await?;
        return Ok(row);
    };
    let (renamed, live) = (row.name != name, row.live == 1);
    if !live {
        // A daemon with an older configuration may have fired it meanwhile.
        (row.live, row.live_since_ms, row.last_fire_ms) = (1, now, None);
    }
    if renamed || !live {
        row.name = name;
        diesel::update(cron_entry::table.find((partition, &entry.entry)))
            .set(&row)
            .execute(connection)
            .await?;
    }
    Ok(row)
}

#[derive(QueryableByName)]
struct Newest {
    #[diesel(sql_type = Text)]
    entry: String,
    #[diesel(sql_type = Nullable<BigInt>)]
    fired_ms: Option<i64>,
}

/// The last second of each entry that was fired, as far as rows are kept. Ordered and left at the first row, each is one
/// step into the index, however many rows an entry has.
pub(in crate::store) async fn newest_runs(
    connection: &mut Connection,
    partition: &str,
    now: i64,
) -> QueryResult<HashMap<String, i64>> {
    let first = dialect::FIRST;
    let question = format!(
        "SELECT entry, (SELECT r.scheduled_ms FROM cron_run AS r
            WHERE r.partition_name = e.partition_name AND r.entry = e.entry AND r.scheduled_ms <= {now} AND r.{IS_FIRE}
            ORDER BY r.scheduled_ms DESC LIMIT 1) AS fired_ms
         FROM cron_entry AS e WHERE e.partition_name = {first}"
    );
    let rows: Vec<Newest> = diesel::sql_query(question)
        .bind::<Text, _>(partition)
        .load(connection)
        .await?;
    let fired = rows
        .into_iter()
        .filter_map(|row| Some((row.entry, row.fired_ms?)));
    Ok(fired.collect())
}

/// What is deleted leaves its second with its entry.
pub(in crate::store) async fn trim_runs(
    connection: &mut Connection,
    &TrimRuns { before_ms }: &TrimRuns,
) -> QueryResult<usize> {
    use cron_run::dsl;

    dialect::trim_marks(connection).await?;
    let old: Vec<OldRun> = cron_run::table
        .filter(dsl::state.eq(RUN_ENDED))
        .filter(dsl::started_ms.lt(before_ms))
        .select((dsl::id, dsl::partition_name, dsl::entry, dsl::scheduled_ms))
        .limit(i64::try_from(TRIM_ROWS).unwrap_or(i64::MAX))
        .load(connection)
        .await?;
    let now = now_ms();
    for ((partition, entry), at) in newest(&old, now) {
        note_last_fire(connection, partition, entry, at, now).await?;
    }
    let ids: Vec<i64> = old.iter().map(|(id, ..)| *id).collect();
    diesel::delete(cron_run::table.filter(dsl::id.eq_any(ids)))
        .execute(connection)
        .await
}

async fn note_last_fire(
    connection: &mut Connection,
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
    .await
}

#[derive(Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = cron_entry, treat_none_as_null = true)]
struct Known {
    entry: String,
    name: String,
    live: i16,
    live_since_ms: i64,
    last_fire_ms: Option<i64>,
}
