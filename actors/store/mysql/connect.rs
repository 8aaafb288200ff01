//! Opens connections the way every process of ours must.

use std::time::Duration;

use diesel_async::SimpleAsyncConnection;
use tokio::time::timeout;

use super::connection::Connection;
use super::dialect::verdict;
use crate::address::{self, NoConnection};
use crate::config::Secret;
use crate::store::error::DbError;

/// A server that does not answer for this long is away.
const PATIENCE: Duration = Duration::from_secs(5);

/// What we rely on, whatever `SET GLOBAL`, the server's files or `init_connect` say.
///
/// READ COMMITTED: claims of several daemons must not lock the gaps between rows. Strict: what does not fit is refused,
/// not cut; and no other mode, as some read our statements differently. English, for the readers of errors. The
/// server's own time zone, not diesel-async's UTC: `create_time` and `update_time` are its NOW(), as the Go program's.
/// `lock_wait_timeout` (seconds) is that of statements that alter tables, `innodb_lock_wait_timeout` that of rows:
/// below the patience of a transaction.
///
/// How long a statement may take is known to us (the patience of `writer.rs` and `reader.rs`), and not to the server: a
/// limit that is shorter than a wait for another transaction's lock would end statements that only have to wait.
/// Neither may a SELECT be cut off or refused for the rows it reads, nor an UPDATE for its condition; a statement is a
/// transaction of its own unless we begin one, and COMMIT ends it and nothing else; a unique key is unique. Everybody
/// may set all of these.
///
/// Each product has its own name for the time limit; which comment is for which: `product.rs`.
const SETTINGS: &str = "\
    SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
    SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', \
        SESSION lc_messages = 'en_US', \
        SESSION time_zone = @@GLOBAL.time_zone, \
        SESSION lock_wait_timeout = 2, \
        SESSION innodb_lock_wait_timeout = 2, \
        /*M! SESSION max_statement_time = 0, SESSION idle_transaction_timeout = 0, */ \
        /*!80000 SESSION max_execution_time = 0, */ \
        SESSION sql_select_limit = 18446744073709551615, \
        SESSION sql_big_selects = 1, \
        SESSION sql_safe_updates = 0, \
        SESSION autocommit = 1, \
        SESSION completion_type = 'NO_CHAIN', \
        SESSION unique_checks = 1";

/// For connections that write: the server gives up one that is silent for this many seconds, with the rows it has locked.
/// That is a daemon that was frozen in the middle of a transaction, or cut off; others wait for those rows. Every
/// statement belongs to a transaction, which ends with COMMIT or ROLLBACK.
pub(super) const WRITES: &str = "SET SESSION wait_timeout = 30, SESSION autocommit = 0";

/// A connection.
pub(super) async fn open(url: &Secret) -> Result<Connection, DbError> {
    match timeout(PATIENCE, try_open(url)).await {
        Ok(opened) => opened,
        Err(_) => Err(DbError::Away(format!(
            "no connection within {} s",
            PATIENCE.as_secs()
        ))),
    }
}

/// The code of an error is asked for after it: a server that keeps none would make a lock that is waited for a refusal.
/// Apart from `SETTINGS`, as MySQL lets only administrators set it.
const ERRORS_ARE_KEPT: &str = "SET SESSION max_error_count = 64";

async fn try_open(url: &Secret) -> Result<Connection, DbError> {
    let opened = address::mysql::connect(url.expose()).await;
    let opened = opened.map_err(|cause| match cause {
        NoConnection::Away(cause) => DbError::Away(cause),
        NoConnection::Denied(cause) => DbError::Denied(cause),
    })?;
    let mut connection = Connection::new(opened);
    match connection.batch_execute(SETTINGS).await {
        Ok(()) => {
            // A role that may not relies on the server's own value: 64 by default.
            let _refused = connection.batch_execute(ERRORS_ARE_KEPT).await;
            Ok(connection)
        }
        Err(error) => {
            let judged = verdict(&mut connection, &error).await;
            Err(DbError::from_server(&error, &judged))
        }
    }
}
