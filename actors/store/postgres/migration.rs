//! How tables are altered here: each migration is a transaction, with its note.

use std::time::Duration;

use diesel::QueryResult;
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use tokio::time::timeout;

use super::dialect::Connection;
use super::errors::is_lock_timeout;
use super::server::migrate::{OTHERS_ARE_AT_IT, failed, run};
use crate::address::{NoConnection, postgres::sessions};
use crate::config::Secret;
use crate::store::error::DbError;
use crate::store::migrations::{self, Migration, note};

pub(super) const MIGRATIONS: &[Migration] = migrations::POSTGRES;

pub(super) const TABLES: &str =
    "SELECT tablename::text AS name FROM pg_tables WHERE schemaname = current_schema()";

/// Goes before statements that ask for rights.
pub(super) const RIGHTS_PRELUDE: &str = "";

/// A number of ours among the advisory locks of the database, which users may take too.
const LOCK: &str =
    "SET lock_timeout = '600s'; SELECT pg_advisory_lock(7305804402566852); SET lock_timeout = '2s'";
const UNLOCK: &str = "SELECT pg_advisory_unlock(7305804402566852)";

pub(super) async fn lock_migrations(connection: &mut Connection) -> Result<(), DbError> {
    match connection.batch_execute(LOCK).await {
        Ok(()) => Ok(()),
        Err(error) if is_lock_timeout(connection, &error).await => {
            Err(DbError::Migrate(OTHERS_ARE_AT_IT.to_owned()))
        }
        Err(error) => Err(failed(error)),
    }
}

pub(super) async fn unlock_migrations(connection: &mut Connection) -> QueryResult<()> {
    connection.batch_execute(UNLOCK).await
}

/// As one message: a transaction that is rolled back whole when one of its statements fails.
pub(super) async fn run_migration(
    connection: &mut Connection,
    migration: &'static Migration,
) -> Result<(), DbError> {
    let mut statements = migration.statements();
    statements.push(note(&migration.version()));
    run(connection, &[statements.join(";\n")], migration).await
}

/// The name of the program and its version, for people.
pub(super) fn program(version: &str) -> String {
    // `PostgreSQL 15.18 (Debian …) on x86_64-pc-linux-gnu, compiled by …`
    let words: Vec<&str> = version.split_whitespace().take(2).collect();
    words.join(" ")
}

/// The oldest that is still kept by its makers when this was written.
const OLDEST: u32 = 13;

pub(super) fn refuse_old(version: &str) -> Result<(), DbError> {
    let number = version.split_whitespace().nth(1).unwrap_or(version);
    let major = number.split(|c: char| !c.is_ascii_digit()).next();
    let major: u32 = major.and_then(|digits| digits.parse().ok()).unwrap_or(0);
    if major >= OLDEST {
        return Ok(());
    }
    Err(DbError::Migrate(format!(
        "the server is {version}; wanted PostgreSQL {OLDEST} or newer"
    )))
}

#[derive(diesel::QueryableByName)]
struct Setting {
    #[diesel(sql_type = diesel::sql_types::Text)]
    setting: String,
}

/// A pooler that hangs must not hold up the start for ever.
const SESSION_PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn refuse_lent_sessions(url: &Secret) -> Result<(), DbError> {
    let tried = timeout(SESSION_PATIENCE, sessions::refuse_lent(url.expose())).await;
    match tried {
        Ok(Ok(())) => Ok(()),
        Ok(Err(NoConnection::Denied(why))) => Err(DbError::Denied(why)),
        Ok(Err(NoConnection::Away(why))) => Err(DbError::Away(why)),
        Err(_) => Err(DbError::Away(format!(
            "no answer for {} s",
            SESSION_PATIENCE.as_secs()
        ))),
    }
}

/// What the migrations need and we do not have. A table is altered by its owner only.
pub(super) async fn missing_rights(connection: &mut Connection) -> Result<Vec<String>, DbError> {
    const ASK: &str = "
        SELECT 'CREATE on the schema ' || current_schema() AS setting
        WHERE NOT has_schema_privilege(current_schema(), 'CREATE')
        UNION ALL
        SELECT 'ownership of the table ' || tablename FROM pg_tables
        WHERE schemaname = current_schema()
          AND tablename IN ('crontab_log', 'delay_queue_log', 'queue_message')
          AND NOT pg_has_role(current_user, tableowner, 'USAGE')";
    let asked: QueryResult<Vec<Setting>> = diesel::sql_query(ASK).load(connection).await;
    let missing = asked.map_err(failed)?.into_iter().map(|row| row.setting);
    Ok(missing.collect())
}

/// In `SQL_ASCII` a text may be any bytes, and in other encodings most characters of names, results and errors cannot be
/// written.
pub(super) async fn refuse_settings(connection: &mut Connection) -> Result<(), DbError> {
    let asked: QueryResult<Setting> =
        diesel::sql_query("SELECT current_setting('server_encoding') AS setting")
            .get_result(connection)
            .await;
    match asked.map_err(failed)?.setting.as_str() {
        "UTF8" => Ok(()),
        encoding => Err(DbError::Migrate(format!(
            "the database's encoding is {encoding}; `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0` \
             makes one that is right"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_are_refused() {
        for good in [
            "PostgreSQL 13.0",
            "PostgreSQL 15.18 (Debian) on x",
            "PostgreSQL 18beta1",
        ] {
            assert!(refuse_old(good).is_ok(), "{good}");
        }
        for old in ["PostgreSQL 12.22", "PostgreSQL 9.6.24", ""] {
            assert!(refuse_old(old).is_err(), "{old}");
        }
        assert_eq!(
            program("PostgreSQL 15.18 (Debian) on x"),
            "PostgreSQL 15.18"
        );
    }
}
