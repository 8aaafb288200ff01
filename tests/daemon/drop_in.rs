//! Both programs on one table, each with its own statements.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::database::Database;
use crate::engine::{Engine, on_each_database};
use crate::go_program::{self, begin, due_before, end, insert, row};
use crate::wait::{PATIENCE, now_s, wait_for, wait_until};
use crate::world::World;

/// The Go program's tick looks so far ahead.
const LOOK_AHEAD_S: i64 = 60;

fn world(engine: Engine) -> Option<World> {
    let world = World::on(
        engine,
        json!({ "delayed": { "ledger": { "max_attempts": 1 } } }),
    )?;
    go_program::make_tables(&world);
    world.output(&["migrate"]);
    Some(world)
}

fn push(world: &World, params: &str, delay_time: i64) -> i64 {
    let delay = delay_time.to_string();
    let args = [
        "push",
        "ledger",
        "--name",
        "ours 我们",
        "--params",
        params,
        "--delay-time",
        &delay,
    ];
    world.output(&args).trim().parse().unwrap()
}

fn id_of(database: &mut Database, params: &str) -> i64 {
    database.number(&format!(
        "SELECT id FROM delay_queue_log WHERE params = '{params}'"
    ))
}

/// Waits for one of these ends, and answers the result as the Go program reads it.
fn ended(database: &mut Database, id: i64, status: &str) -> Value {
    let row = wait_for("the row's end", PATIENCE, || {
        let row = row(database, id);
        (row[4].as_deref() == Some(status)).then_some(row)
    });
    assert!(row[8].is_some(), "`update_time` is set: {row:?}");
    serde_json::from_str(row[5].as_deref().unwrap()).unwrap()
}

on_each_database! { world =>
    each_program_understands_the_rows_of_the_other,
}

fn each_program_understands_the_rows_of_the_other(world: World) {
    let mut database = world.database();
    // What the Go program pushes, we run; it reads how that ended.
    database.execute(&insert("theirs 他们", "ledger", "good", now_s()));
    database.execute(&insert("theirs", "ledger", "fail:bad", now_s()));
    let daemon = world.start();
    let (good, bad) = (
        id_of(&mut database, "good"),
        id_of(&mut database, "fail:bad"),
    );
    assert_eq!(ended(&mut database, good, "3")["status"], json!(true));
    let failed = ended(&mut database, bad, "4");
    assert_eq!(failed["status"], json!(false));
    assert!(
        failed["data"]
            .as_str()
            .unwrap()
            .contains("the body says fail"),
        "{failed}"
    );

    // What we push, it finds in its look, begins and ends; we leave it alone.
    let ours = push(&world, "for the Go program", LOOK_AHEAD_S / 2);
    let far = push(&world, "later", LOOK_AHEAD_S * 2);
    let found = due_before(&mut database, now_s() + LOOK_AHEAD_S);
    assert_eq!(found.len(), 1, "{found:?}");
    let text = |n: usize| found[0][n].as_deref().unwrap();
    assert_eq!(
        (text(0), text(1), text(2), text(3)),
        (
            ours.to_string().as_str(),
            "ours 我们",
            "ledger",
            "for the Go program"
        )
    );
    begin(&mut database, ours);
    daemon.stop();

    // Its time has come, and a daemon starts; what comes after it has run.
    database.execute(&format!(
        "UPDATE delay_queue_log SET exec_time = {}, due_ms = NULL WHERE id = {ours}",
        now_s() - 30
    ));
    let mut daemon = world.start();
    daemon.wait_log("1 delayed tasks are in status 2 without an owner");
    let marker = push(&world, "marker", 1);
    assert_eq!(ended(&mut database, marker, "3")["status"], json!(true));
    assert_eq!(row(&mut database, ours)[4].as_deref(), Some("2"));
    end(&mut database, ours, 3, "{\"data\":\"\",\"status\":true}");
    let as_it_ended = row(&mut database, ours);

    // It pushes while we run, for a moment later.
    database.execute(&insert("theirs", "ledger", "soon", now_s() + 2));
    wait_until("the row to have run", PATIENCE, || {
        !world.ledger().of_body("soon").is_empty()
    });
    let late = world.ledger().of_body("soon")[0].late_us;
    assert!(late.is_some_and(|late| late >= 0), "{late:?}");
    daemon.stop();

    assert_eq!(row(&mut database, ours), as_it_ended);
    assert_eq!(row(&mut database, far)[4].as_deref(), Some("1"));
    let ledger = world.ledger();
    let ran: BTreeSet<&str> = ledger.lines.iter().map(|line| line.body.as_str()).collect();
    assert_eq!(ran, BTreeSet::from(["fail:bad", "good", "marker", "soon"]));
    assert_eq!(ledger.of_body("good")[0].name, "theirs 他们");
}
