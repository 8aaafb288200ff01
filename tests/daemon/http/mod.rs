//! The HTTP port and the socket, from outside.

mod browser;
mod buttons;
pub mod client;
mod counts;
mod crowd;
mod dead;
mod delay;
mod layout;
mod millions;
mod outages;
mod page;
mod pauses;
mod pictures;
mod promtool;
mod readiness;
mod refusals;
mod rows;
mod runs;
mod sockets;
mod status;
mod visited;

use std::path::PathBuf;

use rustix::process::getuid;
use serde_json::{Value, json};

use self::client::{Answer, ask_socket, send_socket};
use crate::process::Daemon;
use crate::world::World;

/// A world with the queue `work`, whose daemon listens on a free port.
fn world(http: Value) -> World {
    let world = World::new(settings(http));
    world.partition("script1", &World::table_queue(), &json!([]));
    world
}

fn settings(mut http: Value) -> Value {
    http["listen"] = json!("127.0.0.1:0");
    json!({ "http": http })
}

/// The routes of the daemon `script1`, over its socket.
struct Api(PathBuf);

impl Api {
    fn of(world: &World) -> Self {
        Self(world.path("data/script1.sock"))
    }

    fn ask(&self, path: &str) -> Answer {
        ask_socket(&self.0, "GET", &format!("/api/v1/{path}"))
    }

    #[track_caller]
    fn get(&self, path: &str) -> Value {
        let answer = self.ask(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        send_socket(&self.0, "POST", &format!("/api/v1/{path}"), &body)
    }

    /// An order that must be done.
    #[track_caller]
    fn order(&self, path: &str, body: &Value) -> Value {
        let answer = self.post(path, body);
        assert!(answer.status / 100 == 2, "{path}: {}", answer.body);
        answer.json()
    }

    /// An order that must be refused with this status; why.
    #[track_caller]
    fn refused(&self, path: &str, body: &Value, status: u16) -> String {
        let answer = self.post(path, body);
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        answer.json()["error"].as_str().unwrap().to_owned()
    }

    /// All rows of a list, page by page: those under `rows`, and the next page behind `place`.
    #[track_caller]
    fn all(&self, path: &str, rows: &str, place: &str) -> Vec<Value> {
        let (mut all, mut from) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}{from}"));
            all.extend(page[rows].as_array().unwrap().iter().cloned());
            let next = match &page["next"] {
                Value::Null => return all,
                Value::String(next) => next.clone(),
                next => next.to_string(),
            };
            from = format!("&{place}={next}");
        }
    }
}

/// Who orders over the socket.
fn me() -> String {
    format!("uid {} at the socket", getuid().as_raw())
}

/// The address at which the daemon listens, by its log.
pub fn address(daemon: &mut Daemon) -> String {
    let line = daemon.wait_log("http: listening on http://");
    let (_, address) = line.split_once("http://").unwrap();
    address.split('/').next().unwrap().to_owned()
}
