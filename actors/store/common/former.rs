//! What is known of entries by their former names goes over to the present ones, in the transaction that makes them live.

use std::collections::BTreeMap;

use diesel::prelude::*;

use super::dialect::{self, Connection, RunQueryDsl};
use super::entries::newest_runs;
use crate::store::columns::{RUN_CLAIMED, RUN_STARTED};
use crate::store::former::{FormerNames, Inherited, free_moment, moments};
use crate::store::rows::KnownEntry;
use crate::store::schema::{cron_entry, cron_run};

pub(in crate::store) async fn inherit(
    connection: &mut Connection,
    partition: &str,
    entries: &[KnownEntry],
    now: i64,
) -> QueryResult<()> {
    let former = FormerNames::of(entries);
    if former.is_empty() {
        return Ok(());
    }
    inherit_fires(connection, partition, &former, now).await?;
    inherit_runs(connection, partition, &former).await
}

/// The rows by former names are marked as not live afterwards, as all that are none of the entries.
async fn inherit_fires(
    connection: &mut Connection,
    partition: &str,
    former: &FormerNames<'_>,
    now: i64,
) -> QueryResult<()> {
    use cron_entry::dsl;

    let of_partition = || cron_entry::table.filter(dsl::partition_name.eq(partition));
    let live: Vec<(String, i64, Option<i64>)> = dialect::for_update!(
        of_partition()
            .filter(dsl::live.eq(1))
            .order(dsl::entry)
            .select((dsl::entry, dsl::live_since_ms, dsl::last_fire_ms))
    )
    .load(connection)
    .await?;
    if live.iter().all(|(name, ..)| former.entry(name).is_none()) {
        return Ok(());
    }
    let newest = newest_runs(connection, partition, now).await?;
    let mut heirs: BTreeMap<&str, (&KnownEntry, Inherited)> = BTreeMap::new();
    for (name, live_since, noted) in &live {
        let Some(entry) = former.entry(name) else {
            continue;
        };
        let known = Inherited::new(*live_since, *noted, newest.get(name).copied(), now);
        let heir = heirs.entry(&entry.entry).or_insert((entry, known));
        heir.1 = heir.1.and(known);
    }
    let limits = connection.limits;
    for (name, (entry, known)) in heirs {
        let own = live.iter().find(|(live, ..)| live == name);
        let own = own.map(|(_, live_since, noted)| Inherited::new(*live_since, *noted, None, now));
        let known = own.map_or(known, |own| known.and(own));
        let state = (
            dsl::live.eq(1),
            dsl::live_since_ms.eq(known.live_since_ms),
            dsl::last_fire_ms.eq(known.last_fire_ms),
        );
        let updated = diesel::update(of_partition().filter(dsl::entry.eq(name)))
            .set(state)
            .execute(connection)
            .await?;
        // MySQL counts the rows that it found (`CLIENT_FOUND_ROWS`).
        if updated == 0 {
            diesel::insert_into(cron_entry::table)
                .values((
                    state,
                    dsl::partition_name.eq(partition),
                    dsl::entry.eq(name),
                    dsl::name.eq(limits.name(&entry.name)),
                    dsl::expression.eq(limits.name(&entry.expression)),
                ))
                .execute(connection)
                .await?;
        }
    }
    Ok(())
}

/// Of whichever daemon: one that has the zone by another name may not have been the last to start.
async fn inherit_runs(
    connection: &mut Connection,
    partition: &str,
    former: &FormerNames<'_>,
) -> QueryResult<()> {
    use cron_run::dsl;

    let of_partition = || cron_run::table.filter(dsl::partition_name.eq(partition));
    let open: Vec<(i64, String, i64)> = of_partition()
        .filter(dsl::state.eq_any([RUN_CLAIMED, RUN_STARTED]))
        .order(dsl::id)
        .select((dsl::id, dsl::entry, dsl::scheduled_ms))
        .load(connection)
        .await?;
    for (id, name, scheduled_ms) in &open {
        let Some(entry) = former.entry(name) else {
            continue;
        };
        let (first, last) = moments(*scheduled_ms);
        let taken: Vec<i64> = of_partition()
            .filter(dsl::entry.eq(&entry.entry))
            .filter(dsl::scheduled_ms.between(first, last))
            .select(dsl::scheduled_ms)
            .load(connection)
            .await?;
        let Some(moment) = free_moment(*scheduled_ms, &taken) else {
            continue;
        };
        diesel::update(cron_run::table.find(id))
            .set((dsl::entry.eq(&entry.entry), dsl::scheduled_ms.eq(moment)))
            .execute(connection)
            .await?;
    }
    Ok(())
}
