//! Which cron entries are live, and from when on their fires are to be made.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::dialect::Connection;
use crate::clock::now_ms;
use crate::db::rows::KnownEntry;
use crate::db::schema::cron_entry;
use crate::db::write::Written;

/// An entry that was not live in between begins anew: it is not caught up. Two daemons that do so at once may collide on
/// an entry's key; the one that lost tries its transaction again.
pub(super) async fn sync(
    connection: &mut Connection,
    partition: &str,
    entries: &[KnownEntry],
) -> QueryResult<Written> {
    use cron_entry::dsl;

    let of_partition = || cron_entry::table.filter(dsl::partition_name.eq(partition));
    let names: Vec<&str> = entries.iter().map(|entry| entry.entry.as_str()).collect();
    diesel::update(of_partition().filter(dsl::entry.ne_all(&names)))
        .set((dsl::live.eq(0), dsl::last_fire_ms.eq(None::<i64>)))
        .execute(connection)
        .await?;
    let known: Vec<Known> = of_partition()
        .order(dsl::entry)
        .select(Known::as_select())
        .for_update()
        .load(connection)
        .await?;
    let mut known: std::collections::HashMap<String, Known> = known
        .into_iter()
        .map(|row| (row.entry.clone(), row))
        .collect();
    let mut since = Vec::with_capacity(entries.len());
    for entry in entries {
        match known.get_mut(&entry.entry) {
            Some(row) => {
                let (renamed, live) = (row.name != entry.name, row.live == 1);
                if !live {
                    // A daemon with an older configuration may have fired it meanwhile.
                    (row.live, row.live_since_ms, row.last_fire_ms) = (1, now_ms(), None);
                }
                if renamed || !live {
                    row.name.clone_from(&entry.name);
                    let row: &Known = row;
                    diesel::update(of_partition().filter(dsl::entry.eq(&entry.entry)))
                        .set(row)
                        .execute(connection)
                        .await?;
                }
            }
            None => {
                let row = Known {
                    entry: entry.entry.clone(),
                    name: entry.name.clone(),
                    live: 1,
                    live_since_ms: now_ms(),
                    last_fire_ms: None,
                };
                diesel::insert_into(cron_entry::table)
                    .values((
                        &row,
                        dsl::partition_name.eq(partition),
                        dsl::expression.eq(&entry.expression),
                    ))
                    .execute(connection)
                    .await?;
                known.insert(entry.entry.clone(), row);
            }
        }
        let row = &known[&entry.entry];
        let last = row.last_fire_ms.unwrap_or(row.live_since_ms);
        since.push(last.max(row.live_since_ms));
    }
    Ok(Written::Since(since))
}

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = cron_entry, treat_none_as_null = true)]
struct Known {
    entry: String,
    name: String,
    live: i16,
    live_since_ms: i64,
    last_fire_ms: Option<i64>,
}
