//! Redis as people run it where it must not go away: a primary, a replica of it, and three Sentinels that watch both.

use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use ::redis::{Client, Connection, FromRedisValue, RedisResult, cmd};

use super::folder::Folder;
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
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// The replica logs in as this user, which can be locked out.
const REPLICATION: &str = "replication";

type Sentinel = Server<Program>;

pub struct Sentinels {
    /// As it was at the start.
    pub primary: Redis,
    pub replica: Redis,
    each: Vec<Sentinel>,
}

impl Sentinels {
    /// One's own, all of them knowing each other. `None`: not installed.
    pub fn dedicated() -> Option<Self> {
        let group = Self {
            primary: Redis::dedicated()?,
            replica: Redis::dedicated()?,
            each: (0..SENTINELS)
                .map(|_| Sentinel::dedicated())
                .collect::<Option<_>>()?,
        };
        group.replicate();
        group.watch();
        Some(group)
    }

    pub fn url(&self) -> String {
        format!("redis+sentinel://{}/{SERVICE}/0", self.hosts().join(","))
    }

    /// Host and port of each Sentinel.
    pub fn hosts(&self) -> Vec<String> {
        let host = |sentinel: &Sentinel| format!("127.0.0.1:{}", sentinel.port());
        self.each.iter().map(host).collect()
    }

    /// From now on nothing of what the primary is told reaches the replica.
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

    /// Returns when the old primary has heard of it: until then there are two.
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
        ask::<()>(replica, &["REPLICAOF", "127.0.0.1", &primary.to_string()]);
        wait("the replica to have everything", || {
            replication(replica).contains("master_link_status:up")
        });
    }

    fn watch(&self) {
        let (port, quorum) = (self.primary.port().to_string(), QUORUM.to_string());
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
        sleep(LOOK_INTERVAL);
    }
}

/// A Redis that runs as a Sentinel.
pub struct Program(redis::Program);

impl Kind for Program {
    const NAME: &'static str = "Redis-Sentinel";
    const READY: &'static str = "Sentinel ID is";

    fn find() -> Option<Self> {
        redis::Program::find().map(Self)
    }

    fn home(&self) -> PathBuf {
        self.0.home()
    }

    fn prepare(&self, folder: &Folder, port: u16) {
        // It writes into this file what it learns.
        let dir = self.0.within(folder, "");
        let lines = format!("port {port}\nbind 127.0.0.1\ndir {}\n", dir.display());
        std::fs::write(folder.path("sentinel.conf"), lines).unwrap();
    }

    fn command(&self, folder: &Folder, _port: u16) -> Command {
        let mut command = self.0.program();
        command
            .arg(self.0.within(folder, "sentinel.conf"))
            .arg("--sentinel");
        command
    }
}
