//! What a database must do for the daemon, and one adapter for each database: its rows, its writes, its statements.

pub(crate) mod browse;
mod claim_outcome;
mod claims;
pub(crate) mod columns;
mod cron_run;
pub(crate) mod daemon_orders;
pub(crate) mod dead_letter;
pub(crate) mod error;
mod error_class;
mod former;
pub(crate) mod headers;
pub(crate) mod idempotency;
pub(crate) mod made_dead_letters;
mod migrations;
#[expect(
    clippy::duplicate_mod,
    reason = "what is the same on every database is compiled once for each, with its connection"
)]
mod mysql;
mod parts;
pub(crate) mod permits;
#[expect(clippy::duplicate_mod, reason = "see `mysql`")]
mod postgres;
mod raw_task;
mod retention;
pub(crate) mod rows;
mod schema;
mod sqlite;
mod statements;
#[cfg(test)]
mod suite;
pub(crate) mod task_orders;
pub(crate) mod traces;
pub(crate) mod traits;
pub(crate) mod truncate;
mod views;
pub(crate) mod warnings;
pub(crate) mod windows;
pub(crate) mod write;

use std::sync::Arc;

pub(crate) use self::columns::{WAITING, is_ahead};
pub use self::error::DbError;
use self::mysql::MysqlStore;
use self::postgres::PostgresStore;
use self::sqlite::SqliteStore;
#[cfg(test)]
pub(crate) use self::traits::Applied;
pub(crate) use self::traits::{Reader, Store, Writer};
pub(crate) use self::windows::MOST_MESSAGES;
#[cfg(test)]
pub(crate) use self::write::Write;
pub(crate) use self::write::{Most, TRIM_ROWS};
use crate::config::{DatabaseSettings, DatabaseUrl};

/// The adapter for the daemon's own database.
pub(crate) fn adapter(settings: &DatabaseSettings) -> Arc<dyn Store> {
    let address = settings.url.redacted();
    let connections = settings.max_connections.get();
    match &settings.url {
        DatabaseUrl::Sqlite(path) => Arc::new(SqliteStore::new(path.clone())),
        DatabaseUrl::Mysql(url) => Arc::new(MysqlStore::new(url.clone(), address, connections)),
        DatabaseUrl::Postgres(url) => {
            Arc::new(PostgresStore::new(url.clone(), address, connections))
        }
    }
}
