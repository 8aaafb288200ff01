//! LagChecks that people order.

use serde_json::{Value, json};

use crate::engine::{Engine, on_each_database};
use crate::wait::{PATIENCE, wait_until};
use crate::world::World;

on_each_database! { world =>
    a_lag_check_that_is_ordered_is_made_by_every_daemon,
}

fn world(engine: Engine) -> Option<World> {
    // None comes by itself after the first one, at the start.
    let settings = json!({ "lag_check_interval": "2h", "consumer_lease": "3h" });
    let world = World::on(engine, settings)?;
    let queue = json!({
        "name": "work", "exec_cmd": "ledger", "table": "work", "progress": 1, "max_progress": 4,
        "progress_lag_limit": 5, "progress_avg_msgcount": 5, "status": 1,
    });
    for partition in ["script1", "script2"] {
        world.partition(partition, &json!([queue]), &json!([]));
    }
    Some(world)
}

/// The lag that each daemon has read last.
fn lags(world: &World) -> Vec<Value> {
    let states: Value = serde_json::from_str(&world.output(&["status", "--json"])).unwrap();
    let states = states.as_array().unwrap().iter();
    states
        .map(|state| state["queues"][0]["lag"].clone())
        .collect()
}

fn a_lag_check_that_is_ordered_is_made_by_every_daemon(world: World) {
    let mut daemons = ["script1", "script2"].map(|name| world.start_as(name));
    let mut database = world.database();
    wait_until("the checks of the start", PATIENCE, || {
        lags(&world) == [0, 0]
    });
    let hanging: Vec<String> = (0..40).map(|n| format!("hang:{n}")).collect();
    world.send("work", &hanging);
    let said = world.output(&["queue", "check", "work"]);
    assert_eq!(
        said,
        "the lag of queue `work` is ordered to be checked now\n"
    );
    for daemon in &mut daemons {
        daemon.wait_log("queue `work`: its lag is checked now, by order of ");
        daemon.wait_log("queue `work` grows from 1 to 4 consumers");
    }
    assert_eq!(lags(&world), [40, 40]);
    wait_until("the order to end", PATIENCE, || {
        database.number("SELECT count(*) AS n FROM audit WHERE result LIKE 'done, first by %'") == 1
    });
    assert_eq!(
        database.number("SELECT count(*) AS n FROM daemon_order WHERE state <> 3"),
        0
    );
    for daemon in daemons {
        let lines = daemon.log().matches("its lag is checked now").count();
        assert_eq!(lines, 1, "one order, one check: {}", daemon.log());
        daemon.kill();
    }
    let unknown = world.run(&["queue", "check", "wrok"]);
    assert_eq!(unknown.status.code(), Some(2));
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(said.contains("did you mean `work`?"), "{said}");
}
