//! What is asked without DbActor, on a small pool of connections of its own.

use std::time::Duration;

use bb8::PooledConnection;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::dialect::{Connection, NOW_MS, verdict};
use super::schema::delay_queue_log;
use super::{connect, deaths, lags, letters, questions};
use crate::config::Secret;
use crate::db::error::DbError;
use crate::db::rows::{
    AliveBoot, DeadLetter, DelayCounts, LetterFilter, LetterHead, OpenRun, OutsideDeath,
};
use crate::db::schema::{boot, cron_run};
use crate::db::status::{ALIVE, MISSED_HEARTBEATS, RUN_ENDED, RUNNING};
use crate::db::store::Reader;
use crate::db::views::Run;

/// Longer than any question of ours takes; a server that hangs must not hold up those who can go on without an answer.
const PATIENCE: Duration = Duration::from_secs(10);

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
                .build_unchecked(Manager::new_with_config(self.url.expose(), config))
        });
        let connection = pool.await.get().await;
        connection.map_err(|cause| DbError::Away(cause.to_string()))
    }
}

async fn in_time<T>(question: impl Future<Output = QueryResult<T>>) -> Result<T, DbError> {
    match timeout(PATIENCE, question).await {
        Ok(answer) => answer.map_err(|error| DbError::from_server(&error, verdict(&error))),
        Err(_) => Err(DbError::Away(format!(
            "no answer for {} s",
            PATIENCE.as_secs()
        ))),
    }
}

fn count(rows: i64) -> u64 {
    u64::try_from(rows).unwrap_or(0)
}

impl Reader for ServerReader {
    fn queue_lags(&self, queues: Vec<(String, u64)>) -> BoxFuture<'_, Result<Vec<u64>, DbError>> {
        async move {
            let mut connection = self.connection().await?;
            in_time(lags::queue_lags(&mut connection, &queues)).await
        }
        .boxed()
    }

    fn due_queues(&self, queues: Vec<String>) -> BoxFuture<'_, Result<Vec<String>, DbError>> {
        async move {
            let mut connection = self.connection().await?;
            in_time(lags::due_queues(&mut connection, queues)).await
        }
        .boxed()
    }

    fn delay_counts(&self) -> BoxFuture<'_, Result<DelayCounts, DbError>> {
        async move {
            let mut connection = self.connection().await?;
            in_time(questions::delay_counts(&mut connection)).await
        }
        .boxed()
    }

    fn foreign_running(&self) -> BoxFuture<'_, Result<u64, DbError>> {
        async move {
            let mut connection = self.connection().await?;
            let rows = delay_queue_log::table
                .filter(delay_queue_log::status.eq(RUNNING))
                .filter(delay_queue_log::owner.eq(""))
                .count()
                .get_result(&mut *connection);
            in_time(rows).await.map(count)
        }
        .boxed()
    }

    fn task_command(&self, id: i64) -> BoxFuture<'_, Result<Option<String>, DbError>> {
        async move {
            let mut connection = self.connection().await?;
            let command = delay_queue_log::table
                .filter(delay_queue_log::id.eq(id))
                .select(delay_queue_log::exec_cmd)
                .first::<Option<String>>(&mut *connection);
            let found = in_time(command.map(OptionalExtension::optional)).await?;
            Ok(found.map(Option::unwrap_or_default))
        }
        .boxed()
    }

    fn dead_letters(
        &self,
        filter: LetterFilter,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<DeadLetter>, DbError>> {
        async move {
            let mut connection = self.connection().await?;
            in_time(letters::newest(&mut connection, filter, limit)).await
        }
        .boxed()
    }

    fn letter_heads(
        &self,
        filter: LetterFilter,
        above: i64,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<LetterHead>, DbError>> {
        async move {
            let mut connection = self.connection().await?;
            in_time(letters::heads(&mut connection, filter, above, limit)).await
        }
        .boxed()
    }

    fn deaths<'a>(
        &'a self,
        kind: &'a str,
        source: &'a str,
    ) -> BoxFuture<'a, Result<Vec<OutsideDeath>, DbError>> {
        async move {
            let mut connection = self.connection().await?;
            in_time(deaths::of_source(&mut connection, kind, source)).await
        }
        .boxed()
    }

    fn open_runs<'a>(&'a self, partition: &'a str) -> BoxFuture<'a, Result<Vec<OpenRun>, DbError>> {
        async move {
            let mut connection = self.connection().await?;
            let alive = boot::table
                .filter(boot::state.eq(ALIVE))
                .select(boot::owner)
                .load::<String>(&mut *connection);
            let alive = in_time(alive).await?;
            let runs = cron_run::table
                .filter(cron_run::partition_name.eq(partition))
                .filter(cron_run::state.lt(RUN_ENDED))
                .select(Run::as_select())
                .load::<Run>(&mut *connection);
            let runs = in_time(runs).await?;
            Ok(runs.into_iter().map(|run| run.open(&alive)).collect())
        }
        .boxed()
    }

    fn orphaned_runs<'a>(
        &'a self,
        partition: &'a str,
    ) -> BoxFuture<'a, Result<Vec<OpenRun>, DbError>> {
        async move {
            let mut connection = self.connection().await?;
            let alive = boot::table.filter(boot::state.eq(ALIVE));
            let runs = cron_run::table
                .filter(cron_run::partition_name.ne(partition))
                .filter(cron_run::state.lt(RUN_ENDED))
                .filter(cron_run::owner.ne_all(alive.select(boot::owner)))
                .select(Run::as_select())
                .load::<Run>(&mut *connection);
            let runs = in_time(runs).await?;
            Ok(runs.into_iter().map(|run| run.open(&[])).collect())
        }
        .boxed()
    }

    fn alive_boots<'a>(
        &'a self,
        partition: &'a str,
    ) -> BoxFuture<'a, Result<Vec<AliveBoot>, DbError>> {
        async move {
            let mut connection = self.connection().await?;
            let since = boot::interval_ms * -MISSED_HEARTBEATS + sql::<BigInt>(NOW_MS);
            let rows = boot::table
                .filter(boot::partition_name.eq(partition))
                .filter(boot::state.eq(ALIVE))
                .filter(boot::heartbeat_ms.ge(since))
                .order(boot::started_ms)
                .select((
                    boot::owner,
                    boot::host,
                    boot::pid,
                    sql::<BigInt>(NOW_MS) - boot::heartbeat_ms,
                ))
                .load::<(String, String, i32, i64)>(&mut *connection);
            let alive = |(owner, host, pid, silent_ms): (String, String, i32, i64)| AliveBoot {
                owner,
                host,
                pid,
                silent_ms: silent_ms.max(0),
            };
            Ok(in_time(rows).await?.into_iter().map(alive).collect())
        }
        .boxed()
    }
}
