//! SQLite: the embedded default. Many processes write one file (the daemon, its cron processes, `push` and `send`).

mod codes;
#[path = "../common/mod.rs"]
mod common;
mod connect;
mod connection;
mod dead;
mod dialect;
#[cfg(test)]
mod figures;
mod file;
mod inspect;
mod lags;
mod lengths;
mod limits;
mod messages;
mod named;
mod ping;
mod reader;
mod tasks;
#[cfg(test)]
mod tests;
mod warnings;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use self::codes::is_held;
use self::connection::Connection;
use self::file::DatabaseFile;
use self::reader::SqliteReader;
use self::writer::SqliteWriter;
use super::error::DbError;
use super::migrations::{self, print};
use super::rows::Inspection;
use super::traits::{Reader, Store, Writer};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// A database file.
#[derive(Debug, Clone)]
pub(crate) struct SqliteStore {
    file: Arc<DatabaseFile>,
}

impl SqliteStore {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            file: Arc::new(DatabaseFile::new(path)),
        }
    }
}

impl Store for SqliteStore {
    fn address(&self) -> String {
        format!("sqlite://{}", self.file.path().display())
    }

    fn migrate(&self) -> Result<Vec<String>, DbError> {
        self.file.make()?;
        let begun = Instant::now();
        loop {
            match migrate(&self.file) {
                Err(DbError::Away(_)) if begun.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
                // No server that boots later than we do: the caller that starts us should know.
                Err(DbError::Away(why)) => return Err(DbError::Migrate(why)),
                done => {
                    self.file.remember();
                    return done;
                }
            }
        }
    }

    fn statements(&self) -> String {
        print(migrations::SQLITE)
    }

    fn inspect(&self) -> Result<Inspection, DbError> {
        inspect::inspect(self.file.path())
    }

    fn writer(&self) -> LocalBoxFuture<'static, Result<Box<dyn Writer>, DbError>> {
        let file = Arc::clone(&self.file);
        async move {
            let opening = Arc::clone(&file);
            let opened = actix_rt::task::spawn_blocking(move || opening.open()).await;
            let connection = opened.map_err(|cause| DbError::Away(cause.to_string()))??;
            let writer = SqliteWriter::new(Connection::new(connection), file);
            Ok(Box::new(writer) as Box<dyn Writer>)
        }
        .boxed_local()
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(SqliteReader::new(Arc::clone(&self.file)))
    }
}

/// Others may hold the file: a daemon that starts at the same moment and turns the journal into WAL, a backup. Each try
/// waits for SQLite's own busy time-out too, where that applies. Less than the usual deadline of a stop.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(100);

fn migrate(file: &DatabaseFile) -> Result<Vec<String>, DbError> {
    let mut connection = file.open()?;
    // One immediate transaction round all of them: of two daemons that start at once, the second waits here and
    // then finds nothing to do. Reading first keeps the usual start free of a write lock.
    match connection.has_pending_migration(MIGRATIONS) {
        Ok(false) => return Ok(Vec::new()),
        Ok(true) => {}
        Err(cause) => return Err(failed(cause.to_string())),
    }
    let mut failure = None;
    let run = connection.immediate_transaction(|connection| {
        connection
            .run_pending_migrations(MIGRATIONS)
            .map(|versions| versions.iter().map(ToString::to_string).collect())
            .map_err(|cause| {
                failure = Some(cause.to_string());
                diesel::result::Error::RollbackTransaction
            })
    });
    run.map_err(|cause| match failure {
        Some(failure) => DbError::Migrate(failure),
        None => failed(cause.to_string()),
    })
}

fn failed(text: String) -> DbError {
    match is_held(&text) {
        true => DbError::Away(text),
        false => DbError::Migrate(text),
    }
}
