//! Finds the primary behind Sentinels when a connection is opened, and forgets it at the first doubt.
//!
//! Sentinels name the new primary before its promotion is done, and an old primary can come back with its old role. The
//! redis crate therefore checks the role of the server that they name. But it checks only when it connects, so the user of
//! a connection must report that the server refuses writes or is lost. The next primary that is found has a new
//! *generation*, and connections of earlier generations are not used again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bb8_redis::redis::aio::MultiplexedConnection;
use bb8_redis::redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use bb8_redis::redis::{
    Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError, Role,
    TlsMode, cmd,
};
use parking_lot::Mutex;
use tokio::time::timeout;

use super::error::Fault;
use super::views::Views;
use crate::config::SentinelAddress;

/// The longest that a lookup takes. Three Sentinels are asked at once, each for a second and a half at most.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(3);

/// A server that was the primary when it was asked.
pub(crate) struct Primary {
    pub(crate) client: Client,
    /// Host and port.
    pub(crate) address: String,
    /// For [`Sentinels::doubt`].
    pub(crate) generation: u64,
}

/// See the module's header.
pub(crate) struct Sentinels {
    service: String,
    each: Vec<ConnectionInfo>,
    generation: AtomicU64,
    asking: tokio::sync::Mutex<Asking>,
}

struct Asking {
    client: SentinelClient,
    /// The primary that was found last, and its generation.
    found: Option<(u64, Client)>,
}

impl Sentinels {
    /// # Errors
    ///
    /// When an address is none.
    pub(crate) fn new(address: SentinelAddress) -> Result<Self, String> {
        let info = |url: &str| {
            url.into_connection_info()
                .map_err(|cause| cause.to_string())
        };
        let each: Result<Vec<_>, _> = address
            .sentinels
            .iter()
            .map(|url| info(url.expose()))
            .collect();
        let (each, login) = (each?, info(address.login.expose())?);
        let mut node = SentinelNodeConnectionInfo::default()
            .set_redis_connection_info(login.redis_settings().clone());
        if matches!(login.addr(), ConnectionAddr::TcpTls { .. }) {
            node = node.set_tls_mode(TlsMode::Secure);
        }
        let client = SentinelClient::build(
            each.clone(),
            &address.service,
            Some(node),
            SentinelServerType::Master,
        );
        Ok(Self {
            service: address.service,
            each,
            generation: AtomicU64::new(0),
            asking: tokio::sync::Mutex::new(Asking {
                client: client.map_err(|cause| cause.to_string())?,
                found: None,
            }),
        })
    }

    /// The generation of the server that a new connection would lead to.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The server of this generation may no longer be the primary. Several calls for one generation count once.
    pub(crate) fn doubt(&self, generation: u64) {
        let _ = self.generation.compare_exchange(
            generation,
            generation + 1,
            Ordering::AcqRel,
            Ordering::Acquire,
        );
    }

    /// The server that is the primary now.
    ///
    /// # Errors
    ///
    /// Why there is none, as a text for people.
    pub(crate) async fn primary(&self) -> Result<Primary, String> {
        let asked = {
            let mut asking = self.asking.lock().await;
            // Read under the lock: a caller that waited for the lock sees the primary that the caller before it found.
            let generation = self.generation();
            if let Some((of, client)) = &asking.found
                && *of == generation
            {
                return Ok(Primary::new(client.clone(), generation));
            }
            match timeout(LOOKUP_TIMEOUT, asking.client.async_get_client()).await {
                Ok(Ok(client)) => {
                    asking.found = Some((generation, client.clone()));
                    return Ok(Primary::new(client, generation));
                }
                Ok(Err(cause)) => Some(cause),
                Err(_) => None,
            }
        };
        let views = Views::ask(&self.each, &self.service).await;
        Err(views.explain(&self.service, asked.map(|cause| of_primary(&cause))))
    }
}

impl Primary {
    fn new(client: Client, generation: u64) -> Self {
        let address = client.get_connection_info().addr().to_string();
        Self {
            client,
            address,
            generation,
        }
    }
}

/// Why the primary that a Sentinel named refused the connection.
fn of_primary(cause: &RedisError) -> String {
    match cause.kind() {
        ErrorKind::MasterNameNotFoundBySentinel => {
            "it is no primary, or not yet: it is being promoted, or another one will be named"
                .to_owned()
        }
        _ => Fault::of(cause).text().to_owned(),
    }
}

/// Whether the server has the role of a primary. One round trip, where the user may read the role.
///
/// # Errors
///
/// When it does not answer.
pub(crate) async fn is_primary(connection: &mut MultiplexedConnection) -> Result<bool, RedisError> {
    match cmd("ROLE").query_async::<Role>(connection).await {
        Ok(role) => Ok(matches!(role, Role::Primary { .. })),
        Err(cause) if matches!(Fault::of(&cause), Fault::Refused(_)) => {
            let info: String = cmd("INFO")
                .arg("replication")
                .query_async(connection)
                .await?;
            Ok(info.lines().any(|line| line.trim() == "role:master"))
        }
        Err(cause) => Err(cause),
    }
}

/// Logs when another server becomes the primary.
#[derive(Default)]
pub(super) struct Switches(Mutex<Option<String>>);

impl Switches {
    /// A connection to the server that the settings call `name` leads to this address.
    pub(super) fn note(&self, name: &str, address: &str) {
        let mut last = self.0.lock();
        if last.as_deref() == Some(address) {
            return;
        }
        match last.replace(address.to_owned()) {
            None => log::info!("redis `{name}`: the primary is {address}, by its Sentinels"),
            Some(before) => log::warn!(
                "redis `{name}`: the primary is {address} now, by its Sentinels, and was {before}. What {before} had accepted \
                 and had not copied to {address} yet is not there: messages that producers pushed last may be lost, which \
                 nobody here can know; messages that ended last may run again"
            ),
        }
    }
}
