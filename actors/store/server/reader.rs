//! What is asked without DbActor, on a small pool of connections of its own.

use std::time::Duration;

use bb8::PooledConnection;
use diesel::connection::TransactionManagerStatus;
use diesel::prelude::*;
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig};
use diesel_async::{AnsiTransactionManager, SimpleAsyncConnection, TransactionManager};
use futures_util::FutureExt;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::connect;
use super::dialect::Connection;
use crate::config::Secret;
use crate::store::error::DbError;

/// Longer than any question of ours takes; a server that hangs must not hold up callers that can go on without an
/// answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// A connection that was idle is no good when it does not answer sooner: the way to the server may have forgotten it.
const PING_PATIENCE: Duration = Duration::from_secs(2);

type Manager = AsyncDieselConnectionManager<Connection>;

pub(in crate::store) struct ServerReader {
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
    /// pool's own ping would return it; so each is asked here whether it is good. The server may have closed those
    /// that were idle, and then the next one is taken.
    pub(in crate::store) async fn ask<T>(
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
