//! A connection that writes: batches in one transaction each, and heartbeats.

use std::sync::Arc;

use diesel::connection::SimpleConnection;
use diesel::{QueryResult, SqliteConnection};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use super::codes::{Step, is_held, judged};
use super::file::{DatabaseFile, WriteAheadLog};
use super::ping::ping;
use super::{
    boots, cron, daemon_orders, dead, deaths, entries, hasten, idempotency, messages, notices,
    orders, permits, replay, retention, task_orders, tasks, warnings,
};
use crate::store::apart::{Manner, Unclaimable};
use crate::store::error::DbError;
use crate::store::rows::{BootRow, Heartbeat};
use crate::store::traits::{Applied, Writer};
use crate::store::write::{Listed, Write, Written};

pub(super) struct SqliteWriter {
    connection: SyncConnectionWrapper<SqliteConnection>,
    file: Arc<DatabaseFile>,
    log: WriteAheadLog,
    checkpoints: Checkpoints,
    unclaimable: Unclaimable,
}

/// Who moves the log's pages into the file, when there are a thousand of them: the commit that finds them. That takes
/// some milliseconds and two more syncs, which a claim of a fire cannot spare; the next commit does
/// it.
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
    pub(super) fn new(
        connection: SyncConnectionWrapper<SqliteConnection>,
        file: Arc<DatabaseFile>,
    ) -> Self {
        Self {
            connection,
            file,
            log: WriteAheadLog::default(),
            checkpoints: Checkpoints::Allowed,
            unclaimable: Unclaimable::default(),
        }
    }
}

impl Writer for SqliteWriter {
    fn apply(&mut self, batch: Arc<[Write]>) -> LocalBoxFuture<'_, Applied> {
        let all = Arc::clone(&batch);
        let wanted = Checkpoints::of(&batch);
        let change = (wanted != self.checkpoints).then_some(wanted.pragma());
        self.checkpoints = wanted;
        let (file, unclaimable) = (Arc::clone(&self.file), self.unclaimable.clone());
        async move {
            let applied = self
                .connection
                .spawn_blocking(move |connection| {
                    // Where it fails, a commit takes longer, or the log grows until the next change.
                    let _ = change.map(|pragma| connection.batch_execute(pragma));
                    let applied = apply(connection, &unclaimable, &all);
                    // After the commit: what is answered is in the file that the path leads to.
                    Ok(match file.check() {
                        Ok(()) => applied,
                        Err(replaced) => Applied::none_of(all.len()).away(replaced),
                    })
                })
                .await;
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
            let beat = self.connection.spawn_blocking(move |connection| {
                let beat = |connection: &mut SqliteConnection| boots::beat(connection, &boot);
                Ok(transaction(connection, beat))
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
pub(super) fn apply(
    connection: &mut SqliteConnection,
    unclaimable: &Unclaimable,
    batch: &[Write],
) -> Applied {
    let together = transaction(connection, |connection| {
        let whole = |write| one(connection, write, (Manner::Whole, unclaimable));
        batch.iter().map(whole).collect()
    });
    match together {
        Ok(answers) => Applied::all(Vec::into_iter(answers).map(Ok).collect()),
        Err(DbError::Away(why)) if is_held(&why) || ping(connection).is_err() => {
            Applied::none_of(batch.len()).away(DbError::Away(why))
        }
        Err(_) => one_by_one(connection, unclaimable, batch),
    }
}

fn one_by_one(
    connection: &mut SqliteConnection,
    unclaimable: &Unclaimable,
    batch: &[Write],
) -> Applied {
    let mut applied = Applied::none_of(batch.len());
    for (at, write) in batch.iter().enumerate() {
        let mut tried = alone(connection, write, (Manner::Whole, unclaimable));
        if matches!(tried, Err(DbError::Refused(_))) && write.has_parts() {
            tried = alone(connection, write, (Manner::Apart, unclaimable));
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
fn alone(
    connection: &mut SqliteConnection,
    write: &Write,
    manner: (Manner, &Unclaimable),
) -> Result<Written, DbError> {
    match transaction(connection, |connection| one(connection, write, manner)) {
        // An error because another program holds the lock proves nothing about the write, whatever is true a moment
        // later.
        Err(DbError::Away(why)) if !is_held(&why) && ping(connection).is_ok() => {
            Err(DbError::Refused(why))
        }
        done => done,
    }
}

pub(super) fn transaction<T>(
    connection: &mut SqliteConnection,
    work: impl FnOnce(&mut SqliteConnection) -> QueryResult<T>,
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

fn one(
    connection: &mut SqliteConnection,
    write: &Write,
    (manner, unclaimable): (Manner, &Unclaimable),
) -> QueryResult<Written> {
    Ok(match write {
        Write::BeginBoot(write) => write.answer(boots::begin(connection, &write.0)?),
        Write::EndBoot(write) => write.answer(boots::end(connection, manner, write)?),
        Write::ReapSilent(write) => write.answer(boots::reap_silent(connection, manner, write)?),
        Write::ReapGone(write) => write.answer(boots::reap_gone(connection, manner, write)?),
        Write::InsertTasks(write) => write.answer(tasks::insert(connection, write)?),
        Write::ClaimTasks(write) => {
            write.answer(tasks::claim(connection, (manner, unclaimable), write)?)
        }
        Write::EndTasks(write) => write.answer(tasks::end(connection, write)?),
        Write::ReleaseTasks(write) => {
            write.answer(tasks::release_except(connection, manner, write)?)
        }
        Write::HastenTasks(write) => write.answer(hasten::tasks(connection, write)?),
        Write::OrderTask(write) => write.answer(task_orders::order(connection, &write.0)?),
        Write::TrimTasks(write) => write.answer(tasks::trim(connection, manner, write)?),
        Write::InsertMessages(write) => write.answer(messages::insert(connection, write)?),
        Write::ClaimMessages(write) => {
            write.answer(messages::claim(connection, (manner, unclaimable), write)?)
        }
        Write::EndMessages(write) => write.answer(messages::end(connection, write)?),
        Write::ReleaseMessages(write) => {
            write.answer(messages::release_except(connection, manner, write)?)
        }
        Write::HastenMessages(write) => write.answer(hasten::messages(connection, write)?),
        Write::InsertDeadLetters(write) => write.answer(dead::insert_all(connection, write)?),
        Write::ReplayDeadLetters(write) => write.answer(replay::replay(connection, write)?),
        Write::DeleteDeadLetters(write) => write.answer(replay::delete(connection, write)?),
        Write::TrimDeadLetters(write) => {
            write.answer(retention::trim_dead_letters(connection, manner, write)?)
        }
        Write::NoteFailures(write) => write.answer(deaths::note_failures(connection, write)?),
        Write::ForgetDeaths(write) => write.answer(deaths::forget(connection, write)?),
        Write::SyncEntries(write) => write.answer(entries::sync(connection, manner, write)?),
        Write::ClaimFire(write) => write.answer(cron::claim_fire(connection, manner, &write.0)?),
        Write::TakeFire(write) => write.answer(cron::take_fire(connection, manner, write)?),
        Write::RunStarted(write) => write.answer(cron::run_started(connection, manner, write)?),
        Write::EndRun(write) => write.answer(cron::end_run(connection, manner, &write.0)?),
        Write::TrimRuns(write) => write.answer(entries::trim_runs(connection, write)?),
        Write::TrimCrontabLog(write) => {
            write.answer(retention::trim_crontab_log(connection, manner, write)?)
        }
        Write::AddCount(write) => write.answer(warnings::add(connection, &write.0)?),
        Write::SendNotices(write) => write.answer(notices::send(connection, write)?),
        Write::ClaimNotices(write) => write.answer(notices::claim(connection, manner, &write.0)?),
        Write::EndNotices(write) => write.answer(notices::end(connection, manner, write)?),
        Write::TrimWindows(write) => write.answer(warnings::trim(connection)?),
        Write::TrimNotices(write) => write.answer(notices::trim(connection, manner)?),
        Write::SetPause(write) => write.answer(orders::set_pause(connection, &write.0)?),
        Write::Audit(write) => write.answer(orders::write_down(connection, &write.0)?),
        Write::GiveOrders(write) => write.answer(daemon_orders::give(connection, &write.0)?),
        Write::TakeOrder(write) => write.answer(daemon_orders::take(connection, write)?),
        Write::EndOrder(write) => write.answer(daemon_orders::end(connection, &write.0)?),
        Write::TrimOrders(write) => write.answer(daemon_orders::trim(connection, write)?),
        Write::TrimAudit(write) => write.answer(retention::trim_audit(connection, write)?),
        Write::InsertKeyed(write) => write.answer(idempotency::insert(connection, &write.0)?),
        Write::ClaimKey(write) => write.answer(idempotency::claim(connection, &write.0)?),
        Write::EndKey(write) => write.answer(idempotency::end(connection, write)?),
        Write::TrimKeys(write) => write.answer(idempotency::trim(connection, write)?),
        Write::TakePermits(write) => write.answer(permits::take(connection, &write.0)?),
    })
}
