//! How tables are altered here: each migration is a transaction, with its note.

use diesel::QueryResult;
use diesel_async::SimpleAsyncConnection;

use super::dialect::Connection;
use super::errors::is_lock_timeout;
use super::migrate::{OTHERS_ARE_AT_IT, failed, run};
use crate::db::error::DbError;
use crate::db::migrations::{self, Migration, note};

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
    let locked = connection.batch_execute(LOCK).await;
    locked.map_err(|error| match is_lock_timeout(&error) {
        true => DbError::Migrate(OTHERS_ARE_AT_IT.to_owned()),
        false => failed(error),
    })
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

/// None of them matters here.
pub(super) async fn refuse_settings(_: &mut Connection) -> Result<(), DbError> {
    Ok(())
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
