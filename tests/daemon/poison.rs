//! Messages and delayed tasks whose handler ends the process.

use std::time::Duration;

use serde_json::json;

use crate::engine::{Engine, on_each_database};
use crate::process::Daemon;
use crate::wait::{LONG_PATIENCE, PATIENCE, random_moment, wait_for, wait_until};
use crate::world::World;

const MAX_ATTEMPTS: u32 = 3;

on_each_database! { world =>
    what_aborts_the_daemon_is_a_dead_letter_and_its_neighbours_get_through,
    an_operators_kills_are_never_charged,
}

fn world(engine: Engine) -> Option<World> {
    let backoff = json!({ "base": "50ms", "max": "200ms" });
    let world = World::on(
        engine,
        json!({
            "heartbeat_interval": "300ms",
            "delayed": { "ledger": { "max_attempts": MAX_ATTEMPTS, "backoff": backoff } },
        }),
    )?;
    let queue = json!([{
        "name": "work", "exec_cmd": "ledger", "table": "work", "progress": 4, "progress_lag_limit": 1000,
        "progress_avg_msgcount": 1000, "status": 1, "max_attempts": MAX_ATTEMPTS, "backoff": backoff,
    }]);
    world.partition("script1", &queue, &json!([]));
    Some(world)
}

/// Restarts the daemon each time it dies, as an init system would, until nothing is left to be done. Answers how often
/// it died.
fn keep_running(world: &World) -> (Daemon, u32) {
    let mut deaths = 0;
    let mut database = world.database();
    let mut daemon = world.spawn(&["run"]);
    let left = "SELECT (SELECT count(*) FROM queue_message)
        + (SELECT count(*) FROM delay_queue_log WHERE status IN (1, 2)) AS n";
    wait_until("all work to be done", LONG_PATIENCE, || {
        if let Some(status) = daemon.has_ended() {
            assert_eq!(status.code(), None, "it ended by itself: {}", daemon.log());
            deaths += 1;
            daemon = world.spawn(&["run"]);
        }
        database.number(left) == 0
    });
    (daemon, deaths)
}

fn what_aborts_the_daemon_is_a_dead_letter_and_its_neighbours_get_through(world: World) {
    let neighbours: Vec<String> = (0..200)
        .map(|n| {
            if n % 10 == 0 {
                format!("sleep:30:{n}")
            } else {
                format!("neighbour-{n}")
            }
        })
        .collect();
    let mut messages = neighbours.clone();
    messages.insert(50, "abort:message".to_owned());
    world.send("work", &messages);
    let mut tasks: Vec<_> = (0..50).map(|n| (format!("task-{n}"), 1)).collect();
    tasks.insert(25, ("abort:task".to_owned(), 1));
    world.insert_tasks(&tasks);

    let (daemon, deaths) = keep_running(&world);
    daemon.stop();
    let ledger = world.ledger();
    let dead_letters = world.dead_letters();
    assert_eq!(dead_letters.len(), 2, "{dead_letters:#?}");
    for (kind, body) in [("queue", "abort:message"), ("delay", "abort:task")] {
        assert_eq!(ledger.attempts_of(body), [1, 2, 3], "{body}");
        let dead_letter = dead_letters
            .iter()
            .find(|dead_letter| dead_letter["payload"] == body)
            .unwrap();
        assert_eq!(dead_letter["kind"], kind);
        assert_eq!(dead_letter["attempts"], MAX_ATTEMPTS);
        assert!(
            dead_letter["error"].as_str().unwrap().contains("SIGABRT"),
            "{dead_letter}"
        );
    }
    assert_eq!(deaths, 2 * MAX_ATTEMPTS);
    let tasks = tasks.iter().map(|(params, _)| params);
    assert_eq!(ledger.missing(neighbours.iter().chain(tasks)), [""; 0]);
    let counted = ledger
        .lines
        .iter()
        .find(|l| l.attempt > 1 && !l.body.starts_with("abort:"));
    assert!(
        counted.is_none(),
        "an attempt of a neighbour was counted: {counted:?}"
    );
    println!(
        "{deaths} deaths: {} runs of {} messages and tasks",
        ledger.lines.len() - usize::try_from(deaths).unwrap(),
        neighbours.len() + 50
    );
}

fn an_operators_kills_are_never_charged(world: World) {
    world.migrate();
    world.output(&["send", "work", "block:3000:message"]);
    world.insert_tasks(&[("block:3000:task".to_owned(), 1)]);
    let mut database = world.database();
    let owner = "SELECT concat((SELECT owner FROM queue_message), ' ', (SELECT owner FROM delay_queue_log))";
    let mut earlier = String::new();
    for _ in 0..=MAX_ATTEMPTS {
        let daemon = world.start();
        let now = wait_for("both to be claimed", PATIENCE, || {
            let owners = database.texts(owner).remove(0);
            let claimed = owners
                .split(' ')
                .all(|owner| !owner.is_empty() && !earlier.contains(owner));
            claimed.then_some(owners)
        });
        earlier = now;
        random_moment(Duration::from_millis(500));
        daemon.kill();
    }
    let daemon = world.start();
    world.wait_drained();
    daemon.stop();
    let ledger = world.ledger();
    for body in ["block:3000:message", "block:3000:task"] {
        assert_eq!(ledger.attempts_of(body), [1]);
    }
    assert!(world.dead_letters().is_empty());
}
