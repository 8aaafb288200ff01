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
use crate::store::write::{Write, Written};

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
    match write {
        Write::BeginBoot(row) => boots::begin(connection, row),
        Write::EndBoot { owner } => boots::end(connection, manner, owner),
        Write::ReapSilent { me, as_of_ms } => boots::reap_silent(connection, manner, me, *as_of_ms),
        Write::ReapGone { owner, charges } => boots::reap_gone(connection, manner, owner, charges),
        Write::InsertTasks { rows, owner } => tasks::insert(connection, rows, owner),
        Write::GiveBackTasks { owner, keep } => {
            tasks::give_back_except(connection, manner, owner, keep)
        }
        Write::ClaimTasks {
            owner,
            from_s,
            until_s,
            most,
        } => tasks::claim(
            connection,
            (manner, unclaimable),
            owner,
            (*from_s, *until_s),
            *most,
        ),
        Write::TrimTasks { before_s } => tasks::trim(connection, manner, *before_s),
        Write::TrimCrontabLog {
            before_ms,
            after_id,
        } => retention::trim_crontab_log(connection, manner, *before_ms, *after_id),
        Write::TrimDeadLetters {
            before_ms,
            after_id,
        } => retention::trim_dead_letters(connection, manner, *before_ms, *after_id),
        Write::HastenMessages { queue, longest_ms } => {
            hasten::messages(connection, queue, *longest_ms)
        }
        Write::HastenTasks { ids, after_s } => hasten::tasks(connection, ids, *after_s),
        Write::EndTasks { owner, ends } => tasks::end(connection, owner, ends),
        Write::InsertMessages { queue, rows } => messages::insert(connection, queue, rows),
        Write::ClaimMessages { queue, owner, most } => {
            messages::claim(connection, (manner, unclaimable), (queue, owner), *most)
        }
        Write::GiveBackMessages { queue, owner, keep } => {
            messages::give_back_except(connection, manner, queue, owner, keep)
        }
        Write::EndMessages { owner, ends } => messages::end(connection, owner, ends),
        Write::InsertDeadLetters { dead_letters } => dead::insert_all(connection, dead_letters),
        Write::ReplayDeadLetters {
            dead_letters,
            order,
        } => replay::replay(connection, dead_letters, order.as_deref()),
        Write::DeleteDeadLetters { ids, order } => {
            replay::delete(connection, ids, order.as_deref())
        }
        Write::NoteFailures { failures } => deaths::note_failures(connection, failures),
        Write::ForgetDeaths { ids } => deaths::forget(connection, ids),
        Write::SyncEntries { partition, entries } => {
            entries::sync(connection, manner, partition, entries)
        }
        Write::ClaimFire(fire) => cron::claim_fire(connection, manner, fire),
        Write::TakeFire {
            uk,
            from,
            owner,
            at_overlap,
        } => cron::take_fire(connection, manner, uk, from, owner, at_overlap),
        Write::RunStarted {
            uk,
            pid,
            start_ticks,
        } => cron::run_started(connection, manner, uk, *pid, *start_ticks),
        Write::EndRun(end) => cron::end_run(connection, manner, end),
        Write::TrimAudit { before_ms } => retention::trim_audit(connection, *before_ms),
        Write::TrimRuns { before_ms } => entries::trim_runs(connection, *before_ms),
        Write::AddCount(add) => warnings::add(connection, add),
        Write::SendNotices { owner, environment } => notices::send(connection, owner, environment),
        Write::ClaimNotices(claim) => notices::claim(connection, manner, claim),
        Write::EndNotices { owner, ids } => notices::end(connection, manner, owner, ids),
        Write::TrimWindows => warnings::trim(connection),
        Write::TrimNotices => notices::trim(connection, manner),
        Write::SetPause(order) => orders::set_pause(connection, order),
        Write::OrderTask(order) => task_orders::order(connection, order),
        Write::Audit(order) => orders::write_down(connection, order),
        Write::GiveOrders(orders) => daemon_orders::give(connection, orders),
        Write::TakeOrder { id, from, owner } => daemon_orders::take(connection, *id, from, owner),
        Write::EndOrder(end) => daemon_orders::end(connection, end),
        Write::TrimOrders { before_ms } => daemon_orders::trim(connection, *before_ms),
        Write::InsertKeyed(insert) => idempotency::insert(connection, insert),
        Write::ClaimKey(claim) => idempotency::claim(connection, claim),
        Write::EndKey { key, owner, end } => idempotency::end(connection, key, owner, *end),
        Write::TrimKeys { before_ms } => idempotency::trim(connection, *before_ms),
        Write::TakePermits(ask) => permits::take(connection, ask),
    }
}
