//! Connections to one Redis server, and the check whether the server can be used.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bb8_redis::redis::{Client, ErrorKind, RedisError, cmd};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::error::Fault;
use super::primary::{Sentinels, Switches};
use super::stream::{Attentive, CONNECT_TIMEOUT, LONGEST_SILENCE, LastByte, SILENT};
use crate::config::RedisSettings;

/// The oldest version that can pop several messages of a list (`RPOP key count`).
const OLDEST: (u32, u32) = (6, 2);

/// A connection, with the generation of the server that it leads to.
pub(super) struct Connection {
    pub(super) inner: Attentive,
    pub(super) broken: bool,
    /// Of the answer by which its server was found; see [`Sentinels`].
    generation: u64,
}

/// Where connections go.
enum Target {
    /// To the server of this address. A generation as that of [`Sentinels`]: after a restart all connections from before
    /// are dead, and each of them would be tried, with a longer pause every time.
    Server(Box<Client>, AtomicU64),
    /// To whichever server is the primary by these.
    Primary(Box<Sentinels>, Switches),
}

/// Opens connections, for the pool.
pub(super) struct Manager {
    target: Target,
    /// Why the last connection could not be opened. The pool does not return the cause.
    failure: Mutex<Option<Fault>>,
    pub(super) failed: Notify,
    /// When the last byte came from the server.
    pub(super) last_byte: Arc<LastByte>,
    warned: AtomicBool,
    name: String,
}

impl Manager {
    pub(super) fn new(name: &str, settings: &RedisSettings) -> Result<Self, String> {
        let target = match settings.sentinels()? {
            Some(address) => {
                Target::Primary(Box::new(Sentinels::new(address)?), Switches::default())
            }
            None => {
                let client = Client::open(settings.url.expose());
                let client = client.map_err(|cause| cause.to_string())?;
                Target::Server(Box::new(client), AtomicU64::new(0))
            }
        };
        Ok(Self {
            target,
            failure: Mutex::default(),
            failed: Notify::new(),
            last_byte: LastByte::now(),
            warned: AtomicBool::new(false),
            name: name.to_owned(),
        })
    }

    /// Why the last connection could not be opened.
    pub(super) fn last_failure(&self) -> Option<Fault> {
        self.failure.lock().clone()
    }

    /// Opens a connection without checking its server.
    pub(super) async fn open(&self) -> Result<Connection, Fault> {
        let (client, generation) = match &self.target {
            Target::Server(client, generation) => {
                ((**client).clone(), generation.load(Ordering::Acquire))
            }
            Target::Primary(sentinels, switches) => {
                let primary = sentinels.primary().await.map_err(Fault::Away)?;
                switches.note(&self.name, &primary.address);
                (primary.client, primary.generation)
            }
        };
        let opened = Attentive::open(client.get_connection_info(), &self.last_byte);
        let opened = tokio::time::timeout(CONNECT_TIMEOUT + LONGEST_SILENCE, opened).await;
        let fault = match opened {
            Ok(Ok(inner)) => {
                return Ok(Connection {
                    inner,
                    broken: false,
                    generation,
                });
            }
            Ok(Err(cause)) => Fault::of(&cause),
            Err(_) => Fault::Away(SILENT.to_owned()),
        };
        // A server that takes no more connections may still serve the open ones.
        if let Target::Primary(sentinels, _) = &self.target {
            sentinels.doubt(generation);
        }
        Err(fault)
    }

    /// The server of this generation does not serve us: no connection to it is used any more, and the Sentinels are asked
    /// again. Several calls for one generation count once.
    fn doubt(&self, generation: u64) {
        match &self.target {
            Target::Primary(sentinels, _) => sentinels.doubt(generation),
            Target::Server(_, current) => {
                let next = generation + 1;
                let _ =
                    current.compare_exchange(generation, next, Ordering::AcqRel, Ordering::Acquire);
            }
        }
    }

    /// Whether the connection leads to the server that a new one would lead to.
    pub(super) fn is_current(&self, connection: &Connection) -> bool {
        match &self.target {
            Target::Server(_, current) => current.load(Ordering::Acquire) == connection.generation,
            Target::Primary(sentinels, _) => sentinels.generation() == connection.generation,
        }
    }

    /// A command on this connection failed. Where the server serves no client the connection is not used again, as other
    /// commands on it can be in any state.
    pub(super) fn failed(&self, connection: &mut Connection, fault: &Fault) {
        if matches!(fault, Fault::Away(_)) {
            connection.broken = true;
            self.doubt(connection.generation);
        }
    }

    /// As [`Manager::failed`], for a connection that others use at the same time: it is no longer current.
    pub(super) fn failed_beside(&self, connection: &Connection, fault: &Fault) {
        if matches!(fault, Fault::Away(_)) {
            self.doubt(connection.generation);
        }
    }

    pub(super) async fn open_checked(&self) -> Result<Connection, Fault> {
        let mut connection = self.open().await?;
        let info: Result<String, _> = connection.inner.query(&cmd("INFO")).await;
        let checked = match info {
            Ok(info) => self.check(&info),
            // Not every user may send `INFO`. Then the first scripts show whether the server is suitable.
            Err(Fault::Refused(_)) => Ok(()),
            Err(away) => Err(away),
        };
        match checked {
            Ok(()) => Ok(connection),
            Err(fault) => {
                self.failed(&mut connection, &fault);
                Err(fault)
            }
        }
    }

    fn check(&self, info: &str) -> Result<(), Fault> {
        if let Some(why) = unsuitable(info) {
            return Err(Fault::Away(why));
        }
        // It can have become a replica between the check of its role and this connection.
        if matches!(self.target, Target::Primary(..)) && field(info, "role") == Some("slave") {
            return Err(Fault::Away(
                "the server that its Sentinels name is a replica; they are asked again".to_owned(),
            ));
        }
        if let Some(warning) = may_evict(info)
            && !self.warned.swap(true, Ordering::Relaxed)
        {
            log::warn!("redis `{}`: {warning}", self.name);
        }
        Ok(())
    }
}

impl Manager {
    /// Opens a connection for the pool. The cause of a failure is kept, as the pool does not return it.
    pub(super) async fn connect(&self) -> Result<Connection, RedisError> {
        match self.open_checked().await {
            Ok(connection) => Ok(connection),
            Err(fault) => {
                *self.failure.lock() = Some(fault);
                self.failed.notify_waiters();
                Err((ErrorKind::Io, "no connection").into())
            }
        }
    }
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = info.lines();
    lines
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

/// Why the server with this `INFO` cannot be used.
pub(crate) fn unsuitable(info: &str) -> Option<String> {
    if field(info, "redis_mode") == Some("sentinel") {
        return Some(
            "it is a Sentinel, which keeps no lists; `redis+sentinel://host:port,host:port/service/0` would be right"
                .to_owned(),
        );
    }
    let cluster = field(info, "redis_mode") == Some("cluster")
        || field(info, "server_mode") == Some("cluster")
        || field(info, "cluster_enabled") == Some("1");
    if cluster {
        return Some(
            "it is a cluster, which is not supported: batches move between keys that a cluster spreads over its nodes; \
             a single server (with replicas, if you like) is needed"
                .to_owned(),
        );
    }
    // Valkey calls itself Redis 7.2 here, for programs like this one.
    let version = field(info, "redis_version")?;
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    (found < OLDEST).then(|| {
        let (major, minor) = OLDEST;
        format!("it is Redis {version}; {major}.{minor} or later is needed")
    })
}

/// Why a server that refuses writes cannot be used; none where it is no replica.
pub(crate) fn replica(info: &str) -> Option<String> {
    (field(info, "role") == Some("slave"))
        .then(|| "it is a replica; `url` must name the primary, or its Sentinels".to_owned())
}

/// Why a server that may evict queues when its memory is full cannot be used; none where it may not.
fn may_evict(info: &str) -> Option<String> {
    let policy = field(info, "maxmemory_policy")?;
    let limited = field(info, "maxmemory").is_some_and(|bytes| bytes != "0");
    (limited && policy.starts_with("allkeys")).then(|| {
        format!(
            "its `maxmemory-policy` is {policy}: when its memory is full it throws queues away, messages included; \
             `noeviction` or a `volatile` one would be right"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_and_old_servers_are_refused_by_name() {
        for (info, wanted) in [
            ("redis_version:7.0.15\r\nredis_mode:standalone\r\n", None),
            (
                "redis_version:6.2.0\r\nredis_mode:sentinel\r\n",
                Some("it is a Sentinel, which keeps no lists; `redis+sentinel://"),
            ),
            (
                "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.0.0\r\n",
                None,
            ),
            (
                "redis_version:6.0.16\r\n",
                Some("it is Redis 6.0.16; 6.2 or later"),
            ),
            ("redis_version:5.0\r\n", Some("it is Redis 5.0; 6.2")),
            (
                "redis_version:7.0.15\r\nredis_mode:cluster\r\n",
                Some("it is a cluster"),
            ),
            (
                "redis_version:7.0.15\r\ncluster_enabled:1\r\n",
                Some("it is a cluster"),
            ),
            ("", None),
        ] {
            let found = unsuitable(info);
            match wanted {
                None => assert_eq!(found, None, "{info}"),
                Some(wanted) => assert!(
                    found.as_ref().is_some_and(|f| f.starts_with(wanted)),
                    "{found:?}"
                ),
            }
        }
    }

    #[test]
    fn a_server_that_may_throw_queues_away_is_known() {
        assert!(may_evict("maxmemory:100\r\nmaxmemory_policy:allkeys-lru\r\n").is_some());
        assert_eq!(
            may_evict("maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n"),
            None
        );
        assert_eq!(
            may_evict("maxmemory:100\r\nmaxmemory_policy:noeviction\r\n"),
            None
        );
        assert_eq!(
            may_evict("maxmemory:100\r\nmaxmemory_policy:volatile-lru\r\n"),
            None
        );
    }
}
