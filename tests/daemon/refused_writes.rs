//! Writes that the database refuses for what is in them, or for what somebody has done to its tables: the others go on,
//! no log line claims that the database is away, and no stop waits for what can never be written.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;

use crate::database::Database;
use crate::engine::{Engine, OwnServer, on_each_database, on_each_server};
use crate::process::Daemon;
use crate::wait::{LONG_PATIENCE, now_s, wait_until};
use crate::world::World;

/// More than there are places.
const BAD: usize = 12;
const GOOD: usize = 60;
const PLACES: usize = 4;
/// A stop has 25 s; each of these must take less.
const SHORT_STOP: Duration = Duration::from_secs(15);

on_each_database! { world =>
    ends_that_a_trigger_refuses_hold_up_no_others_and_no_stop,
    rows_that_cannot_be_claimed_hold_up_no_others,
    runs_go_on_while_the_log_for_people_refuses_rows,
}

on_each_server! { server_world =>
    results_that_no_column_holds_end_their_tasks,
}

/// PostgreSQL has no such limit.
mod payloads_that_no_packet_holds_hold_up_no_others_and_no_stop {
    crate::engine::on!(
        on_mariadb,
        MariaDb,
        server_world,
        payloads_that_no_packet_holds
    );
    crate::engine::on!(on_mysql, MySql, server_world, payloads_that_no_packet_holds);
}

fn settings() -> serde_json::Value {
    json!({ "heartbeat_interval": "1s", "delay_concurrency": PLACES })
}

fn world(engine: Engine) -> Option<World> {
    let world = World::on(engine, settings())?;
    let every_second = json!([{
        "name": "tick", "exec_cmd": "noop", "cron": "* * * * * *", "overlap": "forbid",
        "is_log": 1, "status": 1,
    }]);
    world.partition("script1", &World::table_queue(), &every_second);
    Some(world)
}

fn server_world(engine: Engine) -> Option<(World, OwnServer)> {
    World::on_own_server(engine, settings())
}

/// In the words, and with the code, of a server whose disk is full.
fn refuse(world: &World, database: &mut Database, event: &str, table: &str, condition: &str) {
    let words = "database or disk is full";
    let statements = match world.engine {
        Engine::Sqlite => vec![format!(
            "CREATE TRIGGER refuse_{table} BEFORE {event} ON {table} WHEN {condition}
             BEGIN SELECT RAISE(ABORT, '{words}'); END"
        )],
        Engine::Postgres => vec![
            format!(
                "CREATE FUNCTION refuse_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
                 BEGIN IF {condition} THEN RAISE EXCEPTION '{words}' USING ERRCODE = '53100'; END IF;
                 RETURN NEW; END $$"
            ),
            format!(
                "CREATE TRIGGER refuse_{table} BEFORE {event} ON {table}
                 FOR EACH ROW EXECUTE FUNCTION refuse_{table}()"
            ),
        ],
        Engine::MariaDb | Engine::MySql => vec![format!(
            "CREATE TRIGGER refuse_{table} BEFORE {event} ON {table} FOR EACH ROW
             BEGIN IF {condition} THEN
                 SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{words}', MYSQL_ERRNO = 1114;
             END IF; END"
        )],
    };
    for statement in statements {
        database.execute(&statement);
    }
}

/// Ids of their own, in the order in which they are due.
fn named(kind: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{kind}-{n}")).collect()
}

fn insert(world: &World, params: &[String]) {
    let due = now_s() - 1;
    let rows: Vec<(String, i64)> = params.iter().map(|params| (params.clone(), due)).collect();
    world.insert_tasks(&rows);
}

fn wait_done(database: &mut Database, tasks: usize) {
    wait_until("the good tasks to be done", LONG_PATIENCE, || {
        database.number("SELECT count(*) FROM delay_queue_log WHERE status = 3")
            == i64::try_from(tasks).unwrap()
    });
}

fn stop(daemon: Daemon) {
    let log = daemon.log();
    assert!(!log.contains(" is away"), "{log}");
    let took = daemon.stop();
    assert!(took < SHORT_STOP, "{took:?}");
}

fn ends_that_a_trigger_refuses_hold_up_no_others_and_no_stop(world: World) {
    /// Each refused end is tried again by itself: four databases at once keep two cores busy with that alone.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut database = world.migrate();
    let condition = "NEW.status = 3 AND NEW.params LIKE 'bad%'";
    refuse(
        &world,
        &mut database,
        "UPDATE",
        "delay_queue_log",
        condition,
    );
    let (bad, good) = (named("bad", BAD), named("good", GOOD));
    insert(&world, &bad);
    insert(&world, &good);
    let daemon = world.start();
    wait_done(&mut database, GOOD);
    wait_until("the bad tasks to run", LONG_PATIENCE, || {
        world.ledger().missing(&bad).is_empty()
    });
    let ledger = world.ledger();
    for params in &bad {
        assert_eq!(ledger.attempts_of(params), [1], "{params}");
    }
    let log = daemon.log();
    assert!(
        log.contains("cannot be written yet and are tried again"),
        "{log}"
    );
    stop(daemon);
    // An operator mends it: they run again, by the log of the stop.
    let drop = match world.engine {
        Engine::Postgres => "DROP TRIGGER refuse_delay_queue_log ON delay_queue_log",
        _ => "DROP TRIGGER refuse_delay_queue_log",
    };
    database.execute(drop);
    let daemon = world.start();
    wait_done(&mut database, GOOD + BAD);
    stop(daemon);
}

fn rows_that_cannot_be_claimed_hold_up_no_others(world: World) {
    let mut database = world.migrate();
    let condition = "NEW.status = 2 AND NEW.params LIKE 'bad%'";
    refuse(
        &world,
        &mut database,
        "UPDATE",
        "delay_queue_log",
        condition,
    );
    let bad = match world.engine {
        Engine::Postgres => "NEW.owner <> '' AND convert_from(NEW.payload, 'UTF8') LIKE 'bad%'",
        Engine::Sqlite => "NEW.owner <> '' AND CAST(NEW.payload AS TEXT) LIKE 'bad%'",
        Engine::MariaDb | Engine::MySql => "NEW.owner <> '' AND NEW.payload LIKE 'bad%'",
    };
    refuse(&world, &mut database, "UPDATE", "queue_message", bad);
    let (bad, good) = (named("bad", BAD), named("good", GOOD));
    let (bad_messages, messages) = (named("bad-message", BAD), named("message", GOOD));
    insert(&world, &bad);
    insert(&world, &good);
    world.send("work", &bad_messages);
    world.send("work", &messages);
    let daemon = world.start();
    wait_done(&mut database, GOOD);
    wait_until("the good messages to be done", LONG_PATIENCE, || {
        database.number("SELECT count(*) FROM queue_message") == i64::try_from(BAD).unwrap()
    });
    let log = daemon.log();
    for of in ["delayed tasks: ", "messages of `work`: "] {
        let line = log
            .lines()
            .find(|line| line.contains(of) && line.contains("is refused and stays as it is"));
        assert!(line.is_some_and(|line| line.contains("ERROR")), "{log}");
    }
    assert!(
        world.ledger().missing(&bad).len() == BAD,
        "none of them ran"
    );
    stop(daemon);
    let waiting = "SELECT count(*) FROM delay_queue_log WHERE status = 1";
    assert_eq!(database.number(waiting), i64::try_from(BAD).unwrap());
}

/// As people have made the Go project's tables.
fn results_that_no_column_holds_end_their_tasks((world, _server): (World, OwnServer)) {
    let mut database = world.migrate();
    match world.engine {
        Engine::Postgres => database.execute(
            "ALTER TABLE delay_queue_log ALTER COLUMN result TYPE VARCHAR(40)",
        ),
        _ => database.execute(
            "ALTER TABLE delay_queue_log MODIFY result VARCHAR(40) CHARACTER SET utf8mb3 NOT NULL DEFAULT ''",
        ),
    }
    // No handler is registered by that name, which the result shows.
    let row = format!("('n', '{}', '', 1, {})", "测😀".repeat(20), now_s() - 1);
    let rows = vec![row; GOOD].join(", ");
    database.execute(&format!(
        "INSERT INTO delay_queue_log (name, exec_cmd, params, status, exec_time) VALUES {rows}"
    ));
    let daemon = world.start();
    let failed = "SELECT count(*) FROM delay_queue_log WHERE status = 4";
    wait_until("the tasks to fail", LONG_PATIENCE, || {
        database.number(failed) == i64::try_from(GOOD).unwrap()
    });
    for result in database.texts("SELECT result FROM delay_queue_log") {
        let read: serde_json::Value = serde_json::from_str(&result).unwrap();
        assert_eq!(read["status"], false, "{result}");
        assert!(result.chars().count() <= 40, "{result}");
    }
    stop(daemon);
}

fn runs_go_on_while_the_log_for_people_refuses_rows(world: World) {
    let mut database = world.migrate();
    refuse(
        &world,
        &mut database,
        "UPDATE",
        "crontab_log",
        "NEW.uk <> ''",
    );
    let daemon = world.start();
    let ended = "SELECT count(*) FROM cron_run WHERE state = 3 AND status = 'success'";
    // One that does not end would be the last one.
    wait_until("four runs to end", LONG_PATIENCE, || {
        database.number(ended) >= 4
    });
    let log = daemon.log();
    assert!(log.contains("`crontab_log` refuses its row"), "{log}");
    stop(daemon);
}

/// A payload that was sent while the server took larger messages: where it dies, its dead letter is shortened.
fn payloads_that_no_packet_holds((world, _server): (World, OwnServer)) {
    let mut database = world.migrate();
    let (small, good) = (1 << 20, named("good", GOOD));
    database.execute(&format!(
        "INSERT INTO queue_message (queue, payload, due_ms, created_ms) VALUES ('work', concat('fail:', repeat('x', 5 * {small})), 0, 0)"
    ));
    database.execute(&format!("SET GLOBAL max_allowed_packet = {small}"));
    let daemon = world.start();
    world.send("work", &good);
    wait_until("the good messages to run", LONG_PATIENCE, || {
        world.ledger().missing(&good).is_empty()
    });
    stop(daemon);
}
