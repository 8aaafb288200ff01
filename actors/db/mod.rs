//! The database: DbActor, the only writer, and one adapter per database behind it.

mod actor;
mod error;
mod handle;
pub(crate) mod letters;
mod liveness;
pub(crate) mod rows;
mod schema;
mod sqlite;
mod status;
mod store;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod tests;
pub(crate) mod text;
mod write;

use std::sync::Arc;

use self::sqlite::SqliteStore;
use crate::config::DatabaseUrl;

pub(crate) use self::actor::{DbActor, Heartbeats};
pub use self::error::DbError;
pub(crate) use self::handle::Db;
pub(crate) use self::liveness::{Liveness, Standing, may_start};
#[cfg(test)]
pub(crate) use self::store::{Applied, Writer};
pub(crate) use self::store::{Reader, Store};
pub(crate) use self::write::TRIM_ROWS;
#[cfg(test)]
pub(crate) use self::write::Write;

/// The adapter for the daemon's own database.
///
/// # Errors
///
/// When this version has no adapter for it.
pub(crate) fn store(url: &DatabaseUrl) -> Result<Arc<dyn Store>, DbError> {
    match url {
        DatabaseUrl::Sqlite(path) => Ok(Arc::new(SqliteStore::new(path.clone()))),
        other => Err(DbError::Unsupported(other.redacted())),
    }
}
