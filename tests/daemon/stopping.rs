//! The life of a stop, as an operator sees it.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::process::Daemon;
use crate::wait::{PATIENCE, wait_until};
use crate::world::World;

/// The process must be gone so soon after its deadline; for a busy machine.
const SLACK: Duration = Duration::from_millis(500);

fn world(shutdown_deadline: &str) -> World {
    let world = World::new(json!({ "shutdown_deadline": shutdown_deadline }));
    let queue = json!([{
        "name": "work", "exec_cmd": "ledger", "table": "work", "progress": 2,
        "progress_lag_limit": 1000, "progress_avg_msgcount": 1000, "status": 1,
    }]);
    world.partition("script1", &queue, &json!([]));
    world
}

fn hanging(world: &World) -> Daemon {
    world.output(&["send", "work", "hang:message"]);
    world.output(&[
        "push",
        "ledger",
        "--params",
        "hang:task",
        "--delay-time",
        "0",
    ]);
    let daemon = world.start();
    wait_until("both to hang", PATIENCE, || world.ledger_len() == 2);
    daemon
}

#[test]
fn a_second_signal_ends_the_daemon_at_once() {
    for second in [Signal::TERM, Signal::INT] {
        let world = world("60s");
        let mut daemon = hanging(&world);
        daemon.signal(Signal::TERM);
        daemon.wait_log("a second signal ends at once");
        daemon.signal(second);
        let (status, took) = daemon.wait_end(PATIENCE);
        assert_eq!(status.code(), Some(1), "{}", daemon.log());
        assert!(took < SLACK, "{took:?}");
    }
}

#[test]
fn what_hangs_is_released_at_the_deadline_and_runs_again() {
    let deadline = Duration::from_secs(2);
    let world = world("2s");
    let mut daemon = hanging(&world);
    let begun = Instant::now();
    daemon.signal(Signal::TERM);
    let (status, _) = daemon.wait_end(PATIENCE);
    let took = begun.elapsed();
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    assert!(took <= deadline + SLACK, "{took:?}");
    println!("a stop with two that hang, by a deadline of {deadline:?}: {took:?}");

    let mut database = world.database();
    let waiting = "SELECT (SELECT count(*) FROM queue_message WHERE owner = '')
        + (SELECT count(*) FROM delay_queue_log WHERE status = 1 AND owner = '') AS n";
    assert_eq!(database.number(waiting), 2);

    let again = world.start();
    wait_until("both to run again", PATIENCE, || world.ledger_len() == 4);
    let ledger = world.ledger();
    for body in ["hang:message", "hang:task"] {
        assert_eq!(ledger.attempts_of(body), [1, 1], "a stop is no attempt");
        assert_eq!(ledger.of_body(body)[1].pid, again.pid());
    }
}

#[test]
fn a_stop_waits_for_what_runs_and_starts_nothing_more() {
    let world = world("30s");
    let bodies: Vec<String> = (0..40).map(|n| format!("sleep:400:{n}")).collect();
    world.send("work", &bodies);
    let daemon = world.start();
    wait_until("the work to begin", PATIENCE, || world.ledger_len() >= 2);
    let took = daemon.stop();
    assert!(took < Duration::from_secs(5), "{took:?}");
    let ran = world.ledger_len();
    let left = world
        .database()
        .number("SELECT count(*) AS n FROM queue_message WHERE owner = ''");
    assert_eq!(ran + usize::try_from(left).unwrap(), bodies.len());
    assert!(left > 0);
}
