//! Delayed tasks over HTTP: pages of them, and orders about single ones; who ordered what.

use serde_json::{Value, json};

use super::{Api, me};
use crate::engine::{Engine, on_each_database};
use crate::wait::{LONG_PATIENCE, PATIENCE, now_s, wait_until};
use crate::world::World;

on_each_database! { world =>
    tasks_are_paged_in_their_order_and_found_by_their_names,
    a_task_is_cancelled_run_now_or_put_off_and_the_audit_has_it,
}

fn world(engine: Engine) -> Option<World> {
    let world = World::on(engine, json!({ "heartbeat_interval": "300ms" }))?;
    world.partition("script1", &json!([]), &json!([]));
    world.migrate();
    Some(world)
}

fn ids(tasks: &[Value]) -> Vec<i64> {
    tasks
        .iter()
        .map(|task| task["id"].as_i64().unwrap())
        .collect()
}

fn tasks_are_paged_in_their_order_and_found_by_their_names(world: World) {
    let far = now_s() + 100_000;
    // Several are due in one second.
    let tasks: Vec<(String, i64)> = (0..25)
        .map(|n| (format!("task {n}"), far + n / 4))
        .collect();
    world.insert_tasks(&tasks);
    let daemon = world.start();
    let api = Api::of(&world);
    let mut database = world.database();
    let order = "SELECT id FROM delay_queue_log ORDER BY exec_time, id";
    let expected = database.numbers(order);
    for limit in [1, 4, 25, 1000] {
        let all = api.all(&format!("delay/tasks?limit={limit}"), "tasks", "after");
        assert_eq!(ids(&all), expected, "{limit}");
    }
    let foreign = api.get("delay/tasks?name=foreign&exec_cmd=ledger&limit=2");
    assert_eq!(foreign["tasks"].as_array().unwrap().len(), 2);
    assert_eq!(foreign["tasks"][0]["status"], "waiting");
    let nobody = api.get("delay/tasks?name=nobody");
    assert_eq!(nobody, json!({ "tasks": [], "next": null }));
    let task = api.get(&format!("delay/tasks/{}", expected[0]));
    assert_eq!(
        (&task["params"], &task["due_ms"]),
        (&json!("task 0"), &json!(far * 1000))
    );
    for (path, status) in [
        ("delay/tasks?status=late", 400),
        ("delay/tasks?after=5", 400),
        ("delay/tasks/999999999", 404),
        ("delay/tasks/x", 404),
    ] {
        assert_eq!(api.ask(path).status, status, "{path}");
    }
    daemon.stop();
}

fn a_task_is_cancelled_run_now_or_put_off_and_the_audit_has_it(world: World) {
    let far = now_s() + 100_000;
    let tasks = ["never", "now", "later"].map(|params| (params.to_owned(), far));
    world.insert_tasks(&tasks);
    let [never, now, later]: [i64; 3] = world
        .database()
        .numbers("SELECT id FROM delay_queue_log ORDER BY id")
        .try_into()
        .unwrap();
    let mut daemon = world.start();
    let api = Api::of(&world);
    let path = |id: i64, order: &str| format!("delay/tasks/{id}/{order}");
    let done = api.order(&path(never, "cancel"), &Value::Null);
    assert_eq!(
        done,
        json!({ "ordered": "cancel", "id": never, "attempts": 0, "due_ms": null })
    );
    let line = daemon.wait_log(&format!("delayed task {never} is cancelled, by order of "));
    assert!(line.contains(&me()), "{line}");
    let why = api.refused(&path(never, "run"), &Value::Null, 409);
    assert!(why.contains("was cancelled already"), "{why}");

    api.order(&path(now, "run"), &Value::Null);
    daemon.wait_log(&format!("delayed task {now} is due now, by order of "));
    wait_until("the task to run", PATIENCE, || {
        world.ledger().of_body("now").len() == 1
    });
    let tomorrow = far + 86_400;
    let put_off = api.order(&path(later, "run"), &json!({ "at": tomorrow }));
    assert_eq!(put_off["due_ms"], tomorrow * 1000);
    assert!(api.order(&path(later, "run"), &json!({ "in": "2h" }))["due_ms"].is_i64());
    for (body, part) in [
        (json!({ "at": "2020-01-31" }), "`at 2020-01-31` is over"),
        (json!({ "at": "soon" }), "RFC 3339"),
        (json!({ "in": "soon" }), "`in`: "),
        (json!({ "at": tomorrow, "in": "2h" }), "exclude each other"),
        (json!({ "at": 5_000_000_000_i64 }), "the year 2106"),
    ] {
        let why = api.refused(&path(later, "run"), &body, 400);
        assert!(why.contains(part), "{body}: {why}");
    }
    assert_eq!(
        api.post(&path(999_999_999, "cancel"), &Value::Null).status,
        404
    );

    let audit = api.all("audit?limit=2", "orders", "before");
    let of = |order: &Value| {
        let text = |key: &str| order[key].as_str().unwrap().to_owned();
        assert_eq!(text("ordered_by"), me());
        (text("action"), text("result"))
    };
    let actions: Vec<_> = audit.iter().map(of).collect();
    let expected = [
        ("cancel", "there is no such task"),
        ("run", "done"),
        ("run", "done"),
        ("run", "done"),
        ("run", "it has failed or was cancelled already"),
        ("cancel", "done"),
    ];
    let expected = expected.map(|(action, result)| (action.to_owned(), result.to_owned()));
    assert_eq!(actions, expected, "the newest first");
    daemon.stop();
    assert_eq!(world.ledger().lines.len(), 1);
}

#[test]
fn without_its_database_a_daemon_orders_nothing_and_says_so() {
    for engine in [Engine::MariaDb, Engine::Postgres] {
        let Some((world, server)) = World::on_own_server(engine, json!({})) else {
            continue;
        };
        world.migrate();
        world.insert_tasks(&[("later".to_owned(), now_s() + 100_000)]);
        let daemon = world.start();
        let api = Api::of(&world);
        server.crash();
        // An answer of before serves for a second.
        wait_until("the lack of an answer", PATIENCE, || {
            api.ask("daemons").status == 503
        });
        for (path, body) in [
            ("delay/tasks/1/cancel", Value::Null),
            ("delay/tasks/1/run", Value::Null),
            ("dead/1/replay", Value::Null),
            ("dead/1/purge", Value::Null),
            ("dead/replay", json!({ "confirm": true })),
            ("dead/purge", json!({ "confirm": true })),
        ] {
            let why = api.refused(path, &body, 503);
            assert!(
                why.starts_with("nothing is ordered: the database"),
                "{path}: {why}"
            );
        }
        for path in ["delay/tasks", "dead", "cron/runs", "audit"] {
            let answer = api.ask(path);
            assert_eq!(answer.status, 503, "{path}");
            assert!(answer.body.contains("the database"), "{}", answer.body);
        }
        server.start();
        wait_until("the lists again", LONG_PATIENCE, || {
            api.ask("delay/tasks").status == 200
        });
        assert_eq!(api.get("delay/tasks/1")["status"], "waiting");
        assert_eq!(api.get("audit")["orders"], json!([]));
        assert_eq!(api.get("dead/orders"), json!([]));
        daemon.stop();
    }
}
