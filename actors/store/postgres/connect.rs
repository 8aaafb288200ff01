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

/// What we rely on, whatever the server's files, `ALTER DATABASE … SET` or `ALTER ROLE … SET` say.
///
/// The server's own time zone, not diesel-async's UTC: `create_time` and `update_time` are its NOW(), as the Go
/// program's. A row that is locked for longer than the lock time-out is tried again; it is below the patience of a
/// transaction.
///
/// How long a statement may take is known to us (the patience of `writer.rs` and `reader.rs`), and not to the server: a
/// limit that is shorter than a wait for another transaction's lock would end statements that only have to wait.
/// Connections that rest are ours to close. A commit that is answered is on the server's disk: where nobody waits for
/// replicas either it is that, `local`. Versions differ in what they have of these, so the server's list is asked.
///
/// Our statements read some thousand rows at most. What the planner expects of one in a table with millions may be above
/// `jit_above_cost`, and compiling it would take longer than running it: `jit` is off.
///
/// `default_transaction_read_only` stays as it is: providers set it when the disk is full, and people to move a database.
const SETTINGS: &str = "\
    SET TIME ZONE DEFAULT; \
    SET lock_timeout = '2s'; \
    SET default_transaction_isolation = 'read committed'; \
    SELECT set_config(name, CASE name WHEN 'synchronous_commit' THEN 'local' ELSE '0' END, false) \
    FROM pg_catalog.pg_settings \
    WHERE name IN ('statement_timeout', 'transaction_timeout', 'idle_session_timeout', \
                   'idle_in_transaction_session_timeout', 'jit') \
       OR (name = 'synchronous_commit' AND setting = 'off')";

/// For connections that write: the server gives up one that is silent for this long in the middle of a transaction, with
/// the rows it has locked. That is a daemon that was frozen, or cut off; others wait for those rows.
pub(super) const WRITES: &str = "SET idle_in_transaction_session_timeout = '30s'";

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

async fn try_open(url: &Secret) -> Result<Connection, DbError> {
    let opened = address::postgres::connect_watched(url.expose()).await;
    let (opened, states) = opened.map_err(|cause| match cause {
        NoConnection::Denied(why) => DbError::Denied(why),
        NoConnection::Away(why) => DbError::Away(why),
    })?;
    let mut connection = Connection::new(opened, states);
    match connection.batch_execute(SETTINGS).await {
        Ok(()) => Ok(connection),
        Err(error) => {
            let judged = verdict(&mut connection, &error).await;
            Err(DbError::from_server(&error, &judged))
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_rt::System;
    use diesel::QueryableByName;
    use diesel::sql_types::Text;
    use diesel_async::RunQueryDsl;

    use super::*;
    use crate::servers::postgres;

    #[derive(QueryableByName)]
    struct Step {
        #[diesel(sql_type = Text)]
        #[diesel(column_name = "QUERY PLAN")]
        step: String,
    }

    /// Whether the server would compile a statement on this connection that it expects to cost much.
    async fn compiles(connection: &mut Connection) -> bool {
        connection
            .batch_execute("SET jit_above_cost = 0")
            .await
            .unwrap();
        let plan = diesel::sql_query("EXPLAIN SELECT count(*) FROM generate_series(1, 1000) AS n");
        let steps: Vec<Step> = plan.load(connection).await.unwrap();
        steps.iter().any(|row| row.step.starts_with("JIT"))
    }

    #[test]
    fn the_server_compiles_none_of_our_statements() {
        let Some(server) = postgres::shared() else {
            return;
        };
        let url = Secret::new(server.database());
        System::new().block_on(async move {
            let mut connection = open(&url).await.unwrap();
            assert!(!compiles(&mut connection).await);
            // The question can be answered otherwise.
            connection.batch_execute("SET jit = on").await.unwrap();
            assert!(compiles(&mut connection).await);
        });
    }
}
