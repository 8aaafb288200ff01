//! `push` and `send` with an idempotency key, from several processes.

use std::process::Stdio;
use std::thread;

use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Headers as _;
use serde_json::json;

use crate::engine::{Engine, on_each_database};
use crate::servers::kafka;
use crate::wait::PATIENCE;
use crate::world::World;

pub const KEY: [&str; 2] = ["--idempotency-key", "order-7"];

on_each_database! { any_world => of_processes_that_use_one_key_at_once_one_makes_the_row }

fn any_world(engine: Engine) -> Option<World> {
    World::on(engine, json!({}))
}

fn world() -> World {
    let world = World::new(json!({}));
    world.partition("script1", &World::table_queue(), &json!([]));
    world
}

#[track_caller]
pub fn refused(world: &World, args: &[&str], why: &str) {
    let output = world.run(args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
    assert!(said.contains(why), "{args:?}: {said}");
}

/// What each of several processes printed that ran the same command at once.
fn at_once(world: &World, args: &[&str]) -> Vec<String> {
    let run = || {
        let output = world.command(args).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).unwrap()
    };
    thread::scope(|scope| {
        let started: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        started.into_iter().map(|run| run.join().unwrap()).collect()
    })
}

#[test]
fn a_push_with_a_key_is_made_once_and_another_content_is_refused() {
    let world = world();
    let push = |params: &'static str, delay: &'static str| {
        let words = ["push", "ledger", "--params", params, "--delay-time", delay];
        [&words[..], &KEY].concat()
    };
    let first = world.output(&push("a", "3600"));
    assert_eq!(world.output(&push("a", "3600")), first);
    refused(
        &world,
        &push("b", "3600"),
        "`order-7` named a push with another `params` before",
    );
    refused(&world, &push("a", "60"), "another `due`");
    refused(
        &world,
        &[&["send", "work", "a"][..], &KEY].concat(),
        "something of another kind",
    );
    refused(
        &world,
        &[
            "push",
            "ledger",
            "--delay-time",
            "1",
            "--idempotency-key",
            "",
        ],
        "it is empty",
    );
    let mut database = world.database();
    assert_eq!(
        database.number("SELECT count(*) AS n FROM delay_queue_log"),
        1
    );
}

fn of_processes_that_use_one_key_at_once_one_makes_the_row(world: World) {
    world.partition("script1", &World::table_queue(), &json!([]));
    let mut database = world.migrate();
    let push = ["push", "ledger", "--params", "a", "--delay-time", "3600"];
    let printed = at_once(&world, &[&push[..], &KEY].concat());
    assert!(printed.iter().all(|id| *id == printed[0]), "{printed:?}");
    let send = ["send", "work", "a", "--idempotency-key", "order-8"];
    let printed = at_once(&world, &send);
    let new: Vec<_> = printed
        .iter()
        .filter(|said| said.starts_with("sent to `work`: 1; id "))
        .collect();
    assert_eq!(new.len(), 1, "{printed:?}");
    let rows = "SELECT (SELECT count(*) FROM delay_queue_log) * 10 + (SELECT count(*) FROM queue_message) AS n";
    assert_eq!(database.number(rows), 11);
}

#[test]
fn a_key_names_one_message() {
    let world = world();
    refused(
        &world,
        &[&["send", "work", "a", "b"][..], &KEY].concat(),
        "the command line has more",
    );
    refused(
        &world,
        &[&["send", "work", "-"][..], &KEY].concat(),
        "standard input has none",
    );
    let first = world.output(&[&["send", "work", "a"][..], &KEY].concat());
    let id = first
        .strip_prefix("sent to `work`: 1; id ")
        .unwrap()
        .to_owned();
    let again = world.output(&[&["send", "work", "a"][..], &KEY].concat());
    assert!(
        again.starts_with("sent to `work`: 0, as ") && again.ends_with(&id),
        "{again}"
    );
    refused(
        &world,
        &[&["send", "work", "b"][..], &KEY].concat(),
        "another `payload`",
    );
}

#[test]
fn a_record_has_its_key_as_a_header() {
    let Some(server) = kafka::shared() else {
        return;
    };
    let topic = server.name();
    server.create_topic(&topic, 1);
    let world = World::new(json!({ "kafka": { "default": { "brokers": server.brokers() } } }));
    let entry = json!({
        "name": "work", "exec_cmd": "ledger", "topic": topic, "group_id": server.name(), "progress": 1,
        "progress_lag_limit": 0, "progress_avg_msgcount": 1, "status": 1,
    });
    world.partition("script1", &json!([entry]), &json!([]));
    let send = [&["send", "work", "a", "--header", "x=y"][..], &KEY].concat();
    assert_eq!(world.output(&send), "sent to `work`: 1\n");
    assert!(world.output(&send).starts_with("sent to `work`: 0, as "));
    let other = [&["send", "work", "a", "--header", "x=z"][..], &KEY].concat();
    refused(&world, &other, "another `headers`");
    let mut config = server.client();
    config
        .set("group.id", server.name())
        .set("auto.offset.reset", "earliest");
    let client: BaseConsumer = config.create().unwrap();
    client.subscribe(&[&topic]).unwrap();
    // A poll may bring events of the group alone.
    let record = (0..10).find_map(|_| client.poll(PATIENCE));
    let record = record.unwrap().unwrap();
    let headers = record.headers().unwrap();
    let header = headers.iter().last().unwrap();
    assert_eq!(
        (header.key, header.value),
        ("idempotency-key", Some(&b"order-7"[..]))
    );
    let end = client.fetch_watermarks(&topic, 0, PATIENCE).unwrap().1;
    assert_eq!(end, 1);
}
