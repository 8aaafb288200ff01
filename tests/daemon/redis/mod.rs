//! Redis lists, filled as other people's programs do it, and consumed by the daemon.

mod losses;
mod outages;
mod pairs;
mod poison;
mod sending;
mod sentinel;
mod servers;
mod slow_link;
mod speed;

use std::path::Path;
use std::process::Command;

use redis::Connection;
use serde_json::{Value, json};

use crate::servers::redis::{Redis, shared};
use crate::wait::{LONG_PATIENCE, PATIENCE, wait_until};
use crate::world::World;

/// A list on a server, as its producer knows it.
pub struct List {
    key: String,
    connection: Connection,
}

impl List {
    pub fn on(server: &Redis, key: String) -> Self {
        let client = redis::Client::open(server.url()).unwrap();
        Self {
            key,
            connection: client.get_connection().unwrap(),
        }
    }

    fn ask<T: redis::FromRedisValue>(&mut self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command
            .arg(&words[1..])
            .query(&mut self.connection)
            .unwrap()
    }

    pub fn push<'a>(&mut self, bodies: impl IntoIterator<Item = &'a String>) {
        let bodies: Vec<&String> = bodies.into_iter().collect();
        for portion in bodies.chunks(1000) {
            let mut push = redis::cmd("LPUSH");
            let _: u64 = push
                .arg(&self.key)
                .arg(portion)
                .query(&mut self.connection)
                .unwrap();
        }
    }

    fn keys(&mut self) -> Vec<String> {
        let prefix = format!("{}:simplest_script:", self.key);
        let keys: Vec<String> = self.ask(&["KEYS", &format!("{prefix}*")]);
        keys.iter()
            .map(|key| key[prefix.len()..].to_owned())
            .collect()
    }

    /// What waits in the list itself.
    pub fn waiting(&mut self) -> u64 {
        let key = self.key.clone();
        self.ask(&["LLEN", &key])
    }

    /// Waits until the server has sent everything that waits in the list to daemons. It may answer us, that the list is
    /// empty, before it answers the daemon that emptied it; the next answer comes after that one.
    pub fn wait_sent(&mut self) {
        wait_until("the list to be taken", PATIENCE, || self.waiting() == 0);
        self.waiting();
    }

    /// Whether nothing is left to be done, anywhere.
    pub fn is_empty(&mut self) -> bool {
        let holds =
            |name: &String| name.starts_with("batch:") || name == "back" || name == "retries";
        self.waiting() == 0 && !self.keys().iter().any(holds)
    }

    /// The names of all messages that daemons have taken and not finished, as the server knows them.
    pub fn taken(&mut self) -> Vec<String> {
        let batches = self.keys().into_iter();
        let mut taken = Vec::new();
        for name in batches.filter(|name| name.starts_with("batch:")) {
            let key = format!("{}:simplest_script:{name}", self.key);
            let batch: Vec<String> = self.ask(&["LRANGE", &key, "0", "-1"]);
            let Some((head, messages)) = batch.split_first() else {
                continue;
            };
            let (_, boot_and_number) = name.split_once(':').unwrap();
            let (boot, number) = boot_and_number.rsplit_once(':').unwrap();
            // `m 1764000000000 3,4`: what is left of it.
            let head: Vec<&str> = head.split(' ').collect();
            let left: Vec<&str> = head
                .get(2)
                .map_or_else(Vec::new, |left| left.split(',').collect());
            taken.extend(
                messages
                    .iter()
                    .enumerate()
                    .map(|(at, message)| match head[0] {
                        "m" => {
                            let place = left
                                .get(at)
                                .map_or((at + 1).to_string(), ToString::to_string);
                            format!("{boot}-{number}-{place}")
                        }
                        _ => message.split(' ').next().unwrap().to_owned(),
                    }),
            );
        }
        taken
    }

    #[track_caller]
    pub fn wait_empty(&mut self) {
        wait_until(
            "the list and all batches to be worked off",
            LONG_PATIENCE,
            || self.is_empty(),
        );
    }
}

/// The settings of a daemon on this server.
pub fn settings(server: &Redis) -> Value {
    json!({
        "heartbeat_interval": "300ms",
        "redis": { "default": { "url": server.url() } },
    })
}

/// An entry `work` that consumes the list, with these keys beside the usual ones.
fn entry(key: &str, more: Value) -> Value {
    let mut entry = json!({
        "name": "work", "exec_cmd": "ledger", "key": key, "progress": 4,
        "progress_lag_limit": 1_000_000, "progress_avg_msgcount": 1000, "status": 1,
    });
    entry
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    entry
}

/// A world and its list on the server of all tests; none where none is installed.
fn shared_world(more: Value) -> Option<(World, List)> {
    let server = shared()?;
    let list = List::on(server, server.key());
    let world = World::new(settings(server));
    world.partition("script1", &json!([entry(&list.key, more)]), &json!([]));
    Some((world, list))
}

/// `cert.pem` and `key.pem` for this machine, by themselves, in a folder.
fn certificate(folder: &Path) {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args([
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ])
        .arg("-keyout")
        .arg(folder.join("key.pem"))
        .arg("-out")
        .arg(folder.join("cert.pem"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
}
