//! Whether the tables are ours. A database on a server may be another program's too, and some of our tables have common
//! names; a table that does not fit is reported at the start, not by every write.

use std::collections::BTreeSet;

use diesel::prelude::*;
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};

use super::dialect::{self, Connection, RIGHTS_PRELUDE};
use super::schema::{commit_mark, delay_queue_log};
use crate::store::error::DbError;
use crate::store::migrations::Migration;
use crate::store::schema::{
    audit, boot, cron_entry, cron_run, daemon_order, dead_letter, death, idempotency_key, pause,
    queue_message, rate_limit, warning_notice, warning_sender, warning_window,
};

/// Each of our tables, with columns that it has from its beginning, and the end of the migration's name that makes it.
/// (The Go project's are meant to be there.)
const MADE_BY: [(&str, &str, &str); 15] = [
    ("boot", "owner, heartbeat_ms", "_boot"),
    ("queue_message", "payload, fence", "_queue_message"),
    ("dead_letter", "kind, died_ms", "_dead_letter"),
    ("cron_entry", "partition_name, entry", "_cron"),
    ("cron_run", "entry, scheduled_ms", "_cron"),
    ("death", "source, message_id", "_death"),
    ("commit_mark", "writer, marked_ms", "_commit_mark"),
    ("warning_window", "flag, limit_count", "_warning"),
    ("warning_notice", "flag, limit_count", "_warning"),
    ("warning_sender", "owner, environment", "_warning"),
    ("pause", "environment, since_ms", "_orders"),
    ("audit", "ordered_by, at_ms", "_orders"),
    ("daemon_order", "uk, ordered_ms", "_daemon_order"),
    ("idempotency_key", "content, row_id", "_idempotency"),
    ("rate_limit", "shown, free_us", "_rate_limit"),
];

/// Every table, with a column of it.
const WRITTEN: [(&str, &str); 17] = [
    ("crontab_log", "name"),
    ("delay_queue_log", "name"),
    ("boot", "owner"),
    ("queue_message", "queue"),
    ("dead_letter", "kind"),
    ("death", "kind"),
    ("cron_entry", "entry"),
    ("cron_run", "entry"),
    ("commit_mark", "writer"),
    ("warning_window", "flag"),
    ("warning_notice", "flag"),
    ("warning_sender", "owner"),
    ("pause", "name"),
    ("audit", "target"),
    ("daemon_order", "name"),
    ("idempotency_key", "key_name"),
    ("rate_limit", "name"),
];

/// Before anything is altered: tables of our names that are there, and that we are about to make. One that a migration of
/// ours made before it was interrupted is as it makes it.
pub(super) async fn refuse_strangers(
    connection: &mut Connection,
    pending: &[&Migration],
    there: &BTreeSet<String>,
) -> Result<(), DbError> {
    for (table, columns, made_by) in MADE_BY {
        let to_be_made = pending
            .iter()
            .any(|migration| migration.name.ends_with(made_by));
        if to_be_made && there.contains(table) {
            let probe = format!("SELECT {columns} FROM {table} LIMIT 0");
            let probed = connection.batch_execute(&probe).await;
            refuse_misfit(connection, table, probed).await?;
        }
    }
    Ok(())
}

/// Of all tables, whether they have the columns that are needed.
pub(super) async fn refuse_misfits(connection: &mut Connection) -> Result<(), DbError> {
    macro_rules! probe {
        ($($table:ident)*) => {
            $(
                let columns = $table::table.limit(0).execute(connection).await;
                refuse_misfit(connection, stringify!($table), columns.map(drop)).await?;
            )*
        };
    }
    probe!(delay_queue_log boot queue_message dead_letter death cron_entry cron_run commit_mark);
    probe!(warning_window warning_notice warning_sender pause audit daemon_order idempotency_key rate_limit);
    Ok(())
}

/// Whether we may read and write each of our tables. A right that is missing would refuse each write of its kind, and the
/// database is all there is: so it ends the start. Nothing is read or changed, as no row meets the condition.
pub(super) async fn refuse_missing_rights(connection: &mut Connection) -> Result<(), DbError> {
    for (table, column) in WRITTEN {
        let statements = format!(
            "{RIGHTS_PRELUDE}SELECT {column} FROM {table} WHERE 1 = 0; \
             INSERT INTO {table} ({column}) SELECT {column} FROM {table} WHERE 1 = 0; \
             UPDATE {table} SET {column} = {column} WHERE 1 = 0; \
             DELETE FROM {table} WHERE 1 = 0"
        );
        let Err(error) = connection.batch_execute(&statements).await else {
            continue;
        };
        // A lock time-out proves the rights: the server checks them before it waits for the lock.
        if !dialect::is_lock_timeout(connection, &error).await {
            return Err(DbError::Migrate(format!(
                "{error}; `SELECT`, `INSERT`, `UPDATE` and `DELETE` on the table `{table}` are needed"
            )));
        }
    }
    Ok(())
}

async fn refuse_misfit(
    connection: &mut Connection,
    table: &str,
    columns: QueryResult<()>,
) -> Result<(), DbError> {
    match columns {
        Ok(()) => Ok(()),
        // Another transaction has locked it, so it exists.
        Err(error) if dialect::is_lock_timeout(connection, &error).await => Ok(()),
        Err(error) => Err(DbError::Migrate(format!(
            "the table `{table}` is not as this program makes it: {error}; where another program has a table of this \
             name, give one of the two a database of its own"
        ))),
    }
}
