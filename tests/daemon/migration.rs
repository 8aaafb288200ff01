//! The migrations, on a database that the Go program made and goes on using.

use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::database::{Database, Row};
use crate::engine::{Engine, on_each_database, on_each_server};
use crate::go_program::{self, TASK_COLUMNS};
use crate::wait::{PATIENCE, wait_until};
use crate::world::World;

/// Rows of each table before the first migration.
const ROWS: usize = 300;
/// A statement of others waits at most two seconds for a step of a migration (`lock_wait_timeout`, `lock_timeout`); more
/// is this machine's.
const LONGEST_STALL: Duration = Duration::from_secs(6);
/// How long an open transaction keeps the migration waiting: several tries of it.
const OPEN_FOR: Duration = Duration::from_secs(5);

fn world(engine: Engine) -> Option<World> {
    World::on(engine, json!({}))
}

/// Rows in every state, some with times and some without, with text of all kinds.
fn insert_rows(database: &mut Database) {
    let words = [
        "",
        "plain",
        "测试任务",
        "emoji 😀🦀",
        "it''s \"quoted\" 100%_",
    ];
    for n in 0..ROWS {
        let (status, word) = (n % 4 + 1, words[n % words.len()]);
        let time = |set: bool| if set { "'2025-03-30 02:30:00'" } else { "NULL" };
        let (created, updated) = (time(n % 3 != 0), time(n % 2 == 0));
        database.execute(&format!(
            "INSERT INTO delay_queue_log (name, exec_cmd, params, status, result, exec_time, create_time, update_time)
             VALUES ('{word}', 'gone', '{word}{n}', {status}, '{word}', 4102444800, {created}, {updated})"
        ));
        let state = ["running", "success", "failed", ""][n % 4];
        database.execute(&format!(
            "INSERT INTO crontab_log (pid, name, exec_cmd, params, result, status, start_time, end_time, cost_time, uk, create_time, update_time)
             VALUES ({n}, '{word}', 'gone', '{word}', '{word}', '{state}', {n}, 0, {n}, 'uk-{n}', {created}, {updated})"
        ));
    }
}

/// Everything that the Go program would see of the rows that are there now.
fn rows(database: &mut Database, until_id: i64) -> [Vec<Row>; 2] {
    let runs = "id, pid, name, exec_cmd, params, result, status, start_time, end_time, cost_time, uk, create_time, update_time";
    [("delay_queue_log", TASK_COLUMNS), ("crontab_log", runs)].map(|(table, columns)| {
        database.rows(&format!(
            "SELECT {columns} FROM {table} WHERE id <= {until_id} ORDER BY id"
        ))
    })
}

/// How its columns are defined, in their order. Ours come after them.
fn definitions(engine: Engine, database: &mut Database) -> [Vec<Row>; 2] {
    [("delay_queue_log", 9), ("crontab_log", 14)].map(|(table, count)| {
        let mut columns = database.rows(&match engine {
            Engine::Sqlite => {
                format!("SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info('{table}') ORDER BY cid")
            }
            Engine::MariaDb | Engine::MySql => format!(
                "SELECT column_name, column_type, is_nullable, column_default, extra, collation_name, column_comment
                 FROM information_schema.columns
                 WHERE table_schema = DATABASE() AND table_name = '{table}' ORDER BY ordinal_position"
            ),
            Engine::Postgres => format!(
                "SELECT column_name, data_type, is_nullable, column_default, character_maximum_length
                 FROM information_schema.columns
                 WHERE table_schema = current_schema AND table_name = '{table}' ORDER BY ordinal_position"
            ),
        });
        assert!(columns.len() >= count);
        columns.truncate(count);
        columns
    })
}

fn migrate(world: &World) -> Child {
    let mut command = world.command(&["migrate"]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[track_caller]
fn said(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// The Go program goes on inserting until `stop` is set. Returns what it inserted, and how long the slowest took.
fn go_on_inserting(mut database: Database, stop: &AtomicBool) -> (Vec<String>, Duration) {
    let (mut inserted, mut slowest) = (Vec::new(), Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        let params = format!("during-{}", inserted.len());
        let begun = Instant::now();
        database.execute(&go_program::insert(
            "during",
            "gone",
            &params,
            4_102_444_800,
        ));
        slowest = slowest.max(begun.elapsed());
        inserted.push(params);
    }
    (inserted, slowest)
}

/// Does something while another connection goes on inserting.
fn while_in_use(world: &World, act: impl FnOnce()) -> (Vec<String>, Duration) {
    let stop = AtomicBool::new(false);
    let database = world.database();
    thread::scope(|scope| {
        let inserter = scope.spawn(|| go_on_inserting(database, &stop));
        let acted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
        stop.store(true, Ordering::Relaxed);
        let inserted = inserter.join().unwrap();
        acted.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        inserted
    })
}

on_each_database! { world =>
    a_database_of_the_go_program_is_migrated_in_use_and_no_row_is_touched,
    what_migrate_prints_makes_the_same_tables_by_hand,
}

fn a_database_of_the_go_program_is_migrated_in_use_and_no_row_is_touched(world: World) {
    let mut database = go_program::make_tables(&world);
    insert_rows(&mut database);
    let last_id = database.number("SELECT max(id) FROM delay_queue_log");
    let before = (
        rows(&mut database, last_id),
        definitions(world.engine, &mut database),
    );
    assert!(before.0.iter().all(|rows| rows.len() == ROWS));

    let (inserted, slowest) = while_in_use(&world, || {
        let both = [migrate(&world), migrate(&world)].map(said);
        let done = both
            .iter()
            .filter(|text| text.contains("migrations done"))
            .count();
        assert!(done >= 1, "{both:?}");
        assert!(said(migrate(&world)).contains("nothing to do"));
    });

    let after = (
        rows(&mut database, last_id),
        definitions(world.engine, &mut database),
    );
    assert_eq!(before, after);
    let during = "SELECT params FROM delay_queue_log WHERE name = 'during' AND status = 1
        AND owner = '' AND fence = 0 AND attempts = 0 AND due_ms IS NULL ORDER BY id";
    assert_eq!(database.texts(during), inserted);
    assert!(!inserted.is_empty());
    assert!(slowest < LONGEST_STALL, "{slowest:?}");
    println!(
        "{:?}: {} rows inserted during two migrations at once, the slowest in {slowest:?}",
        world.engine,
        inserted.len()
    );
}

fn what_migrate_prints_makes_the_same_tables_by_hand(world: World) {
    let mut database = go_program::make_tables(&world);
    let statements = world.output(&["migrate", "--print"]);
    assert!(statements.contains("queue_message"), "{statements}");
    database.execute(&statements);
    assert!(said(migrate(&world)).contains("nothing to do"));
    let daemon = world.start();
    daemon.stop();
}

on_each_server! { world =>
    a_transaction_left_open_holds_up_the_migration_and_nobody_else,
}

fn a_transaction_left_open_holds_up_the_migration_and_nobody_else(world: World) {
    let mut open = go_program::make_tables(&world);
    open.execute("BEGIN");
    open.execute(&go_program::insert("open", "gone", "open", 4_102_444_800));
    let (inserted, slowest) = while_in_use(&world, || {
        let mut child = migrate(&world);
        let begun = Instant::now();
        wait_until("several tries of the migration", PATIENCE, || {
            begun.elapsed() > OPEN_FOR
        });
        assert_eq!(child.try_wait().unwrap(), None, "nothing held it up");
        open.execute("COMMIT");
        assert!(said(child).contains("migrations done"));
    });
    assert!(slowest < LONGEST_STALL, "{slowest:?}");
    let rows = open.number("SELECT count(*) FROM delay_queue_log");
    assert_eq!(usize::try_from(rows).unwrap(), inserted.len() + 1);
    println!(
        "{:?}: {} rows inserted meanwhile, the slowest in {slowest:?}",
        world.engine,
        inserted.len()
    );
}
