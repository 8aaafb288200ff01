//! The database: DbActor, the only writer, and one adapter per database behind it.

mod actor;
mod apart;
mod batch;
mod begin;
#[allow(
    dead_code,
    unused_imports,
    reason = "the pages that show it are being written"
)]
pub(crate) mod browse;
mod commit_delay;
pub(crate) mod daemon_orders;
mod error;
mod former;
mod handle;
mod headers;
mod heart;
mod lane;
pub(crate) mod letters;
mod liveness;
mod made_letters;
mod migrations;
#[expect(
    clippy::duplicate_mod,
    reason = "what is the same on every server is compiled once for each, with its connection"
)]
mod mysql;
mod postgres;
mod raw_task;
mod read_outage;
mod retention;
pub(crate) mod rows;
mod runs;
mod schema;
mod sqlite;
mod status;
mod store;
#[cfg(test)]
mod suite;
pub(crate) mod task_orders;
#[cfg(test)]
mod tests;
pub(crate) mod text;
mod verdict;
mod views;
pub(crate) mod warnings;
mod windows;
mod write;

use std::sync::Arc;

use self::mysql::MysqlStore;
use self::postgres::PostgresStore;
use self::sqlite::SqliteStore;
use crate::config::{DatabaseSettings, DatabaseUrl};

pub(crate) use self::actor::{DbActor, outage_of};
pub use self::error::DbError;
pub(crate) use self::handle::Db;
pub(crate) use self::heart::Heartbeats;
pub(crate) use self::liveness::{Liveness, Standing, may_start};
pub(crate) use self::read_outage::ReadOutage;
pub(crate) use self::status::{WAITING, is_ahead};
#[cfg(test)]
pub(crate) use self::store::Applied;
pub(crate) use self::store::Store;
pub(crate) use self::store::{Reader, Writer};
pub(crate) use self::windows::MOST_MESSAGES;
#[cfg(test)]
pub(crate) use self::write::Write;
pub(crate) use self::write::{Most, TRIM_ROWS};

/// The adapter for the daemon's own database.
pub(crate) fn store(settings: &DatabaseSettings) -> Arc<dyn Store> {
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
