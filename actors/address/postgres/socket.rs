//! Connections through a socket in a folder of this machine, which PostgreSQL does not encrypt.

use std::path::Path;

use diesel_async::AsyncPgConnection;
use tokio::net::UnixStream;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Config, NoTls};

use super::states::{SqlStates, Watched};
use super::{chain, judged};
use crate::address::NoConnection;

const DEFAULT_PORT: u16 = 5432;

/// The folders among the hosts, each with the port that names its socket.
pub(super) fn folders(config: &Config) -> Vec<(&Path, u16)> {
    let ports = config.get_ports();
    let port = |at: usize| ports.get(at).or(ports.first()).copied();
    let hosts = config.get_hosts().iter().enumerate();
    hosts
        .filter_map(|(at, host)| match host {
            Host::Unix(folder) => Some((folder.as_path(), port(at).unwrap_or(DEFAULT_PORT))),
            Host::Tcp(_) => None,
        })
        .collect()
}

/// Through the first of them that there is a server at.
pub(super) async fn connect(
    config: &Config,
    states: &SqlStates,
) -> Result<AsyncPgConnection, NoConnection> {
    let mut failed = NoConnection::Away("no socket is named".to_owned());
    for (folder, port) in folders(config) {
        match connect_to(config, folder, port, states).await {
            Ok(connection) => return Ok(connection),
            Err(cause) => failed = cause,
        }
    }
    Err(failed)
}

async fn connect_to(
    config: &Config,
    folder: &Path,
    port: u16,
    states: &SqlStates,
) -> Result<AsyncPgConnection, NoConnection> {
    let socket = folder.join(format!(".s.PGSQL.{port}"));
    let away = |cause: &dyn std::error::Error| {
        NoConnection::Away(format!("{}: {}", socket.display(), chain(cause)))
    };
    let stream = UnixStream::connect(&socket).await;
    let stream = Watched::new(stream.map_err(|cause| away(&cause))?, states.clone());
    let mut config = config.clone();
    config.ssl_mode(SslMode::Disable);
    let connected = config.connect_raw(stream, NoTls).await;
    let (client, connection) = connected.map_err(|cause| judged(&cause))?;
    // It ends with its client, which reports why it broke.
    tokio::spawn(async { drop(connection.await) });
    let opened = AsyncPgConnection::try_from(client).await;
    opened.map_err(|cause| away(&cause))
}
