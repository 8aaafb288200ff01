//! Opens connections the way every process of ours must.

use std::time::Duration;

use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use tokio::time::timeout;

use crate::config::Secret;
use crate::db::error::DbError;
use crate::tls::NoConnection;

/// A server that does not answer for so long is away.
const PATIENCE: Duration = Duration::from_secs(5);

/// The server's own time zone, not diesel-async's UTC: `create_time` and `update_time` are its NOW(), as the Go
/// program's. A row that is locked for longer than the lock time-out is tried again; it is below the patience of a
/// transaction. One that we left behind, when the way to the server was cut, ends by itself.
const SETTINGS: &str = "\
    SET TIME ZONE DEFAULT; \
    SET lock_timeout = '10s'; \
    SET idle_in_transaction_session_timeout = '60s'; \
    SET default_transaction_isolation = 'read committed'";

/// A connection.
pub(super) async fn open(url: &Secret) -> Result<AsyncPgConnection, DbError> {
    match timeout(PATIENCE, try_open(url)).await {
        Ok(opened) => opened,
        Err(_) => Err(DbError::Away(format!(
            "no connection within {} s",
            PATIENCE.as_secs()
        ))),
    }
}

async fn try_open(url: &Secret) -> Result<AsyncPgConnection, DbError> {
    let mut connection = crate::tls::postgres(url.expose())
        .await
        .map_err(|cause| match cause {
            NoConnection::Denied(why) => DbError::Denied(why),
            NoConnection::Away(why) => DbError::Away(why),
        })?;
    let set = connection.batch_execute(SETTINGS).await;
    set.map_err(|cause| DbError::Away(cause.to_string()))?;
    Ok(connection)
}
