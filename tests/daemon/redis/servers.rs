//! Servers as people have them: with TLS, with users of few rights, loading their data, cluster nodes.

use std::net::TcpListener;
use std::process::Command;

use serde_json::json;

use super::{List, certificate, entry, settings};
use crate::process::Daemon;
use crate::servers::redis::Redis;
use crate::wait::{PATIENCE, wait_until};
use crate::world::World;

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

#[test]
fn a_server_is_reached_by_tls_and_only_where_its_certificate_is_trusted() {
    let Some(server) = Redis::dedicated() else {
        return;
    };
    let world = World::new(json!({}));
    certificate(&world.path(""));
    let mut list = List::on(&server, "list".to_owned());
    let port = free_port();
    let file = |name: &str| world.path(name).display().to_string();
    let _: () = list.ask(&[
        "CONFIG",
        "SET",
        "tls-cert-file",
        &file("cert.pem"),
        "tls-key-file",
        &file("key.pem"),
        "tls-ca-cert-file",
        &file("cert.pem"),
        "tls-auth-clients",
        "no",
        "tls-port",
        &port.to_string(),
    ]);
    let redis = json!({ "default": { "url": format!("rediss://localhost:{port}/0") } });
    world.settings(json!({ "redis": redis }));
    world.partition("script1", &json!([entry("list", json!({}))]), &json!([]));

    let mut distrustful = world.start();
    let said = distrustful.wait_log("redis `default` is away");
    assert!(said.to_lowercase().contains("certificate"), "{said}");
    distrustful.stop();

    let mut command = world.command(&["run"]);
    command.env("SSL_CERT_FILE", world.path("cert.pem"));
    let mut daemon = Daemon::spawn(command, &world.path("trusting.err"));
    daemon.wait_ready();
    list.push(&["one".to_owned(), "two".to_owned()]);
    list.wait_empty();
    daemon.stop();
    assert_eq!(world.ledger().lines.len(), 2);
}

/// What the documents say that a user of ours needs, and nothing else.
const RIGHTS: [&str; 8] = [
    "~list",
    "~list:simplest_script:*",
    "-@all",
    "+@read",
    "+@write",
    "+@scripting",
    "+info",
    "+time",
];

#[test]
fn a_user_with_the_rights_of_readme_can_do_everything_and_one_with_fewer_loses_nothing() {
    let Some(server) = Redis::dedicated() else {
        return;
    };
    let mut list = List::on(&server, "list".to_owned());
    let url = server.url().replace("redis://", "redis://worker:secret@");
    let world = World::new(json!({
        "heartbeat_interval": "300ms",
        "redis": { "default": { "url": url } },
    }));
    let backoff = json!({ "base": "50ms", "max": "50ms" });
    let work = entry("list", json!({ "max_attempts": 3, "backoff": backoff }));
    world.partition("script1", &json!([work]), &json!([]));
    let user = |more: &[&str]| {
        let mut words = vec!["ACL", "SETUSER", "worker", "reset", "on", ">secret"];
        words.extend(RIGHTS);
        words.extend(more);
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    let set = |list: &mut List, more: &[&str]| {
        let words = user(more);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let _: () = list.ask(&words);
    };
    set(&mut list, &["-rpush"]);
    list.push(&["plain", "fail2:again", "fail:always"].map(str::to_owned));
    let mut daemon = world.start();
    let said = daemon.wait_log("queue `work` is away");
    assert!(
        said.contains("rights that docs/en/configuration.md names"),
        "{said}"
    );
    assert_eq!(
        list.waiting(),
        3,
        "nothing was taken that could not be kept"
    );
    set(&mut list, &[]);
    list.wait_empty();
    daemon.kill();
    // Another life, and what the first one left.
    let daemon = world.start();
    list.wait_empty();
    daemon.stop();
    assert_eq!(world.ledger().attempts_of("fail2:again"), [1, 2, 3]);
    assert_eq!(world.dead_letters().len(), 1);
    assert_eq!(list.keys(), [""; 0]);
}

#[test]
fn a_database_other_than_0_needs_one_right_more_and_no_other() {
    let Some(server) = Redis::dedicated() else {
        return;
    };
    let mut list = List::on(&server, "list".to_owned());
    let _: () = list.ask(&["SELECT", "1"]);
    let url = server.url().replace("redis://", "redis://worker:secret@");
    let url = format!("{}/1", url.trim_end_matches("/0"));
    let world = World::new(json!({
        "heartbeat_interval": "300ms",
        "redis": { "default": { "url": url } },
    }));
    world.partition("script1", &json!([entry("list", json!({}))]), &json!([]));
    let user = ["ACL", "SETUSER", "worker", "reset", "on", ">secret"];
    let rights: Vec<&str> = user.into_iter().chain(RIGHTS).collect();
    let _: () = list.ask(&rights);
    list.push(&["one".to_owned()]);
    let mut daemon = world.start();
    let said = daemon.wait_log("'select'");
    assert!(
        said.contains("rights that docs/en/configuration.md names"),
        "{said}"
    );
    let _: () = list.ask(&["ACL", "SETUSER", "worker", "+select"]);
    list.wait_empty();
    daemon.stop();
    assert_eq!(world.ledger().lines.len(), 1);
}

#[test]
fn a_cluster_is_refused_by_its_name() {
    let Some(server) = Redis::dedicated() else {
        return;
    };
    // A node of its own: this cannot be set on one that runs.
    let port = free_port();
    let world = World::new(
        json!({ "redis": { "default": { "url": format!("redis://127.0.0.1:{port}/0") } } }),
    );
    world.partition("script1", &json!([entry("list", json!({}))]), &json!([]));
    let mut node = Command::new("redis-server");
    node.args([
        "--port",
        &port.to_string(),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--cluster-enabled",
        "yes",
    ])
    .args(["--dir"])
    .arg(world.path(""));
    let mut node = Daemon::spawn(node, &world.path("node.err"));
    let mut daemon = world.start();
    let said = daemon.wait_log("it is a cluster");
    assert!(
        said.contains("redis `default`") && said.contains("a single server"),
        "{said}"
    );
    daemon.stop();
    assert_eq!(node.has_ended(), None);
    drop(server);
}

/// Enough to be read for a while: more than it takes a daemon to start.
const MANY_KEYS: &str = "for n = 1, 2000000 do redis.call('SET', 'k' .. n, n) end";

#[test]
fn a_server_that_loads_its_data_is_waited_for() {
    let Some(server) = Redis::dedicated() else {
        return;
    };
    let mut list = List::on(&server, "list".to_owned());
    let world = World::new(settings(&server));
    world.partition("script1", &json!([entry("list", json!({}))]), &json!([]));
    list.push(&["one".to_owned()]);
    let _: Option<()> = list.ask(&["EVAL", MANY_KEYS, "0"]);
    let _: () = list.ask(&["SAVE"]);
    server.kill();
    std::thread::scope(|scope| {
        // Returns when everything has been read.
        let starts = scope.spawn(|| server.start());
        wait_until("the server to read its data", PATIENCE, || {
            let client = redis::Client::open(server.url()).unwrap();
            let pong = client
                .get_connection()
                .and_then(|mut connection| redis::cmd("PING").query::<()>(&mut connection));
            pong.is_err_and(|cause| cause.code() == Some("LOADING"))
        });
        let mut daemon = world.start();
        let said = daemon.wait_log("redis `default` is away");
        assert!(
            said.contains("LOADING") && said.contains("it will be back by itself"),
            "{said}"
        );
        daemon.wait_log("redis `default` is back after");
        starts.join().unwrap();
        List::on(&server, "list".to_owned()).wait_empty();
        daemon.stop();
    });
    assert_eq!(world.ledger().lines.len(), 1);
}
