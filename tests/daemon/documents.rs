//! The SQL that the documents show, as a reader would run it.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::database::Database;
use crate::engine::Engine;
use crate::go_program;
use crate::world::World;

/// A statement, and where it stands.
struct Shown {
    place: String,
    statement: String,
}

/// The blocks of a kind in a document.
fn blocks(document: &str, kind: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let text = fs::read_to_string(path).unwrap();
    let mut blocks = Vec::new();
    for (index, part) in text
        .split("```")
        .enumerate()
        .filter(|(index, _)| index % 2 == 1)
    {
        let (first, block) = part.split_once('\n').unwrap_or((part, ""));
        if first == kind {
            blocks.push((format!("{document}, fence {index}"), block.to_owned()));
        }
    }
    assert!(!blocks.is_empty(), "{document} has no block of `{kind}`");
    blocks
}

fn statements(document: &str, kind: &str) -> Vec<Shown> {
    let of = |(place, block): (String, String)| {
        let statements = block.split(';').map(str::trim).filter(|s| !s.is_empty());
        let of = |statement: &str| Shown {
            place: place.clone(),
            statement: statement.to_owned(),
        };
        statements.map(of).collect::<Vec<_>>()
    };
    blocks(document, kind).into_iter().flat_map(of).collect()
}

fn world(engine: Engine) -> Option<World> {
    World::on(engine, json!({}))
}

#[test]
fn a_task_is_inserted_by_the_statement_for_sqlite() {
    let world = World::new(json!({}));
    let mut database = world.migrate();
    for Shown { place, statement } in statements("docs/en/handlers.md", "sql sqlite") {
        database
            .try_execute(&statement)
            .unwrap_or_else(|error| panic!("{place}: {error}"));
    }
    let waiting = "SELECT COUNT(*) FROM delay_queue_log WHERE exec_cmd = 'remind' AND status = 1";
    assert_eq!(database.number(waiting), 1);
}

/// The table of newer versions of the Go project, with an entry.
fn make_script_config(database: &mut Database) {
    database.execute(
        "CREATE TABLE script_config (type int, status int, machine varchar(20), cron varchar(255),
            name varchar(255), exec_cmd varchar(255), params varchar(500), is_log int)",
    );
    database.execute(
        "INSERT INTO script_config VALUES (2, 1, 'script1', '0 * * * * *', 'a', 'report', '', 1)",
    );
}

fn statements_of_the_migration_run(world: World) {
    let mut database = go_program::make_tables(&world);
    world.output(&["migrate"]);
    make_script_config(&mut database);
    let shown = statements("MIGRATING.md", "sql mysql");
    assert!(shown.len() > 4, "{}", shown.len());
    let mut entries = None;
    for Shown { place, statement } in shown {
        let rows = database
            .try_rows(&statement)
            .unwrap_or_else(|error| panic!("{place}: {error}"));
        if statement.contains("script_config") {
            entries = rows.first().and_then(|row| row[0].clone());
        }
    }
    let entries: Value = serde_json::from_str(&entries.unwrap()).unwrap();
    assert_eq!(entries[0]["cron"], "0 * * * * *");
}

/// The way back from SQLite: what the shell makes of the waiting tasks is run on MySQL.
fn waiting_tasks_are_taken_along(world: World) {
    if Command::new("sqlite3").arg("--version").output().is_err() {
        println!("LEFT OUT: `sqlite3` is not installed here");
        return;
    }
    let here = World::new(json!({}));
    here.migrate();
    let params = "it's \"quoted\" \\ 我们";
    here.output(&["push", "ledger", "--params", params, "--delay-time", "3600"]);
    let commands = blocks("MIGRATING.md", "sh");
    let (place, script) = commands
        .iter()
        .find(|(_, block)| block.contains("waiting.sql"))
        .unwrap();
    let shell = Command::new("sh")
        .args(["-c", script])
        .current_dir(here.path("."))
        .output()
        .unwrap();
    assert!(shell.status.success(), "{place}: {shell:?}");

    let mut database = go_program::make_tables(&world);
    let waiting = fs::read_to_string(here.path("waiting.sql")).unwrap();
    for statement in waiting.lines() {
        database.execute(statement);
    }
    let arrived = database.texts("SELECT params FROM delay_queue_log WHERE status = 1");
    assert_eq!(arrived, [params]);
}

mod on_mysql {
    use crate::engine::on;

    on!(
        the_statements_of_the_migration_run,
        MySql,
        world,
        statements_of_the_migration_run
    );
    on!(
        tasks_are_taken_along,
        MySql,
        world,
        waiting_tasks_are_taken_along
    );
}

mod on_mariadb {
    use crate::engine::on;

    on!(
        the_statements_of_the_migration_run,
        MariaDb,
        world,
        statements_of_the_migration_run
    );
    on!(
        tasks_are_taken_along,
        MariaDb,
        world,
        waiting_tasks_are_taken_along
    );
}
