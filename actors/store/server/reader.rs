//! What is asked without DbActor, on a small pool of connections of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use bb8::PooledConnection;
use diesel::connection::TransactionManagerStatus;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig};
use diesel_async::{
    AnsiTransactionManager, RunQueryDsl, SimpleAsyncConnection, TransactionManager,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::dialect::{Connection, NOW_MS};
use super::schema::delay_queue_log;
use super::{
    connect, daemon_orders, dead_letters, deaths, lags, notices, orders, questions, task_orders,
    traces,
};
use crate::config::Secret;
use crate::state::DeadLettersOf;
use crate::store::columns::{ALIVE, MISSED_HEARTBEATS, RUN_ENDED, RUNNING, WAITING};
use crate::store::daemon_orders::{CronRun, OpenOrder, RunOrder, RunsAsked};
use crate::store::error::DbError;
use crate::store::rows::{
    AliveBoot, DeadLetter, DeadLetterFilter, DeadLetterHead, DeadLetterScan, DelayCounts, EndedRun,
    EntryRuns, OpenRun, OutsideDeath, PauseRow, Side,
};
use crate::store::schema::{boot, cron_run};
use crate::store::task_orders::{TaskName, TaskRow, TaskStatus};
use crate::store::traces::{Traces, TracesAsked};
use crate::store::traits::{READ_RUNS, Reader};
use crate::store::views::Run;
use crate::store::warnings::NoticeBreadth;
use crate::store::write::TRIM_ROWS;

/// Longer than any question of ours takes; a server that hangs must not hold up callers that can go on without an
/// answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// A connection that was idle is no good when it does not answer sooner: the way to the server may have forgotten it.
const PING_PATIENCE: Duration = Duration::from_secs(2);

type Manager = AsyncDieselConnectionManager<Connection>;

pub(super) struct ServerReader {
    url: Secret,
    connections: u32,
    /// Made with the first question: only then there is a runtime.
    pool: OnceCell<bb8::Pool<Manager>>,
}

impl ServerReader {
    pub(super) fn new(url: Secret, connections: u32) -> Self {
        Self {
            url,
            connections,
            pool: OnceCell::new(),
        }
    }

    async fn connection(&self) -> Result<PooledConnection<'_, Manager>, DbError> {
        let pool = self.pool.get_or_init(|| async {
            let mut config = ManagerConfig::default();
            config.custom_setup = Box::new(|url| {
                let url = Secret::new(url);
                async move {
                    let opened = connect::open(&url).await;
                    opened
                        .map_err(|cause| diesel::ConnectionError::BadConnection(cause.to_string()))
                }
                .boxed()
            });
            bb8::Pool::builder()
                .max_size(self.connections)
                .connection_timeout(PATIENCE)
                .test_on_check_out(false)
                .build_unchecked(Manager::new_with_config(self.url.expose(), config))
        });
        let connection = pool.await.get().await;
        connection.map_err(|cause| DbError::Away(cause.to_string()))
    }

    /// A connection whose answer was not waited for does not go back to the pool: the next question would meet it. The
    /// pool's own ping would give it back; so each is asked here whether it is good. The server may have closed those
    /// that were idle, and then the next one is taken.
    pub(super) async fn ask<T>(
        &self,
        question: impl AsyncFnOnce(&mut Connection) -> QueryResult<T>,
    ) -> Result<T, DbError> {
        let mut idle = self.connections;
        let mut connection = loop {
            let mut connection = self.connection().await?;
            status(&mut connection).set_in_error();
            match timeout(PING_PATIENCE, connection.batch_execute("SELECT 1")).await {
                Ok(Ok(())) => break connection,
                _ if idle > 0 => idle -= 1,
                Ok(Err(error)) => return Err(DbError::Away(error.to_string())),
                Err(_) => return Err(silent(PING_PATIENCE)),
            }
        };
        let answer = timeout(PATIENCE, question(&mut connection)).await;
        let Ok(answer) = answer else {
            return Err(silent(PATIENCE));
        };
        let refused = match answer {
            Ok(answer) => {
                *status(&mut connection) = TransactionManagerStatus::default();
                return Ok(answer);
            }
            Err(error) => error.to_string(),
        };
        // Refused by a server that goes on answering, or not answered.
        match timeout(PING_PATIENCE, connection.batch_execute("ROLLBACK")).await {
            Ok(Ok(())) => {
                *status(&mut connection) = TransactionManagerStatus::default();
                Err(DbError::Refused(refused))
            }
            Ok(Err(_)) | Err(_) => Err(DbError::Away(refused)),
        }
    }
}

fn silent(waited: Duration) -> DbError {
    DbError::Away(format!("no answer for {} s", waited.as_secs()))
}

/// What the pool judges by whether a connection is broken.
fn status(connection: &mut Connection) -> &mut TransactionManagerStatus {
    AnsiTransactionManager::transaction_manager_status_mut(&mut **connection)
}

fn count(rows: i64) -> u64 {
    u64::try_from(rows).unwrap_or(0)
}

impl Reader for ServerReader {
    fn queue_lags(&self, queues: Vec<(String, u64)>) -> BoxFuture<'_, Result<Vec<u64>, DbError>> {
        async move {
            self.ask(async |connection| lags::queue_lags(connection, &queues).await)
                .await
        }
        .boxed()
    }

    fn oldest_due(&self, queues: Vec<String>) -> BoxFuture<'_, Result<Vec<Option<i64>>, DbError>> {
        async move {
            self.ask(async |connection| lags::oldest_due(connection, &queues).await)
                .await
        }
        .boxed()
    }

    fn due_queues(&self, queues: Vec<String>) -> BoxFuture<'_, Result<Vec<String>, DbError>> {
        async move {
            self.ask(async |connection| lags::due_queues(connection, queues).await)
                .await
        }
        .boxed()
    }

    fn waiting_queues(&self) -> BoxFuture<'_, Result<Vec<String>, DbError>> {
        async move { self.ask(questions::waiting_queues).await }.boxed()
    }

    fn delay_counts(&self) -> BoxFuture<'_, Result<DelayCounts, DbError>> {
        async move { self.ask(questions::delay_counts).await }.boxed()
    }

    fn foreign_running(&self) -> BoxFuture<'_, Result<u64, DbError>> {
        async move {
            let rows = delay_queue_log::table
                .filter(delay_queue_log::status.eq(RUNNING))
                .filter(delay_queue_log::owner.eq(""))
                .count();
            self.ask(async |connection| rows.get_result(connection).await)
                .await
                .map(count)
        }
        .boxed()
    }

    fn task_command(&self, id: i64) -> BoxFuture<'_, Result<Option<String>, DbError>> {
        async move {
            let command = delay_queue_log::table
                .filter(delay_queue_log::id.eq(id))
                .select(delay_queue_log::exec_cmd);
            let found: Option<Option<String>> = self
                .ask(async |connection| command.first(connection).await.optional())
                .await?;
            Ok(found.map(Option::unwrap_or_default))
        }
        .boxed()
    }

    fn task_names(
        &self,
        status: TaskStatus,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<TaskName>, DbError>> {
        async move {
            self.ask(async |connection| task_orders::names(connection, status, limit).await)
                .await
        }
        .boxed()
    }

    fn task_rows(&self, ids: Vec<i64>) -> BoxFuture<'_, Result<Vec<TaskRow>, DbError>> {
        async move {
            self.ask(async |connection| task_orders::rows(connection, &ids).await)
                .await
        }
        .boxed()
    }

    fn late_retries(&self, after_s: i64) -> BoxFuture<'_, Result<Vec<i64>, DbError>> {
        async move {
            // Where `due_ms` lies in another second, another program has set `exec_time`, and means it.
            let late = delay_queue_log::table
                .filter(delay_queue_log::status.eq(WAITING))
                .filter(delay_queue_log::exec_time.gt(after_s))
                .filter(delay_queue_log::attempts.gt(0))
                .filter(
                    delay_queue_log::due_ms
                        .assume_not_null()
                        .ge(delay_queue_log::exec_time * 1000),
                )
                .filter(
                    delay_queue_log::due_ms
                        .assume_not_null()
                        .lt(delay_queue_log::exec_time * 1000 + 1000),
                )
                .select(delay_queue_log::id)
                .limit(i64::try_from(TRIM_ROWS).unwrap_or(i64::MAX));
            self.ask(async |connection| late.load(connection).await)
                .await
        }
        .boxed()
    }

    fn dead_letters(
        &self,
        filter: DeadLetterFilter,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<DeadLetter>, DbError>> {
        async move {
            self.ask(async |connection| dead_letters::newest(connection, filter, limit).await)
                .await
        }
        .boxed()
    }

    fn dead_letter_heads(
        &self,
        filter: DeadLetterFilter,
        above: i64,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<DeadLetterHead>, DbError>> {
        async move {
            self.ask(async |connection| dead_letters::heads(connection, filter, above, limit).await)
                .await
        }
        .boxed()
    }

    fn dead_letter_scan(
        &self,
        side: Side,
        dead_letters: u32,
    ) -> BoxFuture<'_, Result<DeadLetterScan, DbError>> {
        async move {
            self.ask(async |connection| dead_letters::scan(connection, side, dead_letters).await)
                .await
        }
        .boxed()
    }

    fn deaths<'a>(
        &'a self,
        kind: &'a str,
        source: &'a str,
    ) -> BoxFuture<'a, Result<Vec<OutsideDeath>, DbError>> {
        async move {
            self.ask(async |connection| deaths::of_source(connection, kind, source).await)
                .await
        }
        .boxed()
    }

    fn open_runs<'a>(&'a self, partition: &'a str) -> BoxFuture<'a, Result<Vec<OpenRun>, DbError>> {
        async move {
            let alive = boot::table
                .filter(boot::state.eq(ALIVE))
                .select(boot::owner);
            let runs = cron_run::table
                .filter(cron_run::partition_name.eq(partition))
                .filter(cron_run::state.lt(RUN_ENDED))
                .select(Run::as_select());
            let (alive, runs) = self
                .ask(async |connection| {
                    let alive: Vec<String> = alive.load(connection).await?;
                    let runs: Vec<Run> = runs.load(connection).await?;
                    Ok((alive, runs))
                })
                .await?;
            Ok(runs.into_iter().map(|run| run.open(&alive)).collect())
        }
        .boxed()
    }

    fn orphaned_runs<'a>(
        &'a self,
        partition: &'a str,
    ) -> BoxFuture<'a, Result<Vec<OpenRun>, DbError>> {
        async move {
            let alive = boot::table.filter(boot::state.eq(ALIVE));
            let runs = cron_run::table
                .filter(cron_run::partition_name.ne(partition))
                .filter(cron_run::state.lt(RUN_ENDED))
                .filter(cron_run::owner.ne_all(alive.select(boot::owner)))
                .select(Run::as_select());
            let runs: Vec<Run> = self
                .ask(async |connection| runs.load(connection).await)
                .await?;
            Ok(runs.into_iter().map(|run| run.open(&[])).collect())
        }
        .boxed()
    }

    fn ended_runs<'a>(
        &'a self,
        partition: &'a str,
        entries: Vec<String>,
    ) -> BoxFuture<'a, Result<Vec<EntryRuns>, DbError>> {
        async move {
            self.ask(async |connection| {
                let mut all = Vec::new();
                for entry in &entries {
                    let runs: Vec<(String, String, String, i64, i64)> = cron_run::table
                        .filter(cron_run::partition_name.eq(partition))
                        .filter(cron_run::entry.eq(entry))
                        .filter(cron_run::state.ge(RUN_ENDED))
                        .order(cron_run::scheduled_ms.desc())
                        .limit(READ_RUNS)
                        .select((
                            cron_run::uk,
                            cron_run::owner,
                            cron_run::status,
                            cron_run::started_ms,
                            cron_run::ended_ms,
                        ))
                        .load(connection)
                        .await?;
                    all.push((
                        entry.clone(),
                        runs.into_iter().map(EndedRun::from).collect(),
                    ));
                }
                Ok(all)
            })
            .await
        }
        .boxed()
    }

    fn any_notice<'a>(
        &'a self,
        environment: &'a str,
        breadth: &'a NoticeBreadth,
    ) -> BoxFuture<'a, Result<bool, DbError>> {
        async move {
            self.ask(async |connection| notices::any(connection, environment, breadth).await)
                .await
        }
        .boxed()
    }

    fn pauses<'a>(&'a self, environment: &'a str) -> BoxFuture<'a, Result<Vec<PauseRow>, DbError>> {
        async move {
            self.ask(async |connection| orders::pauses(connection, environment).await)
                .await
        }
        .boxed()
    }

    fn open_orders<'a>(
        &'a self,
        environment: &'a str,
    ) -> BoxFuture<'a, Result<Vec<OpenOrder>, DbError>> {
        async move {
            self.ask(async |connection| daemon_orders::open(connection, environment).await)
                .await
        }
        .boxed()
    }

    fn run_orders(&self, uks: Vec<String>) -> BoxFuture<'_, Result<Vec<RunOrder>, DbError>> {
        async move {
            self.ask(async |connection| daemon_orders::of_runs(connection, &uks).await)
                .await
        }
        .boxed()
    }

    fn unmade_runs<'a>(
        &'a self,
        environment: &'a str,
        asked: RunsAsked,
    ) -> BoxFuture<'a, Result<Vec<RunOrder>, DbError>> {
        async move {
            self.ask(async |connection| {
                daemon_orders::without_run(connection, environment, &asked).await
            })
            .await
        }
        .boxed()
    }

    fn cron_runs(&self, asked: RunsAsked) -> BoxFuture<'_, Result<Vec<CronRun>, DbError>> {
        async move {
            self.ask(async |connection| daemon_orders::runs(connection, &asked).await)
                .await
        }
        .boxed()
    }

    fn cron_run<'a>(&'a self, uk: &'a str) -> BoxFuture<'a, Result<Option<CronRun>, DbError>> {
        async move {
            self.ask(async |connection| daemon_orders::run(connection, uk).await)
                .await
        }
        .boxed()
    }

    fn run_results(
        &self,
        uks: Vec<String>,
    ) -> BoxFuture<'_, Result<BTreeMap<String, String>, DbError>> {
        async move {
            self.ask(async |connection| daemon_orders::results(connection, &uks).await)
                .await
        }
        .boxed()
    }

    fn traces(&self, asked: TracesAsked) -> BoxFuture<'_, Result<Traces, DbError>> {
        async move {
            self.ask(async |connection| traces::traces(connection, &asked).await)
                .await
        }
        .boxed()
    }

    fn dead_letter_count(&self) -> BoxFuture<'_, Result<u64, DbError>> {
        async move {
            self.ask(async |connection| questions::dead_letter_count(connection).await)
                .await
        }
        .boxed()
    }

    fn dead_letter_sources(&self) -> BoxFuture<'_, Result<Vec<DeadLettersOf>, DbError>> {
        async move {
            self.ask(async |connection| dead_letters::sources(connection).await)
                .await
        }
        .boxed()
    }

    fn alive_boots(&self) -> BoxFuture<'_, Result<Vec<AliveBoot>, DbError>> {
        async move {
            let since = boot::interval_ms * -MISSED_HEARTBEATS + sql::<BigInt>(NOW_MS);
            let rows = boot::table
                .filter(boot::state.eq(ALIVE))
                .filter(boot::heartbeat_ms.ge(since))
                .order(boot::started_ms)
                .select((
                    boot::owner,
                    boot::host,
                    boot::pid,
                    boot::started_ms,
                    sql::<BigInt>(NOW_MS) - boot::heartbeat_ms,
                    boot::version,
                ));
            let rows: Vec<(String, String, i32, i64, i64, Option<String>)> = self
                .ask(async |connection| rows.load(connection).await)
                .await?;
            let rows = rows.into_iter();
            let alive = rows.map(
                |(owner, host, pid, started_ms, silent_ms, version)| AliveBoot {
                    owner,
                    host,
                    pid,
                    started_ms,
                    silent_ms: silent_ms.max(0),
                    version,
                },
            );
            Ok(alive.collect())
        }
        .boxed()
    }
}
