//! Opens connections the way every process of ours must.

use std::time::Duration;

use diesel_async::{AsyncMysqlConnection, SimpleAsyncConnection};
use mysql_async::{Conn, Opts, OptsBuilder};
use tokio::time::timeout;

use crate::config::Secret;
use crate::db::error::DbError;

/// A server that does not answer for so long is away.
const PATIENCE: Duration = Duration::from_secs(5);

/// READ COMMITTED: claims of several daemons must not lock the gaps between rows. Strict: what does not fit is refused,
/// not cut. English: errors are told apart by their texts. The server's own time zone, not diesel-async's UTC:
/// `create_time` and `update_time` are its NOW(), as the Go program's. `lock_wait_timeout` (seconds) is that of
/// statements that alter tables, `innodb_lock_wait_timeout` that of rows: below the patience of a transaction.
const SETTINGS: &str = "\
    SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
    SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', \
        SESSION lc_messages = 'en_US', \
        SESSION time_zone = @@GLOBAL.time_zone, \
        SESSION lock_wait_timeout = 2, \
        SESSION innodb_lock_wait_timeout = 2";

/// For connections that write: one that is silent for so many seconds is given up by the server, with the rows it has
/// locked. That is a daemon that was frozen in the middle of a transaction, or cut off; others wait for those rows. Every
/// statement belongs to a transaction, which ends with COMMIT or ROLLBACK.
pub(super) const WRITES: &str = "SET SESSION wait_timeout = 30, SESSION autocommit = 0";

/// A connection.
pub(super) async fn open(url: &Secret) -> Result<AsyncMysqlConnection, DbError> {
    match timeout(PATIENCE, try_open(url)).await {
        Ok(opened) => opened,
        Err(_) => Err(DbError::Away(format!(
            "no connection within {} s",
            PATIENCE.as_secs()
        ))),
    }
}

/// Too many connections, of all or of ours; a server that is going down or offline; a host that is blocked: those pass.
const PASSING: [u16; 6] = [1040, 1053, 1129, 1203, 1226, 3032];

async fn try_open(url: &Secret) -> Result<AsyncMysqlConnection, DbError> {
    let away = |cause: &dyn std::fmt::Display| DbError::Away(cause.to_string());
    let opts = Opts::from_url(url.expose()).map_err(|cause| DbError::Denied(cause.to_string()))?;
    let opts = OptsBuilder::from_opts(opts)
        // diesel-async has a cache of its own.
        .stmt_cache_size(0)
        // The address says where the server is. A socket of the same name on this machine may be another's.
        .prefer_socket(false)
        // A row that an UPDATE finds counts, changed or not: as on the other databases.
        .client_found_rows(true);
    let connection = Conn::new(opts).await.map_err(|cause| match cause {
        mysql_async::Error::Server(said) if !PASSING.contains(&said.code) => {
            DbError::Denied(said.to_string())
        }
        // The server's TLS is not what the address asks for; so it is each time.
        mysql_async::Error::Io(mysql_async::IoError::Tls(cause)) => {
            DbError::Denied(cause.to_string())
        }
        other => away(&other),
    })?;
    let opened = AsyncMysqlConnection::try_from(connection).await;
    let mut connection = opened.map_err(|cause| away(&cause))?;
    let set = connection.batch_execute(SETTINGS).await;
    set.map_err(|cause| away(&cause))?;
    Ok(connection)
}
