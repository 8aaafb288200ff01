//! The HTTP port and the socket, from outside.

mod browser;
pub mod client;
mod counts;
mod crowd;
mod millions;
mod page;
mod pauses;
mod promtool;
mod readiness;
mod refusals;
mod rows;
mod sockets;
mod status;

use serde_json::{Value, json};

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

/// Where the daemon says that it listens.
pub fn address(daemon: &mut Daemon) -> String {
    let line = daemon.wait_log("http: listening on http://");
    let (_, address) = line.split_once("http://").unwrap();
    address.split('/').next().unwrap().to_owned()
}
