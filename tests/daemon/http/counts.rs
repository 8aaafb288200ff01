//! What is published is what happened: the counts of `/metrics` beside the ledger.

use serde_json::json;

use super::client::get;
use super::{address, settings};
use crate::wait::{PATIENCE, wait_for, wait_until};
use crate::world::World;

#[test]
fn metrics_count_what_the_ledger_shows() {
    let world = World::new(settings(json!({})));
    let queue = json!([{
        "name": "work", "exec_cmd": "ledger", "table": "work", "progress": 2, "max_attempts": 3, "backoff": "100ms",
        "progress_lag_limit": 1000, "progress_avg_msgcount": 1000, "status": 1, "timeout": "2s",
    }]);
    let cron = json!([{
        "cron": "* * * * * *", "name": "tick", "exec_cmd": "ledger", "params": "t", "status": 1, "is_log": 1,
    }]);
    world.partition("script1", &queue, &cron);
    let mut daemon = world.start();
    let address = address(&mut daemon);
    let bodies: Vec<String> = (0..50)
        .map(|n| format!("m{n}"))
        .chain(["fail2:a", "fail:b", "panic:c", "hang:d"].map(str::to_owned))
        .collect();
    world.send("work", &bodies);
    let first = ["x"].map(|body| body.to_owned());
    world.output(&["push", "ledger", "--params", &first[0], "--delay-time", "1"]);
    world.wait_drained();
    let of_queue = |outcome: &str| {
        let name = "simplest_script_queue_messages_total";
        format!("{name}{{queue=\"work\",outcome=\"{outcome}\"}}")
    };
    // What became of a message is counted a moment after it is in the table.
    let metrics = wait_for("the last ends in the metrics", PATIENCE, || {
        let metrics = get(&address, "/metrics");
        let done = "simplest_script_delay_tasks_total{outcome=\"done\"}";
        let ended =
            metrics.metric(&of_queue("completed")) + metrics.metric(&of_queue("dead_lettered"));
        (ended == 54.0 && metrics.metric(done) == 1.0).then_some(metrics)
    });
    assert_eq!(metrics.metric(&of_queue("completed")), 51.0);
    // `a` twice, `b`, `c` and `d` twice each before their last attempt.
    assert_eq!(metrics.metric(&of_queue("retried")), 8.0);
    assert_eq!(metrics.metric(&of_queue("dead_lettered")), 3.0);
    let failures = |cause: &str| {
        let name = "simplest_script_queue_failures_total";
        metrics.metric(&format!("{name}{{queue=\"work\",cause=\"{cause}\"}}"))
    };
    assert_eq!(
        (failures("error"), failures("timeout"), failures("panic")),
        (5.0, 3.0, 3.0)
    );
    let calls = metrics.metric("simplest_script_queue_handler_seconds_count{queue=\"work\"}");
    let ledger = world.ledger();
    let lines = ledger
        .lines
        .iter()
        .filter(|line| line.kind == "queue")
        .count();
    assert_eq!(lines, 62);
    assert_eq!(calls, 62.0);
    // A first attempt each.
    let waited = metrics.metric("simplest_script_queue_wait_seconds_count{queue=\"work\"}");
    assert_eq!(waited, 54.0);
    assert_eq!(
        metrics.metric("simplest_script_delay_tasks_total{outcome=\"done\"}"),
        1.0
    );
    assert_eq!(
        metrics.metric("simplest_script_delay_lateness_seconds_count"),
        1.0
    );
    wait_until("nothing in flight", PATIENCE, || {
        get(&address, "/metrics").metric("simplest_script_queue_in_flight{queue=\"work\"}") == 0.0
    });

    let queue = get(&address, "/api/v1/queues/work").json();
    let failures = queue["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 11);
    let of = |cause: &str| failures.iter().find(|f| f["cause"] == cause).unwrap();
    assert!(
        of("timeout")["error"]
            .as_str()
            .unwrap()
            .contains("timeout of 2s")
    );
    assert_eq!(queue["consumers_present"], 2);

    let success = "simplest_script_cron_fires_total{entry=\"tick\",outcome=\"success\"}";
    wait_until("some fires", PATIENCE, || {
        get(&address, "/metrics").metric(success) >= 3.0
    });
    let entry = get(&address, "/api/v1/cron/tick").json();
    assert!(
        entry["next_fire_ms"].is_i64() && entry["last_success_ms"].is_i64(),
        "{entry}"
    );
    daemon.stop();
    let rows = "SELECT count(*) AS n FROM crontab_log WHERE status = 'success'";
    assert!(world.database().number(rows) >= 3);
}

#[test]
fn what_runs_is_shown_with_its_id_and_since_when() {
    let world = World::new(settings(json!({})));
    world.partition("script1", &World::table_queue(), &json!([]));
    let mut daemon = world.start();
    let address = address(&mut daemon);
    world.send("work", &["hang:x".to_owned()]);
    let running = wait_for("the run", PATIENCE, || {
        let queue = get(&address, "/api/v1/queues/work").json();
        queue["running"].as_array()?.first().cloned()
    });
    assert_eq!(running["id"], "1");
    let queue = get(&address, "/api/v1/queues/work").json();
    assert_eq!(
        (&queue["in_flight"], &queue["consumers_busy"]),
        (&json!(1), &json!(1))
    );
    let since = queue["busy_since_ms"].as_i64().unwrap();
    assert!(
        (since - running["since_ms"].as_i64().unwrap()).abs() < 2000,
        "{queue}"
    );
}

#[test]
fn a_lag_check_that_is_ordered_sees_the_lag_of_now() {
    let world = World::new(settings(json!({})));
    world.partition("script1", &World::table_queue(), &json!([]));
    let mut daemon = world.start();
    let address = address(&mut daemon);
    let lag = || get(&address, "/api/v1/queues/work").json()["lag"].clone();
    wait_until("the first check", PATIENCE, || lag() == json!(0));
    let bodies: Vec<String> = (0..20).map(|n| format!("hang:{n}")).collect();
    world.send("work", &bodies);
    // By itself it would be checked again after three minutes.
    wait_until("the lag", PATIENCE, || {
        super::client::ask_with(
            &address,
            "POST",
            "/api/v1/queues/work/lag-check",
            &[("Host", &address), ("Sec-Fetch-Site", "same-origin")],
        );
        lag() == json!(20)
    });
}
