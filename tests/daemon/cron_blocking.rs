//! Business code that blocks its thread delays no fire.

use serde_json::json;

use crate::wait::{LONG_PATIENCE, PATIENCE, wait_until};
use crate::world::World;

const WORKERS: usize = 2;
const SECONDS: usize = 6;
/// Late for whatever reason a busy machine has; a fire that waited for a handler would be later by its time.
const LATE_US: i64 = 5_000_000;

#[test]
fn handlers_of_all_kinds_that_block_their_threads_delay_no_fire() {
    let block = "block:20000:";
    let world = World::new(json!({ "workers": WORKERS, "shutdown_deadline": "1s" }));
    let queue = json!([{
        "name": "work", "exec_cmd": "ledger", "table": "work", "progress": 2 * WORKERS,
        "progress_lag_limit": 1_000_000, "progress_avg_msgcount": 1000, "status": 1,
    }]);
    let crontab = json!([
        { "cron": "* * * * * *", "name": "fast", "exec_cmd": "ledger", "params": "fast", "status": 1, "is_log": 1 },
        { "cron": "* * * * * *", "name": "blocks", "exec_cmd": "ledger", "params": block, "overlap": "forbid", "status": 1, "is_log": 1 },
    ]);
    world.partition("script1", &queue, &crontab);
    let daemon = world.start();
    let bodies: Vec<String> = (0..2 * WORKERS).map(|n| format!("{block}{n}")).collect();
    world.send("work", &bodies);
    let tasks: Vec<_> = bodies.iter().map(|body| (body.clone(), 1)).collect();
    world.insert_tasks(&tasks);
    // Every worker is in a handler that blocks.
    let mut database = world.database();
    wait_until("messages and tasks to be claimed", PATIENCE, || {
        database.number("SELECT count(*) AS n FROM queue_message WHERE owner <> ''") > 0
            && database.number("SELECT count(*) AS n FROM delay_queue_log WHERE status = 2") > 0
    });
    let before = world.ledger().of_body("fast").len();
    wait_until("enough fires", LONG_PATIENCE, || {
        world.ledger().of_body("fast").len() >= before + SECONDS
    });
    let ledger = world.ledger();
    let late: Vec<i64> = ledger
        .of_body("fast")
        .iter()
        .map(|line| line.late_us.unwrap())
        .collect();
    println!("beside handlers that block all {WORKERS} workers: {late:?} us late");
    assert!(late.iter().all(|late| *late < LATE_US), "{late:?}");
    let blocked = ledger
        .lines
        .iter()
        .filter(|line| line.kind != "cron")
        .count();
    assert_eq!(blocked, 0, "all the while every handler blocked");
    let seconds = database.numbers(
        "SELECT scheduled_ms / 1000 AS n FROM cron_run WHERE name = 'fast' ORDER BY scheduled_ms",
    );
    let expected: Vec<i64> = (seconds[0]..).take(seconds.len()).collect();
    assert_eq!(seconds, expected, "each second once, and none left out");
    daemon.kill();
}
