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
/// transaction.
const SETTINGS: &str = "\
    SET TIME ZONE DEFAULT; \
    SET lock_timeout = '10s'; \
    SET default_transaction_isolation = 'read committed'";

/// For connections that write: one that is silent for so long in the middle of a transaction is given up by the server,
/// with the rows it has locked. That is a daemon that was frozen, or cut off; others wait for those rows.
pub(super) const WRITES: &str = "SET idle_in_transaction_session_timeout = '30s'";

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
