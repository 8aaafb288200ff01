//! A connection that writes: batches in one transaction each, and heartbeats.

use std::sync::Arc;

use actix_rt::task::{JoinError, spawn_blocking};
use diesel::QueryResult;
use diesel::connection::SimpleConnection;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use parking_lot::Mutex;

use super::codes::{Step, is_held, judged};
use super::common::boots;
use super::common::single::single;
use super::connection::{Connection, run};
use super::file::{DatabaseFile, WriteAheadLog};
use super::ping::ping;
use super::{messages, tasks, warnings};
use crate::store::error::DbError;
use crate::store::parts::Manner;
use crate::store::rows::{BootRow, Heartbeat};
use crate::store::traits::{Applied, Writer};
use crate::store::write::{Listed, Write, Written};

pub(super) struct SqliteWriter {
    connection: Arc<Mutex<Connection>>,
    file: Arc<DatabaseFile>,
    log: WriteAheadLog,
    checkpoints: Checkpoints,
}

/// Whether a commit may checkpoint the log, at a thousand pages. A checkpoint takes some milliseconds and two more syncs, so
/// a commit of cron claims leaves it to the next commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Checkpoints {
    Allowed,
    Left,
}

impl Checkpoints {
    fn of(batch: &[Write]) -> Self {
        match batch.iter().all(Write::claims_a_fire) {
            true => Self::Left,
            false => Self::Allowed,
        }
    }

    /// The default of SQLite, or none.
    fn pragma(self) -> &'static str {
        match self {
            Self::Allowed => "PRAGMA wal_autocheckpoint = 1000",
            Self::Left => "PRAGMA wal_autocheckpoint = 0",
        }
    }
}

impl SqliteWriter {
    pub(super) fn new(connection: Connection, file: Arc<DatabaseFile>) -> Self {
        Self {
            connection: Arc::new(Mutex::new(connection)),
            file,
            log: WriteAheadLog::default(),
            checkpoints: Checkpoints::Allowed,
        }
    }

    /// Does the work on a blocking thread. Begun, it goes on to its end, whether its outcome is awaited or not; what comes
    /// next waits for it.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        let connection = Arc::clone(&self.connection);
        spawn_blocking(move || work(&mut connection.lock())).await
    }
}

impl Writer for SqliteWriter {
    fn apply(&mut self, batch: Arc<[Write]>) -> LocalBoxFuture<'_, Applied> {
        let all = Arc::clone(&batch);
        let wanted = Checkpoints::of(&batch);
        let change = (wanted != self.checkpoints).then_some(wanted.pragma());
        self.checkpoints = wanted;
        let file = Arc::clone(&self.file);
        async move {
            let applied = self.run(move |connection| {
                // Where it fails, a commit takes longer, or the log grows until the next change.
                let _ = change.map(|pragma| connection.batch_execute(pragma));
                let applied = apply(connection, &all);
                // After the commit: what is answered is in the file that the path leads to.
                match file.check() {
                    Ok(()) => applied,
                    Err(replaced) => Applied::none_of(all.len()).away(replaced),
                }
            });
            let applied = applied.await;
            match (applied, self.log.check(&self.file)) {
                (Ok(_), Err(replaced)) => Applied::none_of(batch.len()).away(replaced),
                (Ok(applied), Ok(())) => applied,
                // The blocking task itself failed: it panicked, or the runtime ends. Nothing was committed.
                (Err(cause), _) => {
                    Applied::none_of(batch.len()).away(DbError::Away(cause.to_string()))
                }
            }
        }
        .boxed_local()
    }

    fn heartbeat(&mut self, boot: &BootRow) -> LocalBoxFuture<'_, Result<Heartbeat, DbError>> {
        let boot = boot.clone();
        async move {
            let beat = self.run(move |connection| {
                transaction(connection, |connection| run(boots::beat(connection, &boot)))
            });
            let beat = beat.await;
            // First: a file that is gone explains whatever else failed.
            self.file.check()?;
            self.log.check(&self.file)?;
            // The blocking task itself failed: it panicked, or the runtime ends.
            beat.unwrap_or_else(|cause| Err(DbError::Away(cause.to_string())))
        }
        .boxed_local()
    }
}

/// All in one transaction; if that fails while the file takes a write, each in its own, so that the one that is the
/// reason fails alone.
pub(super) fn apply(connection: &mut Connection, batch: &[Write]) -> Applied {
    connection.limits.manner = Manner::Whole;
    let together = transaction(connection, |connection| run(all(connection, batch)));
    match together {
        Ok(answers) => Applied::all(Vec::into_iter(answers).map(Ok).collect()),
        Err(DbError::Away(why)) if is_held(&why) || ping(connection).is_err() => {
            Applied::none_of(batch.len()).away(DbError::Away(why))
        }
        Err(_) => one_by_one(connection, batch),
    }
}

fn one_by_one(connection: &mut Connection, batch: &[Write]) -> Applied {
    let mut applied = Applied::none_of(batch.len());
    for (at, write) in batch.iter().enumerate() {
        let mut tried = alone(connection, write, Manner::Whole);
        if matches!(tried, Err(DbError::Refused(_))) && write.has_parts() {
            tried = alone(connection, write, Manner::ByParts);
        }
        match tried {
            Ok(written) => applied.answer([at], vec![written]),
            Err(refused @ DbError::Refused(_)) => applied.refuse(vec![at], &refused),
            Err(away) => return applied.away(away),
        }
    }
    applied
}

/// What fails while the file takes another write is refused.
fn alone(connection: &mut Connection, write: &Write, manner: Manner) -> Result<Written, DbError> {
    connection.limits.manner = manner;
    match transaction(connection, |connection| run(one(connection, write))) {
        // An error because another program holds the lock proves nothing about the write, whatever is true a moment
        // later.
        Err(DbError::Away(why)) if !is_held(&why) && ping(connection).is_ok() => {
            Err(DbError::Refused(why))
        }
        done => done,
    }
}

pub(super) fn transaction<T>(
    connection: &mut Connection,
    work: impl FnOnce(&mut Connection) -> QueryResult<T>,
) -> Result<T, DbError> {
    let around = |error: diesel::result::Error| judged(&error, Step::Around);
    connection
        .batch_execute("BEGIN IMMEDIATE")
        .map_err(around)?;
    let worked = work(connection).map_err(|error| judged(&error, Step::Within));
    let done = worked.and_then(|done| {
        connection.batch_execute("COMMIT").map_err(around)?;
        Ok(done)
    });
    if done.is_err() {
        // After some errors SQLite has rolled back by itself, and this fails.
        let _ = connection.batch_execute("ROLLBACK");
    }
    done
}

async fn all(connection: &mut Connection, batch: &[Write]) -> QueryResult<Vec<Written>> {
    let mut answers = Vec::with_capacity(batch.len());
    for write in batch {
        answers.push(one(connection, write).await?);
    }
    Ok(answers)
}

async fn one(connection: &mut Connection, write: &Write) -> QueryResult<Written> {
    Ok(match write {
        Write::InsertTasks(write) => {
            let rows = write.rows.iter().map(|row| (row, write.owner.as_str()));
            let rows: Vec<_> = rows.collect();
            write.answer(tasks::insert(connection, &rows).await?)
        }
        Write::InsertMessages(write) => {
            let rows = write.rows.iter().map(|row| (row, write.queue.as_str()));
            let rows: Vec<_> = rows.collect();
            write.answer(messages::insert(connection, &rows).await?)
        }
        Write::EndTasks(write) => write.answer(tasks::end(connection, write).await?),
        Write::EndMessages(write) => write.answer(messages::end(connection, write).await?),
        Write::AddCount(write) => write.answer(warnings::add(connection, &write.0).await?),
        write => single(connection, write).await?,
    })
}
