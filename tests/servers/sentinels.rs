//! Redis as people run it where it must not go away: a primary, a replica of it, and three Sentinels that watch both.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use ::redis::{Client, Connection, FromRedisValue, RedisResult, cmd};

use super::folder::Folder;
use super::port;
use super::redis::{self, Redis};
use super::server::{Kind, Server};

/// By this name the Sentinels know the primary.
pub const SERVICE: &str = "orders";
const SENTINELS: usize = 3;
/// Two of them must find it down.
const QUORUM: usize = 2;
/// Short, and long enough for a replica whose link was cut for 30 s to be promoted: ten times as long.
const DOWN_AFTER_MS: &str = "3000";
const FAILOVER_TIMEOUT_MS: &str = "20000";
const PATIENCE: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// The replica logs in as this user, which can be locked out.
const REPLICATION: &str = "replication";

type Sentinel = Server<Program>;

pub struct Sentinels {
    /// As it was at the start.
    pub primary: Redis,
    pub replica: Redis,
    /// By which the Sentinels know both.
    ports: (u16, u16),
    each: Vec<Sentinel>,
}

impl Sentinels {
    /// One's own, all of them knowing each other. `None`: not installed.
    pub fn dedicated() -> Option<Self> {
        let (primary, replica) = (Redis::dedicated()?, Redis::dedicated()?);
        let ports = (primary.port(), replica.port());
        Self::group(primary, replica, ports, |_| {})
    }

    /// As [`Sentinels::dedicated`], all of them reached by TLS, and each other as well: with `cert.pem` and `key.pem` of this
    /// folder, of 127.0.0.1. What tests ask goes by their other ports.
    pub fn secured(certificates: &Path) -> Option<Self> {
        let (primary, replica) = (Redis::dedicated()?, Redis::dedicated()?);
        let ports = (port::free(), port::free());
        for (server, tls_port) in [(primary.port(), ports.0), (replica.port(), ports.1)] {
            let mut words = vec!["CONFIG".to_owned(), "SET".to_owned()];
            let settings = tls_settings(certificates, tls_port).into_iter();
            words.extend(settings.flat_map(|(name, value)| [name.to_owned(), value]));
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            ask::<()>(server, &words);
        }
        Self::group(primary, replica, ports, |sentinel| {
            sentinel.tls = Some((certificates.to_owned(), port::free()));
        })
    }

    fn group(
        primary: Redis,
        replica: Redis,
        ports: (u16, u16),
        change: impl Fn(&mut Program),
    ) -> Option<Self> {
        let sentinel = |_| {
            Sentinel::dedicated_as(|mut sentinel| {
                change(&mut sentinel);
                sentinel
            })
        };
        let group = Self {
            primary,
            replica,
            ports,
            each: (0..SENTINELS).map(sentinel).collect::<Option<_>>()?,
        };
        group.replicate();
        group.watch();
        Some(group)
    }

    pub fn url(&self) -> String {
        let is_secured = self.each[0].kind().tls.is_some();
        let scheme = if is_secured { "rediss" } else { "redis" };
        format!("{scheme}+sentinel://{}/{SERVICE}/0", self.hosts().join(","))
    }

    /// Host and port of each Sentinel.
    pub fn hosts(&self) -> Vec<String> {
        let host = |sentinel: &Sentinel| {
            let tls = sentinel.kind().tls.as_ref();
            let port = tls.map_or(sentinel.port(), |(_, port)| *port);
            format!("127.0.0.1:{port}")
        };
        self.each.iter().map(host).collect()
    }

    /// From now on no write to the primary reaches the replica.
    pub fn cut_replication(&self) {
        let primary = self.primary.port();
        ask::<()>(primary, &["ACL", "SETUSER", REPLICATION, "off"]);
        ask::<u64>(primary, &["CLIENT", "KILL", "TYPE", "replica"]);
        let replica = self.replica.port();
        wait("the replica to be cut off", || {
            replication(replica).contains("master_link_status:down")
        });
    }

    /// An orderly failover, as for maintenance. Returns when it has begun.
    pub fn hand_over(&self) {
        let port = self.each[0].port();
        wait("a Sentinel to begin the failover", || {
            try_ask::<()>(port, &["SENTINEL", "FAILOVER", SERVICE]).is_ok()
        });
    }

    /// Returns when the replica is the primary.
    pub fn wait_promoted(&self) {
        let replica = self.replica.port();
        wait("the replica to be promoted", || {
            replication(replica).contains("role:master")
        });
    }

    /// Returns when the old primary has become a replica: until then there are two primaries.
    pub fn wait_demoted(&self) {
        let primary = self.primary.port();
        wait("the primary to become a replica", || {
            replication(primary).contains("role:slave")
        });
    }

    fn replicate(&self) {
        let (primary, replica) = (self.primary.port(), self.replica.port());
        let password = format!(">{REPLICATION}");
        ask::<()>(
            primary,
            &["ACL", "SETUSER", REPLICATION, "on", &password, "+@all"],
        );
        for name in ["masteruser", "masterauth"] {
            ask::<()>(replica, &["CONFIG", "SET", name, REPLICATION]);
        }
        let known_as = self.ports.0.to_string();
        ask::<()>(replica, &["REPLICAOF", "127.0.0.1", &known_as]);
        wait("the replica to have everything", || {
            replication(replica).contains("master_link_status:up")
        });
    }

    fn watch(&self) {
        let (port, quorum) = (self.ports.0.to_string(), QUORUM.to_string());
        for sentinel in &self.each {
            let sentinel = sentinel.port();
            let monitor = ["SENTINEL", "MONITOR", SERVICE, "127.0.0.1", &port, &quorum];
            ask::<()>(sentinel, &monitor);
            for (name, value) in [
                ("down-after-milliseconds", DOWN_AFTER_MS),
                ("failover-timeout", FAILOVER_TIMEOUT_MS),
            ] {
                ask::<()>(sentinel, &["SENTINEL", "SET", SERVICE, name, value]);
            }
        }
        for sentinel in &self.each {
            wait("the Sentinels to know each other and the replica", || {
                let ask = |what| {
                    let words = ["SENTINEL", what, SERVICE];
                    try_ask::<Vec<::redis::Value>>(sentinel.port(), &words).map(|found| found.len())
                };
                ask("SENTINELS").is_ok_and(|others| others == SENTINELS - 1)
                    && ask("REPLICAS").is_ok_and(|replicas| replicas == 1)
            });
        }
    }
}

fn replication(port: u16) -> String {
    try_ask(port, &["INFO", "replication"]).unwrap_or_default()
}

#[track_caller]
fn ask<T: FromRedisValue>(port: u16, words: &[&str]) -> T {
    try_ask(port, words).unwrap_or_else(|cause| panic!("{words:?}: {cause}"))
}

fn try_ask<T: FromRedisValue>(port: u16, words: &[&str]) -> RedisResult<T> {
    let client = Client::open(format!("redis://127.0.0.1:{port}"))?;
    let mut connection: Connection = client.get_connection()?;
    cmd(words[0]).arg(&words[1..]).query(&mut connection)
}

#[track_caller]
fn wait(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        sleep(POLL_INTERVAL);
    }
}

/// A Redis that runs as a Sentinel.
pub struct Program {
    redis: redis::Program,
    /// The folder of its certificate, and the port by which it is reached with that.
    tls: Option<(PathBuf, u16)>,
}

/// Names and values.
fn tls_settings(certificates: &Path, port: u16) -> [(&'static str, String); 6] {
    let file = |name| certificates.join(name).display().to_string();
    [
        ("tls-cert-file", file("cert.pem")),
        ("tls-key-file", file("key.pem")),
        ("tls-ca-cert-file", file("cert.pem")),
        ("tls-auth-clients", "no".to_owned()),
        ("tls-replication", "yes".to_owned()),
        ("tls-port", port.to_string()),
    ]
}

impl Kind for Program {
    const NAME: &'static str = "Redis-Sentinel";
    const READY: &'static str = "Sentinel ID is";

    fn find() -> Option<Self> {
        let redis = redis::Program::find()?;
        Some(Self { redis, tls: None })
    }

    fn home(&self) -> PathBuf {
        self.redis.home()
    }

    fn prepare(&self, folder: &Folder, port: u16) {
        // It writes into this file what it learns.
        let dir = self.redis.within(folder, "");
        let mut lines = format!("port {port}\nbind 127.0.0.1\ndir {}\n", dir.display());
        if let Some((certificates, port)) = &self.tls {
            for (name, value) in tls_settings(certificates, *port) {
                lines += &format!("{name} {value}\n");
            }
        }
        std::fs::write(folder.path("sentinel.conf"), lines).unwrap();
    }

    fn command(&self, folder: &Folder, _port: u16) -> Command {
        let mut command = self.redis.program();
        command
            .arg(self.redis.within(folder, "sentinel.conf"))
            .arg("--sentinel");
        command
    }
}
