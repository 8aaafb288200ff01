//! Counts of warnings.

use std::time::Instant;

use diesel::prelude::*;

use super::connection::{Connection, RunQueryDsl};
use crate::clock::now_ms;
use crate::store::schema::warning_notice;
use crate::store::schema::warning_window::{self, dsl};
use crate::store::warnings::{CountAdd, Counted, WINDOW_KEPT_MS, WindowRow};
use crate::store::windows::Windows;
use crate::store::write::TRIM_ROWS;

pub(super) async fn add(connection: &mut Connection, add: &CountAdd) -> QueryResult<Counted> {
    let now = (Instant::now(), now_ms());
    let mut reached = 0;
    for period in add.periods.iter().copied() {
        let id = add.id(period);
        let row = warning_window::table.find(&id);
        let known: Option<WindowRow> = row
            .select(WindowRow::as_select())
            .first(connection)
            .await
            .optional()?;
        let mut windows = known
            .as_ref()
            .map_or_else(Windows::default, WindowRow::windows);
        let notices = add.count(period, &mut windows, now);
        let counted = WindowRow::of(&windows, period);
        if known.is_some() {
            diesel::update(row).set(counted).execute(connection).await?;
        } else {
            diesel::insert_into(warning_window::table)
                .values((
                    dsl::id.eq(&id),
                    dsl::environment.eq(&add.origin.environment),
                    dsl::flag.eq(&*add.flag),
                    dsl::seconds.eq(period.seconds),
                    dsl::limit_count.eq(period.limit),
                    counted,
                ))
                .execute(connection)
                .await?;
        }
        reached += notices.len();
        // One by one: of several diesel makes a transaction of its own, within ours.
        for notice in notices {
            diesel::insert_into(warning_notice::table)
                .values(notice)
                .execute(connection)
                .await?;
        }
    }
    Ok(Counted::Added { reached })
}

/// `idx_warning_window_ends` finds them.
pub(super) async fn trim(connection: &mut Connection) -> QueryResult<usize> {
    let ended = now_ms() - WINDOW_KEPT_MS;
    let old: Vec<String> = warning_window::table
        .filter(dsl::ends_ms.lt(ended))
        .filter((dsl::ends_ms + dsl::seconds * 1000).lt(ended))
        .order(dsl::ends_ms)
        .select(dsl::id)
        .limit(i64::try_from(TRIM_ROWS).unwrap_or(i64::MAX))
        .load(connection)
        .await?;
    diesel::delete(warning_window::table.filter(dsl::id.eq_any(old)))
        .execute(connection)
        .await
}
