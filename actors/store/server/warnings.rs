//! Counts of warnings. By the server's clock: those of the processes that count may differ.
//!
//! Every process that counts one flag needs the same row, once a second for milliseconds. A row that another
//! transaction has locked is waited for by nobody: its counts are answered as held, and come again; those of other
//! flags are committed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;

use super::IN_ONE_STATEMENT;
use super::dialect::{Connection, NOW_MS, same_id};
use crate::store::schema::{warning_notice, warning_window};
use crate::store::warnings::{CountAdd, Counted, NewNotice, Period, WINDOW_KEPT_MS, WindowRow};
use crate::store::windows::Windows;
use crate::store::write::TRIM_ROWS;

/// Rows in the order of their keys, as all transactions lock them.
type Rows<'a> = BTreeMap<String, (&'a CountAdd, Period)>;

/// What becomes of each, in their order.
pub(in crate::store) async fn add(
    connection: &mut Connection,
    adds: &[&CountAdd],
) -> QueryResult<Vec<Counted>> {
    let ids: Vec<Vec<String>> = adds
        .iter()
        .map(|add| add.periods.iter().map(|period| add.id(*period)).collect())
        .collect();
    let mut rows = Rows::new();
    for (add, ids) in adds.iter().zip(&ids) {
        let of_periods = ids.iter().cloned().zip(add.periods.iter());
        rows.extend(of_periods.map(|(id, period)| (id, (*add, *period))));
    }
    let mut known = lock(connection, &rows).await?;
    // Behind the locks: their earlier holders have counted at earlier times.
    // Taken before: an answer that is late makes no count older.
    let asked = Instant::now();
    let now_ms: i64 = diesel::select(sql::<BigInt>(NOW_MS))
        .get_result(connection)
        .await?;
    let now = (asked, now_ms);
    let (mut notices, mut changed) = (Vec::new(), BTreeSet::new());
    let mut counted = Vec::with_capacity(adds.len());
    for (add, ids) in adds.iter().zip(&ids) {
        if !ids.iter().all(|id| known.contains_key(id)) {
            counted.push(Counted::Held);
            continue;
        }
        let before = notices.len();
        for (id, period) in ids.iter().zip(add.periods.iter()) {
            if let Some(windows) = known.get_mut(id) {
                notices.extend(add.count(*period, windows, now));
                changed.insert(id);
            }
        }
        let reached = notices.len() - before;
        counted.push(Counted::Added { reached });
    }
    for id in changed {
        if let (Some(windows), Some((_, period))) = (known.get(id), rows.get(id)) {
            diesel::update(warning_window::table.find(id))
                .set(WindowRow::of(windows, *period))
                .execute(connection)
                .await?;
        }
    }
    insert_notices(connection, &notices).await?;
    Ok(counted)
}

async fn insert_notices(connection: &mut Connection, notices: &[NewNotice<'_>]) -> QueryResult<()> {
    for chunk in notices.chunks(IN_ONE_STATEMENT) {
        diesel::insert_into(warning_notice::table)
            .values(chunk)
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// The windows of the rows that are locked from now on; those that are not there are made.
async fn lock(
    connection: &mut Connection,
    rows: &Rows<'_>,
) -> QueryResult<HashMap<String, Windows>> {
    let ids: Vec<&str> = rows.keys().map(String::as_str).collect();
    let mut locked = lock_existing(connection, &ids).await?;
    let existing = existing(connection, &ids).await?;
    let missing: Vec<&str> = ids
        .into_iter()
        .filter(|id| !existing.contains(*id))
        .collect();
    if !missing.is_empty() {
        // Two that make one row at once: the second waits for the first one's commit, and finds it.
        make(connection, rows, &missing).await?;
        locked.extend(lock_existing(connection, &missing).await?);
    }
    Ok(locked)
}

async fn lock_existing(
    connection: &mut Connection,
    ids: &[&str],
) -> QueryResult<HashMap<String, Windows>> {
    use warning_window::dsl;

    let mut locked = HashMap::new();
    for chunk in ids.chunks(IN_ONE_STATEMENT) {
        let rows: Vec<(String, WindowRow)> = warning_window::table
            .filter(dsl::id.eq_any(chunk))
            .order(dsl::id)
            .select((dsl::id, WindowRow::as_select()))
            .for_update()
            .skip_locked()
            .load(connection)
            .await?;
        locked.extend(rows.into_iter().map(|(id, row)| (id, row.windows())));
    }
    Ok(locked)
}

async fn existing(connection: &mut Connection, ids: &[&str]) -> QueryResult<BTreeSet<String>> {
    use warning_window::dsl;

    let mut existing = BTreeSet::new();
    for chunk in ids.chunks(IN_ONE_STATEMENT) {
        let found: Vec<String> = warning_window::table
            .filter(dsl::id.eq_any(chunk))
            .select(dsl::id)
            .load(connection)
            .await?;
        existing.extend(found);
    }
    Ok(existing)
}

async fn make(connection: &mut Connection, rows: &Rows<'_>, ids: &[&str]) -> QueryResult<()> {
    use warning_window::dsl;

    for chunk in ids.chunks(IN_ONE_STATEMENT) {
        let values: Vec<_> = chunk
            .iter()
            .filter_map(|id| Some((*id, rows.get(*id)?)))
            .map(|(id, (add, period))| {
                (
                    dsl::id.eq(id),
                    dsl::environment.eq(add.origin.environment.as_str()),
                    dsl::flag.eq(&*add.flag),
                    dsl::seconds.eq(period.seconds),
                    dsl::limit_count.eq(period.limit),
                    WindowRow::new(),
                )
            })
            .collect();
        // Changes nothing, and locks: an insert that fails, or does nothing, would leave the other's row as it is.
        diesel::insert_into(warning_window::table)
            .values(values)
            .on_conflict(same_id!(dsl::id))
            .do_update()
            .set(dsl::seconds.eq(dsl::seconds))
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// `idx_warning_window_ends` finds them.
pub(in crate::store) async fn trim(connection: &mut Connection) -> QueryResult<usize> {
    use warning_window::dsl;

    let ended = || sql::<BigInt>(NOW_MS) - WINDOW_KEPT_MS;
    let old: Vec<String> = warning_window::table
        .filter(dsl::ends_ms.lt(ended()))
        .filter((dsl::ends_ms + dsl::seconds * 1000).lt(ended()))
        .order(dsl::ends_ms)
        .select(dsl::id)
        .limit(i64::try_from(TRIM_ROWS).unwrap_or(i64::MAX))
        .for_update()
        .skip_locked()
        .load(connection)
        .await?;
    // One by one, by the key: a list of them may be read as the whole table, with rows that others have locked.
    for id in &old {
        diesel::delete(warning_window::table.find(id))
            .execute(connection)
            .await?;
    }
    Ok(old.len())
}
