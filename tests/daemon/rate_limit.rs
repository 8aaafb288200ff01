//! `rate_limit`, with two daemons on one queue.

use std::time::Duration;

use serde_json::{Value, json};

use crate::engine::{Engine, OwnServer, on_each_database};
use crate::ledger::Ledger;
use crate::redis::settings as redis_settings;
use crate::servers::redis::Redis;
use crate::servers::{kafka, redis};
use crate::wait::{LONG_PATIENCE, PATIENCE, now_us, wait_until};
use crate::world::World;

/// Starts a second.
const RATE: usize = 100;
/// Enough for more than ten seconds.
const MESSAGES: usize = 1_300;
/// A handler that is started writes its line a little later, and not always equally late.
const PERIOD: Duration = Duration::from_secs(10);

/// As [`RATE`], for an outage in the middle.
const SLOW_RATE: usize = 20;
/// Enough for some fifteen seconds.
const FEW_MESSAGES: usize = 300;
/// A message that had its permit before the outage has written its line by then.
const SETTLED_US: i64 = 3_000_000;
const OUTAGE_US: i64 = 6_000_000;

on_each_database! { world => two_daemons_on_a_table_keep_to_its_limit }
on_each_database! { own_world => a_table_stands_still_without_its_database_and_keeps_to_its_limit_afterwards }

fn world(engine: Engine) -> Option<World> {
    World::on(engine, json!({}))
}

fn own_world(engine: Engine) -> Option<(World, OwnServer)> {
    World::on_own_server(engine, json!({ "heartbeat_interval": "500ms" }))
}

fn limited(more: Value) -> Value {
    limited_to(RATE, more)
}

fn limited_to(rate: usize, more: Value) -> Value {
    let mut entry = json!({
        "name": "work", "exec_cmd": "ledger", "progress": 4, "max_progress": 20, "progress_lag_limit": 0,
        "progress_avg_msgcount": 1, "status": 1, "rate_limit": format!("{rate}/s"),
    });
    let more = more.as_object().unwrap().clone();
    entry.as_object_mut().unwrap().extend(more);
    entry
}

fn bodies() -> Vec<String> {
    (0..MESSAGES).map(|n| n.to_string()).collect()
}

fn on_both(world: &World, entry: &Value) {
    for partition in ["script1", "script2"] {
        world.partition(partition, &json!([entry]), &json!([]));
    }
}

/// All messages are worked off by two daemons; no period has more starts than README promises.
fn two_daemons_keep_to_it(world: &World) {
    let daemons = ["script1", "script2"].map(|partition| world.start_as(partition));
    wait_until("all messages", LONG_PATIENCE, || {
        world.ledger_len() >= MESSAGES
    });
    for daemon in daemons {
        daemon.stop();
    }
    let ledger = world.ledger();
    assert_eq!(ledger.missing(&bodies()), [""; 0], "nothing is lost");
    let most = most_within(&ledger, PERIOD);
    let period = usize::try_from(PERIOD.as_secs()).unwrap();
    assert!(most <= RATE * (period + 1) + 1, "{most} within {PERIOD:?}");
    let log = world.all_logs();
    assert!(!log.contains("grows from"), "{log}");
    let pids: std::collections::BTreeSet<u32> = ledger.lines.iter().map(|line| line.pid).collect();
    println!("{most} starts within {PERIOD:?}, by {} daemons", pids.len());
}

fn most_within(ledger: &Ledger, period: Duration) -> usize {
    let mut starts: Vec<i64> = ledger.lines.iter().map(|line| line.at_us).collect();
    starts.sort_unstable();
    let period = i64::try_from(period.as_micros()).unwrap();
    let end_of = |at: usize| starts.partition_point(|start| *start < starts[at] + period);
    (0..starts.len()).map(|at| end_of(at) - at).max().unwrap()
}

fn two_daemons_on_a_table_keep_to_its_limit(world: World) {
    on_both(&world, &limited(json!({ "table": "work" })));
    world.send("work", &bodies());
    two_daemons_keep_to_it(&world);
}

#[test]
fn two_daemons_on_a_redis_list_keep_to_its_limit() {
    let Some(server) = redis::shared() else {
        return;
    };
    let world = World::new(redis_settings(server));
    on_both(&world, &limited(json!({ "key": server.key() })));
    world.send("work", &bodies());
    two_daemons_keep_to_it(&world);
}

#[test]
fn two_members_of_a_kafka_group_keep_to_its_limit() {
    let Some(server) = kafka::shared() else {
        return;
    };
    let topic = server.name();
    server.create_topic(&topic, 8);
    let world = World::new(json!({ "kafka": { "default": { "brokers": server.brokers() } } }));
    on_both(
        &world,
        &limited(json!({ "topic": topic, "group_id": server.name() })),
    );
    world.send("work", &bodies());
    two_daemons_keep_to_it(&world);
}

/// What keeps the limit goes away while messages wait, and comes back: nothing starts meanwhile, nothing is lost or doubled,
/// and the limit holds over the whole. `who` is what the two log lines are about.
fn an_outage_of_what_keeps_it(
    world: &World,
    entry: &Value,
    who: &str,
    go: impl FnOnce(),
    come: impl FnOnce(),
) {
    let bodies: Vec<String> = (0..FEW_MESSAGES).map(|n| n.to_string()).collect();
    world.partition(
        "script1",
        &json!([limited_to(SLOW_RATE, entry.clone())]),
        &json!([]),
    );
    world.send("work", &bodies);
    let daemon = world.start();
    wait_until("some to start", PATIENCE, || world.ledger_len() > SLOW_RATE);
    go();
    wait_until("the log to say so", PATIENCE, || {
        let log = daemon.log();
        log.lines()
            .any(|line| line.contains(who) && line.contains(" is away"))
    });
    let gone_us = now_us();
    wait_until("the outage to last", PATIENCE, || {
        now_us() > gone_us + OUTAGE_US
    });
    let back_us = now_us();
    come();
    wait_until("all messages", LONG_PATIENCE, || {
        world.ledger_len() >= FEW_MESSAGES
    });
    let log = daemon.log();
    daemon.stop();
    let ledger = world.ledger();
    assert_eq!(ledger.missing(&bodies), [""; 0], "nothing is lost");
    assert_eq!(ledger.lines.len(), FEW_MESSAGES, "nothing is doubled");
    assert!(ledger.lines.iter().all(|line| line.attempt == 1));
    let meanwhile = gone_us + SETTLED_US..back_us;
    let started = ledger.lines.iter();
    let started = started.filter(|line| meanwhile.contains(&line.at_us));
    assert_eq!(started.count(), 0, "without an answer nothing starts");
    let most = most_within(&ledger, PERIOD);
    let period = usize::try_from(PERIOD.as_secs()).unwrap();
    assert!(
        most <= SLOW_RATE * (period + 1) + 1,
        "{most} within {PERIOD:?}"
    );
    let lines = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    assert_eq!(
        (lines(" is away"), lines(" is back after ")),
        (1, 1),
        "{log}"
    );
}

fn a_table_stands_still_without_its_database_and_keeps_to_its_limit_afterwards(
    (world, server): (World, OwnServer),
) {
    let entry = json!({ "table": "work" });
    an_outage_of_what_keeps_it(
        &world,
        &entry,
        "the database ",
        || server.hang(&world),
        || server.go_on(),
    );
}

#[test]
fn a_list_stands_still_without_its_redis_and_keeps_to_its_limit_afterwards() {
    let Some(server) = Redis::dedicated() else {
        return;
    };
    let world = World::new(json!({ "redis": { "default": { "url": server.url() } } }));
    let entry = json!({ "key": "work" });
    an_outage_of_what_keeps_it(
        &world,
        &entry,
        "redis",
        || server.pause(),
        || server.resume(),
    );
}

#[test]
fn a_topic_stands_still_without_the_database_that_keeps_its_limit() {
    let (Some(server), Some((world, database))) = (kafka::shared(), own_world(Engine::MariaDb))
    else {
        return;
    };
    let topic = server.name();
    server.create_topic(&topic, 2);
    world.settings(json!({
        "heartbeat_interval": "500ms", "kafka": { "default": { "brokers": server.brokers() } },
    }));
    let entry = json!({ "topic": topic, "group_id": server.name() });
    an_outage_of_what_keeps_it(
        &world,
        &entry,
        "the database ",
        || database.hang(&world),
        || database.go_on(),
    );
}
