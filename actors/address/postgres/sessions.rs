//! Whether each connection has a session of the server's to itself.
//!
//! A pooler may lend out a session for one transaction only: PgBouncer with `pool_mode = transaction` or `statement`, and
//! others that do the same. Prepared statements, settings and advisory locks of a connection are then gone after it, or are
//! somebody else's, and what relies on them fails at any time. No answer of a server shows it; so it is tried.

use tokio_postgres::{Client, SimpleQueryMessage};

use super::{NoConnection, client, judged};

/// Other programs may use the pooler meanwhile.
const ROUNDS: usize = 2;

/// A setting that means nothing. A pooler that keeps a session for a connection from its first setting on, as AWS's does, is
/// as good as none, since each connection of ours begins with settings.
const ANY_SETTING: &str = "SET simplest_script.session = 'own'";

const REMEDY: &str = "a pooler lends out the server's sessions for one transaction or statement at a time, and the daemon \
    needs sessions of its own, for prepared statements, settings and locks; PgBouncer's `pool_mode = session` for this \
    database or user, or the port of the server itself, would be right";

/// One connection reads its session while others begin transactions and keep them open. As long as each has a session
/// to itself, the first one's does not change, and is nobody else's.
///
/// A pooler that lends out the session that was used last gives it to the first of the others. One that takes its idle
/// sessions in turn gives the first connection another one the next time, but where there are two: then the second of the
/// others gets it.
pub(crate) async fn refuse_lent(address: &str) -> Result<(), NoConnection> {
    let one = client(address).await?;
    let others = [client(address).await?, client(address).await?];
    for client in others.iter().chain([&one]) {
        run(client, ANY_SETTING).await?;
    }
    for _ in 0..ROUNDS {
        let before = session(&one).await?;
        for other in &others {
            begin(other).await?;
            let held = session(other).await?;
            let after = session(&one).await?;
            if before != after || held == before {
                return Err(NoConnection::Denied(REMEDY.to_owned()));
            }
        }
        for other in &others {
            run(other, "ROLLBACK").await?;
        }
    }
    Ok(())
}

/// PgBouncer with `pool_mode = statement` refuses it.
async fn begin(client: &Client) -> Result<(), NoConnection> {
    match run(client, "BEGIN").await {
        Ok(_) => Ok(()),
        Err(NoConnection::Denied(why)) => Err(NoConnection::Denied(format!("{why}: {REMEDY}"))),
        Err(away) => Err(away),
    }
}

async fn run(client: &Client, sql: &str) -> Result<Vec<SimpleQueryMessage>, NoConnection> {
    let ran = client.simple_query(sql).await;
    ran.map_err(|error| judged(&error))
}

/// The number of the server's process.
async fn session(client: &Client) -> Result<String, NoConnection> {
    let messages = run(client, "SELECT pg_backend_pid()").await?;
    let number = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    number.map(str::to_owned).ok_or_else(|| {
        NoConnection::Away("the server did not say which session this is".to_owned())
    })
}
