//! Brings the tables up to date while others use them, and inspects them for `check`.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use tokio::time::timeout;

use super::dialect::{self, Connection, MIGRATIONS};
use super::{connect, ours};
use crate::config::Secret;
use crate::store::error::DbError;
use crate::store::migrations::{Migration, VERSIONS};
use crate::store::rows::{COUNT_CAP, Inspection};

/// How long a step that alters a table is tried. The step waits for transactions that use the table, and all others
/// wait behind it. So it gives up soon (the lock time-out is 2 s), lets the others through, and tries again.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(500);
/// A server that answers at all answers this by then.
const PING_PATIENCE: Duration = Duration::from_secs(5);

/// What helps where a right is missing.
const PRINTED: &str =
    "`simplest_script migrate --print` shows the statements, for someone who may run them";

pub(in crate::store) const OTHERS_ARE_AT_IT: &str =
    "another daemon has been bringing the tables up to date for 10 minutes";

/// The tables that are counted for people; a database on a server may have many others.
pub(super) const OURS: [&str; 17] = [
    "crontab_log",
    "delay_queue_log",
    "boot",
    "queue_message",
    "dead_letter",
    "death",
    "cron_entry",
    "cron_run",
    "commit_mark",
    "warning_window",
    "warning_notice",
    "warning_sender",
    "pause",
    "audit",
    "daemon_order",
    "idempotency_key",
    "rate_limit",
];

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    counted: i64,
}

/// The server's error about a query, as long as it goes on answering: see `judged`.
pub(in crate::store) fn failed(error: diesel::result::Error) -> DbError {
    DbError::Migrate(error.to_string())
}

/// A connection that breaks is an outage like any other: the next try begins anew.
async fn judged<T>(connection: &mut Connection, answer: Result<T, DbError>) -> Result<T, DbError> {
    let Err(DbError::Migrate(why)) = answer else {
        return answer;
    };
    match timeout(PING_PATIENCE, connection.batch_execute("SELECT 1")).await {
        Ok(Ok(())) => Err(DbError::Migrate(why)),
        Ok(Err(_)) | Err(_) => Err(DbError::Away(why)),
    }
}

/// Answers the versions that were done.
pub(super) async fn migrate(url: Secret) -> Result<Vec<String>, DbError> {
    dialect::refuse_lent_sessions(&url).await?;
    let mut connection = connect::open(&url).await?;
    let done = bring_up_to_date(&mut connection).await;
    judged(&mut connection, done).await
}

async fn bring_up_to_date(connection: &mut Connection) -> Result<Vec<String>, DbError> {
    dialect::refuse_old(&version(connection).await?)?;
    dialect::refuse_settings(connection).await?;
    // The usual start finds nothing to do, and waits for nobody.
    if pending(connection).await?.is_empty() {
        ours::refuse_misfits(connection).await?;
        ours::refuse_missing_rights(connection).await?;
        return Ok(Vec::new());
    }
    // Of two daemons that start at once the second waits here, and then finds nothing to do. The lock goes with the
    // connection.
    dialect::lock_migrations(connection).await?;
    let pending = pending(connection).await?;
    let there = tables(connection).await?;
    ours::refuse_strangers(connection, &pending, &there).await?;
    let versions = connection.batch_execute(VERSIONS).await;
    versions.map_err(|error| match failed(error) {
        DbError::Migrate(why) => DbError::Migrate(format!("{why}; {PRINTED}")),
        away => away,
    })?;
    let mut done = Vec::new();
    for migration in pending {
        dialect::run_migration(connection, migration).await?;
        done.push(migration.version());
    }
    dialect::unlock_migrations(connection)
        .await
        .map_err(failed)?;
    ours::refuse_misfits(connection).await?;
    ours::refuse_missing_rights(connection).await?;
    Ok(done)
}

/// Runs statements of one migration; one that did not get its lock is tried again.
pub(in crate::store) async fn run(
    connection: &mut Connection,
    statements: &[String],
    migration: &Migration,
) -> Result<(), DbError> {
    for statement in statements {
        let begun = Instant::now();
        loop {
            match connection.batch_execute(statement).await {
                Ok(()) => break,
                Err(error)
                    if begun.elapsed() < PATIENCE
                        && dialect::is_lock_timeout(connection, &error).await =>
                {
                    if begun.elapsed() < PAUSE * 8 {
                        log::info!(
                            "the migration {} waits for a transaction that uses its table",
                            migration.name
                        );
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => {
                    return Err(DbError::Migrate(format!(
                        "{}: {error}; {PRINTED}",
                        migration.name
                    )));
                }
            }
        }
    }
    Ok(())
}

/// What is still to be done, in order.
async fn pending(connection: &mut Connection) -> Result<Vec<&'static Migration>, DbError> {
    let done: BTreeSet<String> = if tables(connection)
        .await?
        .contains("__diesel_schema_migrations")
    {
        let done: Vec<Name> =
            diesel::sql_query("SELECT version AS name FROM __diesel_schema_migrations")
                .load(connection)
                .await
                .map_err(failed)?;
        done.into_iter().map(|row| row.name).collect()
    } else {
        BTreeSet::new()
    };
    let pending = MIGRATIONS
        .iter()
        .filter(|migration| !done.contains(&migration.version()));
    Ok(pending.collect())
}

async fn tables(connection: &mut Connection) -> Result<BTreeSet<String>, DbError> {
    let tables: Vec<Name> = diesel::sql_query(dialect::TABLES)
        .load(connection)
        .await
        .map_err(failed)?;
    Ok(tables.into_iter().map(|table| table.name).collect())
}

async fn version(connection: &mut Connection) -> Result<String, DbError> {
    let version: Name = diesel::sql_query("SELECT version() AS name")
        .get_result(connection)
        .await
        .map_err(failed)?;
    Ok(version.name)
}

/// Looks and changes nothing.
pub(super) async fn inspect(url: Secret) -> Result<Inspection, DbError> {
    dialect::refuse_lent_sessions(&url).await?;
    let mut connection = connect::open(&url).await?;
    let found = read_all(&mut connection).await;
    judged(&mut connection, found).await
}

async fn read_all(connection: &mut Connection) -> Result<Inspection, DbError> {
    let version = version(connection).await?;
    dialect::refuse_old(&version)?;
    dialect::refuse_settings(connection).await?;
    let there = tables(connection).await?;
    let mut counts = Vec::new();
    for table in OURS.iter().filter(|table| there.contains(**table)) {
        // One more than the cap, to distinguish "exactly the cap" from "more".
        let count: Count = diesel::sql_query(format!(
            "SELECT COUNT(*) AS counted FROM (SELECT 1 AS one FROM {table} LIMIT {}) AS capped",
            COUNT_CAP + 1
        ))
        .get_result(connection)
        .await
        .map_err(failed)?;
        counts.push((
            (*table).to_owned(),
            u64::try_from(count.counted).unwrap_or(0),
        ));
    }
    let pending = pending(connection).await?;
    let missing_rights = match pending.is_empty() {
        true => {
            ours::refuse_missing_rights(connection).await?;
            Vec::new()
        }
        false => dialect::missing_rights(connection).await?,
    };
    Ok(Inspection {
        version: dialect::program(&version),
        exists: true,
        size_bytes: None,
        pending: pending
            .iter()
            .map(|migration| migration.version())
            .collect(),
        missing_rights,
        tables: counts,
    })
}
