//! Settings that people give to a role, a database or the whole server, and that would end or cut what the daemon does.

use serde_json::json;

use crate::database::Database;
use crate::engine::{Engine, OwnServer, on_each_server};
use crate::wait::{LONG_PATIENCE, now_s, wait_until};
use crate::world::World;

const MESSAGES: usize = 300;
/// Due while their table is locked.
const TASKS: usize = 20;

/// Of a role, where PostgreSQL has it.
const POSTGRES: [&str; 8] = [
    "statement_timeout = '1s'",
    "lock_timeout = '1ms'",
    "idle_in_transaction_session_timeout = '1s'",
    "idle_session_timeout = '500ms'",
    "transaction_timeout = '1s'",
    "default_transaction_isolation = 'serializable'",
    "synchronous_commit = off",
    "timezone = 'Asia/Tokyo'",
];

/// Of the whole server.
const MYSQL: [&str; 13] = [
    "max_statement_time = 1",
    "max_execution_time = 1000",
    "sql_safe_updates = 1",
    "sql_select_limit = 3",
    "max_join_size = 1",
    "autocommit = 0",
    "completion_type = 2",
    "unique_checks = 0",
    "max_error_count = 0",
    "idle_transaction_timeout = 1",
    "transaction_isolation = 'SERIALIZABLE'",
    "sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT'",
    "wait_timeout = 1",
];

on_each_server! { world =>
    settings_of_others_end_and_cut_nothing,
}

fn world(engine: Engine) -> Option<(World, OwnServer)> {
    World::on_own_server(engine, json!({ "heartbeat_interval": "500ms" }))
}

/// For connections that are opened from now on. What a version does not have is left out.
fn set(world: &World, database: &mut Database) -> usize {
    let statements: Vec<String> = match world.engine {
        Engine::Postgres => POSTGRES
            .map(|setting| format!("ALTER ROLE postgres SET {setting}"))
            .into(),
        _ => MYSQL.map(|setting| format!("SET GLOBAL {setting}")).into(),
    };
    let taken = statements.iter().map(|set| database.try_execute(set));
    taken.filter(Result::is_ok).count()
}

/// With a time limit that is shorter than the wait for a lock, writes that waited for one table's lock ended in an
/// outage of all.
fn settings_of_others_end_and_cut_nothing((world, _server): (World, OwnServer)) {
    let mut database = world.migrate();
    let mut operator = world.database();
    world.insert_tasks(&[("first".to_owned(), now_s())]);
    assert!(set(&world, &mut database) >= 6);
    let daemon = world.start();
    // What the start itself does with the delay queue is over.
    wait_until("the first task to run", LONG_PATIENCE, || {
        world.ledger().missing(&["first".to_owned()]).is_empty()
    });
    let tasks: Vec<(String, i64)> = (0..TASKS)
        .map(|n| (format!("task-{n}"), now_s() + 1))
        .collect();
    let rows = tasks
        .iter()
        .map(|(params, at)| format!("('foreign', 'ledger', '{params}', 1, {at})"));
    let rows = rows.collect::<Vec<_>>().join(", ");
    database.execute(&format!(
        "INSERT INTO delay_queue_log (name, exec_cmd, params, status, exec_time) VALUES {rows}"
    ));
    match world.engine {
        Engine::Postgres => operator.execute("BEGIN; LOCK TABLE delay_queue_log"),
        _ => operator.execute("LOCK TABLES delay_queue_log WRITE"),
    }
    let messages: Vec<String> = (0..MESSAGES).map(|n| n.to_string()).collect();
    world.send("work", &messages);
    wait_until("messages of another table to run", LONG_PATIENCE, || {
        world.ledger().missing(&messages).is_empty()
            && database.number("SELECT count(*) FROM queue_message") == 0
    });
    match world.engine {
        Engine::Postgres => operator.execute("COMMIT"),
        _ => operator.execute("UNLOCK TABLES"),
    }
    let tasks: Vec<String> = tasks.into_iter().map(|(params, _)| params).collect();
    wait_until("the tasks to run", LONG_PATIENCE, || {
        world.ledger().missing(&tasks).is_empty()
    });
    let log = daemon.log();
    assert!(!log.contains(" is away"), "{log}");
}
