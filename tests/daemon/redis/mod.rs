//! Redis lists, filled as other people's programs do it, and consumed by the daemon.

mod losses;
mod outages;
mod pairs;
mod poison;
mod sending;
mod servers;
mod speed;

use redis::Connection;
use serde_json::{Value, json};

use crate::servers::redis::{Redis, shared};
use crate::wait::{LONG_PATIENCE, wait_until};
use crate::world::World;

/// A list on a server, as its producer knows it.
pub struct List {
    key: String,
    connection: Connection,
}

impl List {
    fn on(server: &Redis, key: String) -> Self {
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

    /// Whether nothing is left to be done, anywhere.
    pub fn is_empty(&mut self) -> bool {
        let holds =
            |name: &String| name.starts_with("batch:") || name == "back" || name == "retries";
        self.waiting() == 0 && !self.keys().iter().any(holds)
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
fn settings(server: &Redis) -> Value {
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
