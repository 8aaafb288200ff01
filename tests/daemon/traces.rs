//! A W3C trace on its way through the daemon.

use serde_json::json;

use crate::engine::{Engine, on_each_database};
use crate::servers::kafka;
use crate::wait::{PATIENCE, wait_until};
use crate::world::World;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

on_each_database! { world => a_task_that_a_handler_pushes_is_of_the_trace_of_its_message }

fn world(engine: Engine) -> Option<World> {
    let world = World::on(engine, json!({}))?;
    world.partition("script1", &World::table_queue(), &json!([]));
    Some(world)
}

fn parent() -> String {
    format!("00-{TRACE}-00f067aa0ba902b7-01")
}

/// The columns `trace` of all tasks, in the order of their ids.
fn traces(world: &World) -> Vec<String> {
    let all = "SELECT COALESCE(trace, '-') AS t FROM delay_queue_log ORDER BY id";
    world.database().texts(all)
}

fn a_task_that_a_handler_pushes_is_of_the_trace_of_its_message(world: World) {
    let header = format!("traceparent={}", parent());
    let state = "tracestate=shop=7,x=y";
    let send = [
        "send",
        "work",
        "push:0:fail:task",
        "--header",
        &header,
        "--header",
        state,
    ];
    world.output(&send);
    world.output(&[
        "send",
        "work",
        "push:0:of none",
        "--header",
        "traceparent=00-x-y-01",
    ]);
    world.output(&["send", "work", "fail:message", "--header", &header]);
    let mut daemon = world.start();
    // The daemon's line about a job that failed is of its trace as well.
    for what in [
        "message 3 failed on attempt 1",
        "failed on attempt 1 and runs again",
    ] {
        let line = daemon.wait_log(what);
        assert!(line.ends_with(&format!(" trace_id={TRACE}")), "{line}");
    }
    wait_until("both tasks", PATIENCE, || world.ledger_len() >= 5);
    daemon.stop();
    let mut traces = traces(&world);
    traces.sort_unstable();
    assert_eq!(traces, ["-".to_owned(), format!("{} shop=7,x=y", parent())]);
    assert!(!world.all_logs().contains("00-x-y-01"));
}

#[test]
fn each_fire_begins_a_trace_that_its_process_goes_on_with() {
    let world = World::new(json!({}));
    let entry = json!({
        "cron": "* * * * * *", "name": "tick", "exec_cmd": "ledger", "params": "push:3600:x", "status": 1, "is_log": 1,
    });
    world.partition("script1", &json!([]), &json!([entry]));
    let mut command = world.command(&["run"]);
    command.env("TRACEPARENT", parent());
    command.env("TRACESTATE", "of=the-daemon");
    let mut daemon = world.spawn_command(command);
    daemon.wait_ready();
    wait_until("two runs", PATIENCE, || world.ledger_len() >= 2);
    daemon.stop();
    world.wait_empty();
    let mut uks = world.database().texts("SELECT uk AS t FROM crontab_log");
    uks.iter_mut().for_each(|uk| uk.retain(|c| c != '-'));
    let traces = traces(&world);
    assert!(traces.len() >= 2);
    for trace in traces {
        assert!(
            uks.iter().any(|uk| trace.starts_with(&format!("00-{uk}-"))),
            "{trace}: {uks:?}"
        );
        assert!(trace.ends_with("-01"), "{trace}");
    }

    let mut by_hand = world.command(&["exec", "ledger", "push:3600:by hand"]);
    by_hand.env("TRACEPARENT", parent());
    assert!(by_hand.output().unwrap().status.success());
    let own = "SELECT trace AS t FROM delay_queue_log WHERE params = 'by hand'";
    assert_eq!(world.database().texts(own), [parent()]);
}

#[test]
fn a_record_of_kafka_has_its_trace() {
    let Some(server) = kafka::shared() else {
        return;
    };
    let topic = server.name();
    server.create_topic(&topic, 1);
    let world = World::new(json!({ "kafka": { "default": { "brokers": server.brokers() } } }));
    let entry = json!({
        "name": "work", "exec_cmd": "ledger", "topic": topic, "group_id": server.name(), "progress": 1,
        "progress_lag_limit": 0, "progress_avg_msgcount": 1, "status": 1,
    });
    world.partition("script1", &json!([entry]), &json!([]));
    let header = format!("traceparent={}", parent());
    world.output(&["send", "work", "push:3600:x", "--header", &header]);
    let daemon = world.start();
    wait_until("its task", PATIENCE, || world.ledger_len() == 1);
    daemon.stop();
    assert_eq!(traces(&world), [parent()]);
}
