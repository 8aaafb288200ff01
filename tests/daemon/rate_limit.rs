//! `rate_limit`, with two daemons on one queue.

use std::time::Duration;

use serde_json::{Value, json};

use crate::engine::{Engine, on_each_database};
use crate::ledger::Ledger;
use crate::redis::settings as redis_settings;
use crate::servers::{kafka, redis};
use crate::wait::{LONG_PATIENCE, wait_until};
use crate::world::World;

/// Starts a second.
const RATE: usize = 100;
/// Enough for more than ten seconds.
const MESSAGES: usize = 1_300;
/// A handler that is started writes its line a little later, and not always equally late.
const PERIOD: Duration = Duration::from_secs(10);

on_each_database! { world => two_daemons_on_a_table_keep_to_its_limit }

fn world(engine: Engine) -> Option<World> {
    World::on(engine, json!({}))
}

fn limited(more: Value) -> Value {
    let mut entry = json!({
        "name": "work", "exec_cmd": "ledger", "progress": 4, "max_progress": 20, "progress_lag_limit": 0,
        "progress_avg_msgcount": 1, "status": 1, "rate_limit": format!("{RATE}/s"),
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
