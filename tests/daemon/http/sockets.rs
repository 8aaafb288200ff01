//! The socket of the command line.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use super::client::ask_socket;
use crate::process::Daemon;
use crate::wait::{PATIENCE, wait_until};
use crate::world::World;

#[test]
fn the_socket_answers_without_a_port_and_only_to_its_user() {
    let world = World::new(json!({}));
    world.partition("script1", &World::table_queue(), &json!([]));
    let daemon = world.start();
    let socket = world.path("data/script1.sock");
    wait_until("the socket", PATIENCE, || socket.exists());
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(ask_socket(&socket, "GET", "/healthz").status, 200);
    let order = ask_socket(&socket, "POST", "/api/v1/queues/work/lag-check");
    assert_eq!(order.status, 202, "{}", order.body);
    daemon.stop();
    assert!(
        !socket.exists(),
        "a daemon that ends takes its socket along"
    );
}

#[test]
fn a_socket_that_a_dead_daemon_left_is_replaced() {
    let world = World::new(json!({}));
    let daemon = world.start();
    let socket = world.path("data/script1.sock");
    wait_until("the socket", PATIENCE, || socket.exists());
    daemon.kill();
    assert!(socket.exists());
    let daemon = world.start();
    wait_until("the new socket", PATIENCE, || {
        std::os::unix::net::UnixStream::connect(&socket).is_ok()
    });
    daemon.stop();
}

/// The process that answers at the socket.
fn pid_behind(socket: &Path) -> Option<u32> {
    std::os::unix::net::UnixStream::connect(socket).ok()?;
    let state = ask_socket(socket, "GET", "/api/v1/state").json();
    u32::try_from(state["daemon"]["pid"].as_u64()?).ok()
}

fn wait_answer_of(daemon: &Daemon, socket: &Path) {
    let what = format!("process {} to answer at the socket", daemon.pid());
    wait_until(&what, PATIENCE, || pid_behind(socket) == Some(daemon.pid()));
}

#[test]
fn of_two_daemons_the_newer_has_the_socket_and_the_older_has_it_again() {
    let world = World::new(json!({}));
    let socket = world.path("data/script1.sock");
    let older = world.start();
    wait_answer_of(&older, &socket);
    let newer = world.start();
    wait_answer_of(&newer, &socket);
    let newest = world.start();
    wait_answer_of(&newest, &socket);
    // One that ends leaves the socket of another alone.
    newer.stop();
    assert_eq!(pid_behind(&socket), Some(newest.pid()));
    newest.stop();
    wait_answer_of(&older, &socket);
    older.stop();
}

#[test]
fn the_older_of_two_daemons_has_the_socket_again_when_the_newer_is_killed() {
    let world = World::new(json!({}));
    let socket = world.path("data/script1.sock");
    let older = world.start();
    wait_answer_of(&older, &socket);
    let newer = world.start();
    wait_answer_of(&newer, &socket);
    newer.kill();
    assert!(socket.exists(), "it is left behind");
    wait_answer_of(&older, &socket);
    older.stop();
    assert!(!socket.exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_data_directory_far_from_the_root_has_a_socket_and_a_status() {
    let far = "d".repeat(100);
    let world = World::new(json!({ "database": { "url": format!("sqlite://{far}/{far}/s.db") } }));
    std::fs::create_dir_all(world.path(&format!("{far}/{far}"))).unwrap();
    let daemon = world.start();
    let socket = world.path(&format!("{far}/{far}/script1.sock"));
    wait_until("the socket", PATIENCE, || socket.exists());
    let text = world.output(&["status"]);
    let pid = format!("partition script1, pid {}", daemon.pid());
    assert!(text.contains(&pid), "{text}");
    daemon.stop();
    assert!(!socket.exists());
}

#[test]
fn something_else_in_the_way_is_no_end() {
    let world = World::new(json!({}));
    fs::create_dir_all(world.path("data/script1.sock")).unwrap();
    let mut daemon = world.start();
    daemon.wait_log("http: no socket at");
    fs::remove_dir(world.path("data/script1.sock")).unwrap();
    let socket = world.path("data/script1.sock");
    wait_until("the socket", PATIENCE, || socket.exists());
    daemon.stop();
}
