//! Servers that are away: Redis and the database.

use rustix::process::Signal;

use super::*;
use crate::engine::{Engine, OwnServer};
use crate::servers::redis::Redis;

#[test]
fn a_redis_server_that_is_away_is_reported_and_so_is_its_return() {
    let Some(server) = Redis::dedicated() else {
        return;
    };
    let receiver = Receiver::start();
    let rules = json!({ "outages": { "after_seconds": 2 } });
    let world = World::new(json!({
        "redis": { "default": { "url": server.url() } },
        "alert": receiver.settings(rules),
    }));
    let mut entry = queue("work", "ledger", 1000);
    entry.as_object_mut().unwrap().remove("table");
    entry["key"] = json!("work");
    world.partition("script1", &json!([entry]), &json!([]));
    let daemon = world.start();
    server.pause();
    let firing = receiver.wait("firing", "outages");
    assert_eq!(firing.subject, "redis default");
    server.resume();
    let resolved = receiver.wait("resolved", "outages");
    assert_eq!(resolved.summary, firing.summary);
    daemon.stop();
}

#[test]
fn a_database_that_is_away_is_reported_without_it() {
    for engine in [Engine::Sqlite, Engine::MariaDb] {
        if let Some((world, server)) = World::on_own_server(engine, json!({})) {
            database_is_away(&world, &server);
        }
    }
}

fn database_is_away(world: &World, server: &OwnServer) {
    let receiver = Receiver::start();
    let rules = json!({ "outages": { "after_seconds": 2 } });
    world.settings(json!({ "heartbeat_interval": "500ms", "alert": receiver.settings(rules) }));
    let daemon = world.start();
    server.hang(world);
    let firing = receiver.wait("firing", "outages");
    assert!(firing.subject.starts_with("the database "), "{firing:?}");
    assert!(!firing.subject.contains("hunter2"), "{firing:?}");
    server.go_on();
    let resolved = receiver.wait("resolved", "outages");
    assert_eq!(resolved.summary, firing.summary);
    daemon.stop();
    // What only waited for it was no alert.
    let subjects: Vec<String> = receiver
        .alerts()
        .into_iter()
        .map(|alert| alert.subject)
        .collect();
    assert!(
        subjects.iter().all(|subject| *subject == firing.subject),
        "{subjects:?}"
    );
}

/// A world whose database is not there, and which reports that to the receiver.
fn without_database(receiver: &Receiver) -> Option<(World, OwnServer)> {
    let (world, server) = World::on_own_server(Engine::MariaDb, json!({}))?;
    let rules = json!({ "outages": { "after_seconds": 1 } });
    world.settings(json!({ "alert": receiver.settings(rules) }));
    server.crash();
    Some((world, server))
}

#[test]
fn a_database_that_is_away_at_the_start_is_reported_and_so_is_its_return() {
    let receiver = Receiver::start();
    let Some((world, server)) = without_database(&receiver) else {
        return;
    };
    let mut daemon = world.spawn(&["--partition", "script1", "run"]);
    let firing = receiver.wait("firing", "outages");
    assert!(firing.subject.starts_with("the database "), "{firing:?}");
    assert_eq!(firing.partition, "script1");
    server.start();
    let resolved = receiver.wait("resolved", "outages");
    assert_eq!(
        (resolved.subject, resolved.summary),
        (firing.subject, firing.summary)
    );
    daemon.wait_ready();
    daemon.stop();
    assert_eq!(receiver.alerts().len(), 2, "{:?}", receiver.alerts());
}

#[test]
fn a_start_that_is_stopped_before_its_database_came_leaves_no_alert_behind() {
    let receiver = Receiver::start();
    let Some((world, _server)) = without_database(&receiver) else {
        return;
    };
    let mut daemon = world.spawn(&["--partition", "script1", "run"]);
    let firing = receiver.wait("firing", "outages");
    daemon.signal(Signal::TERM);
    daemon.wait_end(PATIENCE);
    let resolved = receiver.wait("resolved", "outages");
    assert_eq!(resolved.subject, firing.subject);
    assert!(
        resolved.details[0].contains("this daemon stops"),
        "{resolved:?}"
    );
}
