//! How tables are altered here: one statement at a time, as MySQL's DDL is not transactional. Each step looks first
//! whether it is done, so one that was interrupted is simply run again.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};

use super::dialect::Connection;
use super::migrate::{OTHERS_ARE_AT_IT, failed, run};
use crate::db::error::DbError;
use crate::db::migrations::{self, Migration, note};

pub(super) const MIGRATIONS: &[Migration] = migrations::MYSQL;

pub(super) const TABLES: &str =
    "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()";

/// Others may be at it for as long as a step has patience.
const LOCK: &str = "SELECT GET_LOCK(CONCAT('simplest_script/', MD5(DATABASE())), 600) AS answer";
const UNLOCK: &str = "DO RELEASE_LOCK(CONCAT('simplest_script/', MD5(DATABASE())))";

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Nullable<BigInt>)]
    answer: Option<i64>,
}

pub(super) async fn lock_migrations(connection: &mut Connection) -> Result<(), DbError> {
    let asked: QueryResult<Answer> = diesel::sql_query(LOCK).get_result(connection).await;
    match asked.map_err(failed)?.answer {
        Some(1) => Ok(()),
        _ => Err(DbError::Migrate(OTHERS_ARE_AT_IT.to_owned())),
    }
}

pub(super) async fn unlock_migrations(connection: &mut Connection) -> QueryResult<()> {
    connection.batch_execute(UNLOCK).await
}

pub(super) async fn run_migration(
    connection: &mut Connection,
    migration: &'static Migration,
) -> Result<(), DbError> {
    run(connection, &migration.statements(), migration).await?;
    run(connection, &[note(&migration.version())], migration).await
}

/// The name of the program and its version, for people.
pub(super) fn program(version: &str) -> String {
    let program = if version.contains("MariaDB") {
        "MariaDB"
    } else {
        "MySQL"
    };
    format!("{program} {version}")
}

/// `SKIP LOCKED` and `ALGORITHM=INSTANT` came with these.
pub(super) fn refuse_old(version: &str) -> Result<(), DbError> {
    let wanted = if version.contains("MariaDB") {
        (10, 6, 0)
    } else {
        (8, 0, 12)
    };
    // MariaDB may stand behind a prefix for old replicas: `5.5.5-10.11.6-MariaDB`.
    let told = version.strip_prefix("5.5.5-").unwrap_or(version);
    let mut numbers = told
        .split(|c: char| !c.is_ascii_digit())
        .map(|number| number.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0_u32);
    let found = (next(), next(), next());
    if found >= wanted {
        return Ok(());
    }
    Err(DbError::Migrate(format!(
        "the server is {version}; wanted MySQL 8.0.12 or MariaDB 10.6, or newer"
    )))
}

#[derive(QueryableByName)]
struct Variable {
    #[diesel(sql_type = Text, column_name = "Variable_name")]
    name: String,
    #[diesel(sql_type = Text, column_name = "Value")]
    value: String,
}

/// InnoDB takes no write of a READ COMMITTED transaction that would have to be logged as its statement.
pub(super) async fn refuse_settings(connection: &mut Connection) -> Result<(), DbError> {
    let ask = "SHOW VARIABLES WHERE Variable_name IN ('log_bin', 'binlog_format')";
    let asked: QueryResult<Vec<Variable>> = diesel::sql_query(ask).load(connection).await;
    let set: Vec<(String, String)> = asked
        .map_err(failed)?
        .into_iter()
        .map(|variable| (variable.name, variable.value))
        .collect();
    let is = |name: &str, wanted: &str| {
        let mut of_name = set.iter().filter(|(set, _)| set == name);
        of_name.any(|(_, value)| value == wanted)
    };
    match is("log_bin", "ON") && is("binlog_format", "STATEMENT") {
        true => Err(DbError::Migrate(
            "the server writes its binary log with `binlog_format = STATEMENT`, which refuses every write of ours; \
             `MIXED` or `ROW` would be right"
                .to_owned(),
        )),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_are_refused() {
        for good in [
            "8.0.12",
            "8.4.0",
            "9.1.0-log",
            "10.6.0-MariaDB",
            "5.5.5-10.11.6-MariaDB-1",
            "11.4.2-MariaDB",
        ] {
            assert!(refuse_old(good).is_ok(), "{good}");
        }
        for old in [
            "5.7.44",
            "8.0.11",
            "10.5.28-MariaDB",
            "5.5.5-10.4.1-MariaDB",
            "",
        ] {
            assert!(refuse_old(old).is_err(), "{old}");
        }
    }
}
