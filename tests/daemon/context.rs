//! What handlers reach through their context on real servers: `ctx.database`, `ctx.redis` and `ctx.kafka`, in the
//! example `context`.

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message as _;
use serde_json::{Value, json};

use crate::database::Database;
use crate::engine::{Engine, on_each_database};
use crate::process::Daemon;
use crate::servers::sentinels::Sentinels;
use crate::servers::{kafka, redis as redis_server};
use crate::wait::{PATIENCE, wait_for, wait_until};
use crate::world::{World, example};

/// A world with a queue for each of the example's consumers.
fn world_with(engine: Engine, settings: Value) -> Option<World> {
    let world = World::on(engine, settings)?;
    let queue = |name: &str| {
        json!({
            "name": name, "exec_cmd": name, "table": name, "progress": 1,
            "progress_lag_limit": 0, "progress_avg_msgcount": 1, "status": 1,
        })
    };
    let queues = json!([queue("sql"), queue("redis"), queue("kafka")]);
    world.partition("script1", &queues, &json!([]));
    Some(world)
}

fn start(world: &World) -> Daemon {
    let mut daemon = world.spawn_command(world.command_of(&example("context"), &["run"]));
    daemon.wait_ready();
    daemon
}

#[track_caller]
fn send(world: &World, queue: &str, message: &Value) {
    let words = ["send", queue, &message.to_string()];
    let sent = world
        .command_of(&example("context"), &words)
        .output()
        .unwrap();
    assert!(sent.status.success(), "{sent:?}");
}

/// The errors of the dead letters, once there are this many.
#[track_caller]
fn errors(world: &World, count: usize) -> Vec<String> {
    let read = || {
        let list = ["dead", "list", "--json"];
        let listed = world
            .command_of(&example("context"), &list)
            .output()
            .unwrap();
        let text = String::from_utf8(listed.stdout).unwrap();
        let dead_letters = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let errors: Vec<String> = dead_letters
            .map(|dead_letter| dead_letter["error"].as_str().unwrap().to_owned())
            .collect();
        (errors.len() == count).then_some(errors)
    };
    wait_for("the dead letters", PATIENCE, read)
}

/// The handlers' database is another one than the daemon's, on the same server.
fn with_a_database(engine: Engine) -> Option<(World, String)> {
    let (url, shown) = match engine {
        // Beside the daemon's own file.
        Engine::Sqlite => ("sqlite://main.db".to_owned(), None),
        _ => {
            let url = engine.database()?;
            (url.clone(), Some(url))
        }
    };
    let world = world_with(engine, json!({ "databases": { "main": { "url": url } } }))?;
    let open = shown.unwrap_or_else(|| format!("sqlite://{}", world.path("main.db").display()));
    Some((world, open))
}

fn a_handler_writes_to_a_database_of_the_settings((world, url): (World, String)) {
    let kind = url.split("://").next().unwrap();
    let sql = |statement: &str| json!({ "database": "main", "kind": kind, "statement": statement });
    let daemon = start(&world);
    // In a process of its own, as cron runs are.
    let create = sql("CREATE TABLE seen (n int)").to_string();
    let program = example("context");
    let created = world
        .command_of(&program, &["exec", "sql", &create])
        .output()
        .unwrap();
    assert!(created.status.success(), "{created:?}");
    let mut database = Database::open(&url).unwrap();
    for n in 1..=20 {
        send(
            &world,
            "sql",
            &sql(&format!("INSERT INTO seen VALUES ({n})")),
        );
    }
    wait_until("the rows", PATIENCE, || {
        database.number("SELECT count(*) AS n FROM seen") == 20
    });
    assert_eq!(database.number("SELECT sum(n) AS n FROM seen"), 210);
    // A statement that the server refuses is the handler's error, with the server's reason.
    send(&world, "sql", &sql("INSERT INTO nowhere VALUES (1)"));
    assert!(errors(&world, 1)[0].contains("nowhere"));
    daemon.stop();
}

on_each_database!(with_a_database => a_handler_writes_to_a_database_of_the_settings);

#[test]
fn a_database_that_is_unknown_or_of_another_kind_is_named() {
    let settings = json!({ "databases": { "main": { "url": "sqlite://main.db" } } });
    let world = world_with(Engine::Sqlite, settings).unwrap();
    let daemon = start(&world);
    for (database, kind) in [("other", "sqlite"), ("main", "mysql")] {
        send(
            &world,
            "sql",
            &json!({ "database": database, "kind": kind, "statement": "SELECT 1" }),
        );
    }
    let errors = errors(&world, 2).join("\n");
    assert!(
        errors.contains("no `databases.other`; they have main"),
        "{errors}"
    );
    assert!(
        errors.contains("database `main` is sqlite://main.db, which is not"),
        "{errors}"
    );
    daemon.stop();
}

#[test]
fn a_handler_commands_a_redis_server_of_the_settings() {
    let Some(server) = redis_server::shared() else {
        return;
    };
    let settings = json!({ "redis": { "cache": { "url": server.url() } } });
    let world = world_with(Engine::Sqlite, settings).unwrap();
    let daemon = start(&world);
    let key = server.key();
    let command = |words: &[&str]| json!({ "server": "cache", "words": words });
    for _ in 0..20 {
        send(&world, "redis", &command(&["INCR", &key]));
    }
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    wait_until("the commands", PATIENCE, || {
        let count: Option<u64> = redis::cmd("GET").arg(&key).query(&mut connection).unwrap();
        count == Some(20)
    });
    // An answer that is an error is the handler's error.
    send(&world, "redis", &command(&["LPUSH", &key, "x"]));
    send(
        &world,
        "redis",
        &json!({ "server": "default_", "words": ["PING"] }),
    );
    let errors = errors(&world, 2).join("\n");
    assert!(errors.contains("WRONGTYPE"), "{errors}");
    assert!(
        errors.contains("no `redis.default_`; they have cache"),
        "{errors}"
    );
    let _: u64 = redis::cmd("DEL").arg(&key).query(&mut connection).unwrap();
    daemon.stop();
}

#[test]
fn a_handler_follows_the_primary_that_sentinels_name() {
    let Some(group) = Sentinels::dedicated() else {
        return;
    };
    let settings = json!({ "redis": { "cache": { "url": group.url() } } });
    let world = world_with(Engine::Sqlite, settings).unwrap();
    let daemon = start(&world);
    let increase = json!({ "server": "cache", "words": ["INCR", "n"] });
    let wait_count = |server: &redis_server::Redis, wanted: u64| {
        let client = redis::Client::open(server.url()).unwrap();
        let mut connection = client.get_connection().unwrap();
        wait_until("the commands", PATIENCE, || {
            let count: Option<u64> = redis::cmd("GET").arg("n").query(&mut connection).unwrap();
            count == Some(wanted)
        });
    };
    for _ in 0..5 {
        send(&world, "redis", &increase);
    }
    wait_count(&group.primary, 5);
    wait_count(&group.replica, 5);
    group.hand_over();
    group.wait_promoted();
    // The old one answers still, as a replica: its connections are as good as before, and refuse to write.
    group.wait_demoted();
    for _ in 0..5 {
        send(&world, "redis", &increase);
    }
    wait_count(&group.replica, 10);
    daemon.stop();
}

#[test]
fn a_handler_produces_to_a_kafka_cluster_of_the_settings() {
    let Some(server) = kafka::shared() else {
        return;
    };
    let settings = json!({ "kafka": { "main": { "brokers": server.brokers() } } });
    let world = world_with(Engine::Sqlite, settings).unwrap();
    let daemon = start(&world);
    let topic = server.topic(1);
    let bodies: Vec<String> = (0..20).map(|n| format!("record {n}")).collect();
    for payload in &bodies {
        let record = json!({ "cluster": "main", "topic": topic, "payload": payload });
        send(&world, "kafka", &record);
    }
    let mut client = server.client();
    client.set("group.id", server.name());
    client.set("auto.offset.reset", "earliest");
    let observer: BaseConsumer = client.create().unwrap();
    observer.subscribe(&[&topic]).unwrap();
    let mut produced = Vec::new();
    wait_until("the records", PATIENCE, || {
        while let Some(record) = observer.poll(std::time::Duration::ZERO) {
            let record = record.unwrap();
            produced.push(String::from_utf8(record.payload().unwrap().to_vec()).unwrap());
        }
        produced.len() == bodies.len()
    });
    // One consumer, which awaits each record.
    assert_eq!(produced, bodies);
    send(
        &world,
        "kafka",
        &json!({ "cluster": "other", "topic": topic, "payload": "" }),
    );
    assert!(errors(&world, 1)[0].contains("no `kafka.other`; they have main"));
    daemon.stop();
}
