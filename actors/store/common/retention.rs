//! Deletes what has been kept for as long as the settings say.
//!
//! Both tables grow at their end: the oldest rows are those with the lowest ids. A walk begins at the first of them and
//! ends where they are young; rows that are kept among the old ones are passed.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::dialect::{self, Connection, RunQueryDsl, crontab_log};
use super::part::leaving_out;
use crate::store::columns::RUN_ENDED;
use crate::store::retention::{is_old_run, more_after, trimmed};
use crate::store::schema::{audit, cron_run, dead_letter};
use crate::store::write::{TRIM_ROWS, TrimAudit, TrimCrontabLog, TrimDeadLetters, Trimmed};

/// A run that is open keeps its row, however old.
pub(in crate::store) async fn trim_crontab_log(
    connection: &mut Connection,
    &TrimCrontabLog {
        before_ms,
        after_id,
    }: &TrimCrontabLog,
) -> QueryResult<Trimmed> {
    use crontab_log::dsl;

    let oldest: Vec<(i64, String, i64)> = crontab_log::table
        .filter(dsl::id.gt(after_id))
        .order(dsl::id)
        .select((
            dsl::id,
            sql::<Text>("COALESCE(uk, '')"),
            sql::<BigInt>("COALESCE(start_time, 0)"),
        ))
        .limit(i64::try_from(TRIM_ROWS).unwrap_or(i64::MAX))
        .load(connection)
        .await?;
    let more_after_id = more_after(&oldest, |(id, _, start_time)| {
        (*id, *start_time < before_ms)
    });
    let old = oldest.into_iter();
    let mut old: Vec<_> = old
        .filter(|(_, _, start_time)| is_old_run(*start_time, before_ms))
        .collect();
    if old.is_empty() {
        return Ok(trimmed(0, more_after_id));
    }
    let open: Vec<String> = cron_run::table
        .filter(cron_run::dsl::uk.eq_any(old.iter().map(|(_, uk, _)| uk.as_str())))
        .filter(cron_run::dsl::state.ne(RUN_ENDED))
        .select(cron_run::dsl::uk)
        .load(connection)
        .await?;
    old.retain(|(_, uk, _)| !open.contains(uk));
    let ids: Vec<i64> = old.into_iter().map(|(id, ..)| id).collect();
    let delete = async |connection: &mut Connection, ids: &[i64]| {
        diesel::delete(crontab_log::table.filter(dsl::id.eq_any(ids)))
            .execute(connection)
            .await
    };
    let deleted = leaving_out(connection, "crontab_log", &ids, delete).await?;
    Ok(trimmed(deleted, more_after_id))
}

pub(in crate::store) async fn trim_dead_letters(
    connection: &mut Connection,
    &TrimDeadLetters {
        before_ms,
        after_id,
    }: &TrimDeadLetters,
) -> QueryResult<Trimmed> {
    use dead_letter::dsl;

    let oldest: Vec<(i64, i64)> = dialect::for_update_skip_locked!(
        dead_letter::table
            .filter(dsl::id.gt(after_id))
            .order(dsl::id)
            .select((dsl::id, dsl::died_ms))
            .limit(i64::try_from(TRIM_ROWS).unwrap_or(i64::MAX))
    )
    .load(connection)
    .await?;
    let more_after_id = more_after(&oldest, |(id, died)| (*id, *died < before_ms));
    let old = oldest.into_iter().filter(|(_, died)| *died < before_ms);
    let ids: Vec<i64> = old.map(|(id, _)| id).collect();
    if ids.is_empty() {
        return Ok(trimmed(0, more_after_id));
    }
    let delete = async |connection: &mut Connection, ids: &[i64]| {
        diesel::delete(dead_letter::table.filter(dsl::id.eq_any(ids)))
            .execute(connection)
            .await
    };
    let deleted = leaving_out(connection, "dead_letter", &ids, delete).await?;
    Ok(trimmed(deleted, more_after_id))
}

/// `idx_audit_at` finds them.
pub(in crate::store) async fn trim_audit(
    connection: &mut Connection,
    &TrimAudit { before_ms }: &TrimAudit,
) -> QueryResult<usize> {
    use audit::dsl;

    let old: Vec<i64> = dialect::for_update_skip_locked!(
        audit::table
            .filter(dsl::at_ms.lt(before_ms))
            .order(dsl::at_ms)
            .select(dsl::id)
            .limit(i64::try_from(TRIM_ROWS).unwrap_or(i64::MAX))
    )
    .load(connection)
    .await?;
    diesel::delete(audit::table.filter(dsl::id.eq_any(old)))
        .execute(connection)
        .await
}
