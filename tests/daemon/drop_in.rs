//! Both programs on one table, each with its own statements.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::database::{Database, Row};
use crate::engine::{Engine, on_each_database, on_each_server};
use crate::go_program::{self, begin, due_before, end, insert, row};
use crate::wait::{PATIENCE, now_s, wait_for, wait_until};
use crate::world::World;

/// How far ahead the Go program's tick polls.
const POLL_AHEAD_S: i64 = 60;

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
    the_go_program_reads_what_cron_wrote_and_keeps_its_own_rows,
}
on_each_server! { world =>
    a_row_without_name_and_params_runs_and_holds_up_nobody,
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

    // The Go program finds the tasks that we push in its poll, begins and ends them; we leave them alone.
    let ours = push(&world, "for the Go program", POLL_AHEAD_S / 2);
    let far = push(&world, "later", POLL_AHEAD_S * 2);
    let found = due_before(&mut database, now_s() + POLL_AHEAD_S);
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

fn fires(world: &World) {
    let entry = |params: &str, timeout: Value| {
        json!({
            "cron": "* * * * * *", "name": "每秒", "exec_cmd": "ledger", "params": params, "status": 1, "is_log": 1,
            "timeout": timeout,
        })
    };
    let entries = json!([
        entry("good 任务", Value::Null),
        entry("fail:bad", Value::Null),
        entry("sleep:60000:long", json!("1s")),
    ]);
    world.partition("script1", &json!([]), &entries);
}

/// Runs that ended so, as (start, end, milliseconds, result, seconds between the server's clock and `update_time`).
fn ended_runs(engine: Engine, database: &mut Database, params: &str, status: &str) -> Vec<Row> {
    let partition = match engine {
        Engine::MariaDb | Engine::MySql => "`partition`",
        Engine::Sqlite | Engine::Postgres => "\"partition\"",
    };
    let age = match engine {
        Engine::MariaDb | Engine::MySql => "TIMESTAMPDIFF(SECOND, update_time, NOW())",
        Engine::Postgres => "EXTRACT(EPOCH FROM LOCALTIMESTAMP - update_time)::int",
        Engine::Sqlite => {
            "CAST(strftime('%s', 'now', 'localtime') AS INTEGER) - strftime('%s', update_time)"
        }
    };
    database.rows(&format!(
        "SELECT start_time, end_time, cost_time, result, {age} FROM crontab_log
         WHERE params = '{params}' AND status = '{status}' AND name = '每秒' AND exec_cmd = 'ledger'
             AND pid > 0 AND {partition} = 'script1' AND uk <> '' AND create_time IS NOT NULL
         ORDER BY start_time"
    ))
}

fn the_go_program_reads_what_cron_wrote_and_keeps_its_own_rows(world: World) {
    let mut database = world.database();
    // One of its own runs, of which only it knows whether it lives.
    let theirs = "SELECT pid, name, status, start_time, end_time, uk, update_time FROM crontab_log WHERE uk = 'go'";
    database.execute(
        "INSERT INTO crontab_log (pid, name, exec_cmd, status, start_time, uk) VALUES (1, 'theirs', 'ledger', 'running', 1, 'go')",
    );
    let before = database.rows(theirs);
    fires(&world);
    let daemon = world.start();
    let kinds = [
        ("good 任务", "success", 0),
        ("fail:bad", "failed", 1),
        ("sleep:60000:long", "timeout", 1),
    ];
    for (params, status, _) in kinds {
        wait_until("runs that ended", PATIENCE, || {
            ended_runs(world.engine, &mut database, params, status).len() >= 3
        });
    }
    daemon.stop();
    for (params, status, code) in kinds {
        for run in ended_runs(world.engine, &mut database, params, status) {
            let number = |n: usize| run[n].as_deref().unwrap().parse::<i64>().unwrap();
            let (start, end, cost) = (number(0), number(1), number(2));
            assert_eq!(end - start, cost, "{run:?}");
            assert!(
                start / 1000 >= now_s() - 600 && end / 1000 <= now_s(),
                "{run:?}"
            );
            assert!(
                (0..600).contains(&number(4)),
                "not the server's own time: {run:?}"
            );
            let result: Value = serde_json::from_str(run[3].as_deref().unwrap()).unwrap();
            assert_eq!(result["status"], json!(code), "{run:?}");
        }
    }
    assert_eq!(database.rows(theirs), before);
}

/// Tables made by hand, or by an object mapper, let columns be NULL; the one inserted row must not keep the others waiting.
fn a_row_without_name_and_params_runs_and_holds_up_nobody(world: World) {
    let mut database = world.database();
    for column in [
        "name varchar(255)",
        "params varchar(500)",
        "result varchar(500)",
    ] {
        let (name, kind) = column.split_once(' ').unwrap();
        match world.engine {
            Engine::Sqlite => panic!("its columns cannot be changed"),
            Engine::MariaDb | Engine::MySql => database.execute(&format!("ALTER TABLE delay_queue_log MODIFY {name} {kind} DEFAULT NULL")),
            Engine::Postgres => database.execute(&format!(
                "ALTER TABLE delay_queue_log ALTER {name} DROP NOT NULL, ALTER {name} SET DEFAULT NULL"
            )),
        }
    }
    let due = now_s();
    database.execute(&format!(
        "INSERT INTO delay_queue_log (exec_cmd, status, exec_time) VALUES ('ledger', 1, {due})"
    ));
    database.execute(&insert("theirs", "ledger", "neighbour", due));
    let daemon = world.start();
    wait_until("the neighbour to have run", PATIENCE, || {
        !world.ledger().of_body("neighbour").is_empty()
    });
    world.wait_drained();
    daemon.stop();
    assert_eq!(world.ledger().attempts_of(""), [1]);
}
