//! How tables are altered here: one statement at a time, as MySQL's DDL is not transactional. Each step checks first
//! whether it is done, so one that was interrupted is simply run again.

use std::future::{Ready, ready};

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};

use super::dialect::Connection;
use super::server::migrate::{OTHERS_ARE_AT_IT, failed, run};
use crate::config::Secret;
use crate::store::error::DbError;
use crate::store::migrations::{self, Migration, note};

pub(super) const MIGRATIONS: &[Migration] = migrations::MYSQL;

pub(super) const TABLES: &str =
    "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()";

/// Goes before statements that ask for rights, on a connection that does nothing else after them. MariaDB in strict mode
/// wants a value for each column without a default, of an insert without rows too.
pub(super) const RIGHTS_PRELUDE: &str = "SET SESSION sql_mode = ''; ";

/// The lock of one database's migrations. A lock's name has at most 64 characters, those of a database alone may be as
/// many. MySQL 9.7 has no `MD5` any more.
macro_rules! lock_name {
    () => {
        "CONCAT('simplest_script/', LEFT(SHA2(DATABASE(), 256), 40))"
    };
}

/// Waits up to 600 s: others may be at it for as long as a step has patience.
const LOCK: &str = concat!("SELECT GET_LOCK(", lock_name!(), ", 600) AS answer");
const UNLOCK: &str = concat!("DO RELEASE_LOCK(", lock_name!(), ")");

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

#[derive(QueryableByName)]
struct Variable {
    #[diesel(sql_type = Text, column_name = "Variable_name")]
    name: String,
    #[diesel(sql_type = Text, column_name = "Value")]
    value: String,
}

/// None is known that would: ProxySQL and MaxScale keep a connection's session from its first `SET` on.
pub(super) fn refuse_lent_sessions(_: &Secret) -> Ready<Result<(), DbError>> {
    ready(Ok(()))
}

#[derive(QueryableByName)]
struct Right {
    #[diesel(sql_type = Text)]
    name: String,
}

/// What the migrations need and our grants do not have, as far as they can be seen: none is named where a role is active,
/// whose grants may hold more.
pub(super) async fn missing_rights(connection: &mut Connection) -> Result<Vec<String>, DbError> {
    // A grant on a database names it by a pattern.
    const ASK: &str = "
        SELECT needed.name FROM
            (SELECT 'CREATE' AS name UNION ALL SELECT 'ALTER' UNION ALL SELECT 'INDEX') AS needed,
            (SELECT CONCAT(\"'\", REPLACE(CURRENT_USER(), '@', \"'@'\"), \"'\") AS user) AS me
        WHERE COALESCE(NULLIF(CURRENT_ROLE(), 'NONE'), '') = ''
          AND NOT EXISTS (SELECT 1 FROM information_schema.user_privileges AS u
                          WHERE u.privilege_type = needed.name AND u.grantee = me.user)
          AND NOT EXISTS (SELECT 1 FROM information_schema.schema_privileges AS s
                          WHERE s.privilege_type = needed.name AND s.grantee = me.user
                            AND DATABASE() LIKE s.table_schema)";
    let asked: QueryResult<Vec<Right>> = diesel::sql_query(ASK).load(connection).await;
    let missing = asked.map_err(failed)?.into_iter();
    Ok(missing
        .map(|right| format!("{} on the database", right.name))
        .collect())
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
