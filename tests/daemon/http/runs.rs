//! Cron runs over HTTP: ordered, listed, ended, and what they printed.

use serde_json::{Value, json};

use super::{Api, me};
use crate::engine::{Engine, on_each_database};
use crate::wait::{PATIENCE, wait_for, wait_until};
use crate::world::World;

on_each_database! { world =>
    a_run_is_ordered_seen_ended_and_its_output_read,
    orders_about_runs_that_cannot_be_are_refused_with_what_would_be_right,
}

fn world(engine: Engine) -> Option<World> {
    let world = World::on(engine, json!({ "heartbeat_interval": "300ms" }))?;
    let entry = json!({
        "cron": "0 0 0 1 1 *", "name": "report", "exec_cmd": "ledger", "params": "its own", "status": 1, "is_log": 1,
    });
    world.partition("script1", &json!([]), &json!([entry]));
    Some(world)
}

/// The run as it is listed, once it has that status.
#[track_caller]
fn wait_run(api: &Api, key: &str, run: &str, status: &str) -> Value {
    wait_for(&format!("run {run} to be {status}"), PATIENCE, || {
        let page = api.get(&format!("cron/{key}/runs"));
        let runs = page["runs"].as_array().unwrap();
        let found = runs.iter().find(|listed| listed["run"] == run);
        found.filter(|found| found["status"] == status).cloned()
    })
}

fn a_run_is_ordered_seen_ended_and_its_output_read(world: World) {
    let daemon = world.start();
    let api = Api::of(&world);
    let key = api.get("cron")[0]["key"].as_str().unwrap().to_owned();
    let order = |body: Value| {
        let ordered = api.order(&format!("cron/{key}/run"), &body);
        assert_eq!(ordered["ordered"], "run");
        ordered["run"].as_str().unwrap().to_owned()
    };
    let own = order(Value::Null);
    wait_run(&api, &key, &own, "success");
    let run = order(json!({ "params": "by http" }));
    let listed = wait_run(&api, &key, &run, "success");
    assert_eq!(listed["params"], "by http");
    assert_eq!(listed["ordered_by"], me());
    for path in [
        "cron/runs?limit=1".to_owned(),
        format!("cron/{key}/runs?limit=1"),
    ] {
        let all = api.all(&path, "runs", "before");
        let all: Vec<&Value> = all.iter().map(|listed| &listed["run"]).collect();
        assert_eq!(all, [&run, &own], "{path}");
    }

    // The runs of a day share the file. A run prints its result when it is written down.
    let result = "{\"data\":null,\"status\":0}\n";
    let part = wait_for("both results in the output", PATIENCE, || {
        let part = api.ask(&format!("cron/runs/{run}/log"));
        assert_eq!(part.status, 200, "{}", part.body);
        (part.body.matches(result).count() == 2).then_some(part)
    });
    assert_eq!(part.header("log-run"), "success");
    let mut whole = String::new();
    let mut offset = "0".to_owned();
    loop {
        let part = api.ask(&format!("cron/runs/{run}/log?bytes=7&offset={offset}"));
        assert_eq!(part.header("log-from"), offset);
        if part.body.is_empty() {
            break;
        }
        whole += &part.body;
        part.header("log-next").clone_into(&mut offset);
    }
    assert_eq!(whole, part.body);

    let hanging = order(json!({ "params": "hang:x" }));
    wait_until("the run to hang", PATIENCE, || {
        world.ledger().of_body("hang:x").len() == 1
    });
    let part = api.ask(&format!("cron/runs/{hanging}/log"));
    assert_eq!(part.header("log-run"), "running");
    let end = format!("cron/runs/{hanging}/end");
    let expected = json!({ "ordered": "end", "run": hanging, "taken_back": false });
    assert_eq!(api.order(&end, &Value::Null), expected);
    let ended = wait_run(&api, &key, &hanging, "killed");
    assert_eq!(ended["end_ordered_by"], me());
    let why = api.refused(&end, &Value::Null, 409);
    assert!(why.contains("has ended already: killed"), "{why}");
    daemon.stop();
    let ledger = world.ledger();
    assert_eq!(ledger.of_body("by http").len(), 1);
    assert_eq!(ledger.of_body("its own").len(), 1);
}

fn orders_about_runs_that_cannot_be_are_refused_with_what_would_be_right(world: World) {
    let daemon = world.start();
    let api = Api::of(&world);
    let key = api.get("cron")[0]["key"].as_str().unwrap().to_owned();
    let run = format!("cron/{key}/run");
    let long = json!({ "params": "x".repeat(501) });
    for (path, body, status, part) in [
        (
            "cron/reprot/run",
            Value::Null,
            404,
            "did you mean `report`?",
        ),
        (&*run, json!({ "parms": "x" }), 400, "unknown field `parms`"),
        (&*run, json!([1]), 400, "the body: "),
        (&*run, long, 422, "500 at most"),
        (
            "cron/runs/nobody/end",
            Value::Null,
            404,
            "no cron run `nobody`",
        ),
    ] {
        let why = api.refused(path, &body, status);
        assert!(why.contains(part), "{path}: {why}");
    }
    for (path, status, part) in [
        ("cron/reprot/runs", 404, "did you mean `report`?"),
        ("cron/runs?limit=0", 400, "1 to 1000"),
        ("cron/runs?before=5", 400, "which no answer has as `next`"),
        ("cron/runs?limt=5", 400, "unknown field `limt`"),
        ("cron/runs?limit=five", 400, "invalid digit"),
        (
            "cron/runs/nobody/log",
            404,
            "nor is there a run of that key",
        ),
        ("audit?before=x", 400, "invalid digit"),
    ] {
        let answer = api.ask(path);
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        let why = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(why.contains(part), "{path}: {why}");
    }
    daemon.stop();
    let mut database = world.database();
    assert_eq!(database.number("SELECT count(*) AS n FROM daemon_order"), 0);
    assert_eq!(database.number("SELECT count(*) AS n FROM audit"), 0);
}
