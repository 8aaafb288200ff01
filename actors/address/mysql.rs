//! Connections to MySQL and MariaDB. What the address may ask for is mysql_async's: `require_ssl=true` and its like.

use diesel_async::AsyncMysqlConnection;
use mysql_async::{Conn, Error, IoError, Opts, OptsBuilder};

use super::NoConnection;

/// Too many connections, of all or of ours; a server that is going down or offline; a host that is blocked: those pass.
const PASSING: [u16; 6] = [1040, 1053, 1129, 1203, 1226, 3032];

/// What is wrong with the address, whatever server is there.
pub(crate) fn check(address: &str) -> Result<(), String> {
    opts(address).map(drop)
}

fn opts(address: &str) -> Result<OptsBuilder, String> {
    let opts = Opts::from_url(address).map_err(|cause| cause.to_string())?;
    Ok(OptsBuilder::from_opts(opts)
        // diesel-async has a cache of its own.
        .stmt_cache_size(0)
        // The address says where the server is. A socket of the same name on this machine may be another's.
        .prefer_socket(false)
        // A row that an UPDATE finds counts, changed or not: as on the other databases.
        .client_found_rows(true))
}

/// A connection to the address.
pub(crate) async fn connect(address: &str) -> Result<AsyncMysqlConnection, NoConnection> {
    let opts = opts(address).map_err(NoConnection::Denied)?;
    let connection = Conn::new(opts).await.map_err(|cause| judged(&cause))?;
    AsyncMysqlConnection::try_from(connection)
        .await
        .map_err(|cause| NoConnection::Away(cause.to_string()))
}

fn judged(error: &Error) -> NoConnection {
    match error {
        Error::Server(said) if !PASSING.contains(&said.code) => {
            NoConnection::Denied(said.to_string())
        }
        // The server's TLS is not what the address asks for; so it is each time.
        Error::Io(IoError::Tls(cause)) => NoConnection::Denied(cause.to_string()),
        other => NoConnection::Away(other.to_string()),
    }
}
