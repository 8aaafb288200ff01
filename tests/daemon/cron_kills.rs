//! The daemon is killed again and again while it fires.

use std::env;
use std::time::Duration;

use serde_json::json;

use crate::cron::{entry, no_run_is_left_open, seconds_fired};
use crate::engine::{Engine, on_each_database};
use crate::wait::{PATIENCE, random_moment, wait_until};
use crate::world::World;

on_each_database! { world =>
    kills_of_the_daemon_leave_no_run_open_and_no_second_out,
    kills_of_the_daemon_disturb_no_run,
}

fn world(engine: Engine) -> Option<World> {
    World::on(engine, json!({ "heartbeat_interval": "300ms" }))
}

fn kills_of_the_daemon_leave_no_run_open_and_no_second_out(world: World) {
    const KILLS: usize = 12;
    let entry = entry("* * * * * *", "sleep:300:short");
    world.partition("script1", &json!([]), &json!([entry]));
    let mut database = world.migrate();
    for kill in 0..KILLS {
        let claimed = "SELECT count(*) AS n FROM cron_run";
        let before = database.number(claimed);
        let daemon = world.start();
        // A fire is claimed, then announced, then started: each of those moments is hit.
        wait_until("a fire to be claimed", PATIENCE, || {
            let polls_without_a_pause = 1000;
            (0..polls_without_a_pause).any(|_| database.number(claimed) > before)
        });
        random_moment(Duration::from_millis([0, 5, 20, 500][kill % 4]));
        daemon.kill();
        if kill % 4 == 3 {
            // Seconds that pass meanwhile are made up for by the next daemon, within the grace.
            random_moment(Duration::from_secs(2));
        }
    }
    let last = world.start();
    let open = "SELECT count(*) AS n FROM cron_run WHERE state <> 3 AND owner NOT IN
        (SELECT owner FROM boot WHERE state = 1)";
    wait_until("the runs of dead daemons to end", PATIENCE, || {
        database.number(open) == 0
    });
    last.stop();
    world.wait_empty();
    no_run_is_left_open(&mut database);

    let seconds = seconds_fired(&mut database);
    let expected: Vec<i64> = (seconds[0]..).take(seconds.len()).collect();
    assert_eq!(seconds, expected, "each second once, and none left out");
    let ends = database.texts("SELECT concat(status, ' ', result) AS t FROM crontab_log");
    assert_eq!(ends.len(), seconds.len());
    let others: Vec<_> = ends
        .iter()
        .filter(|end| !end.starts_with("success"))
        .collect();
    assert!(
        others.is_empty(),
        "all were made, whenever their daemon was killed: {others:?}"
    );
    let ledger = world.ledger();
    assert!(ledger.doubled().is_empty());
    assert_eq!(ledger.lines.len(), seconds.len());
    let again = world
        .all_logs()
        .matches("is made now, it had been claimed and not started")
        .count();
    println!(
        "{KILLS} kills: {} fires, {again} of them claimed and not begun, and made by the next daemon",
        seconds.len()
    );
}

/// (kills, milliseconds of each run). `CRON_KILLS=10 cargo test --test daemon cron_kills` is the long version.
fn kills() -> (usize, u64) {
    match env::var("CRON_KILLS") {
        Ok(kills) => (kills.parse().unwrap(), 5000),
        Err(_) => (4, 2000),
    }
}

fn kills_of_the_daemon_disturb_no_run(world: World) {
    let (kills, run_ms) = kills();
    let body = format!("sleep:{run_ms}:x");
    let entry = entry("* * * * * *", &body);
    world.partition("script1", &json!([]), &json!([entry]));
    let mut database = world.migrate();
    let under_way = "SELECT count(*) AS n FROM cron_run WHERE state = 2";
    for _ in 0..kills {
        let daemon = world.start();
        wait_until("two runs under way", PATIENCE, || {
            database.number(under_way) >= 2
        });
        random_moment(Duration::from_secs(1));
        daemon.kill();
    }
    let last = world.start();
    let of_others = "SELECT count(*) AS n FROM cron_run WHERE state <> 3 AND owner NOT IN
        (SELECT owner FROM boot WHERE state = 1)";
    wait_until("the runs of dead daemons to end", PATIENCE, || {
        database.number(of_others) == 0
    });
    last.stop();
    world.wait_empty();
    no_run_is_left_open(&mut database);

    let rows = "SELECT count(*) AS n FROM crontab_log";
    let fires = database.number(rows);
    let once = "SELECT count(DISTINCT scheduled_ms) AS n FROM cron_run";
    assert_eq!(database.number(once), fires, "each second once at most");
    let disturbed = format!(
        "SELECT concat(status, ' ', result) AS t FROM crontab_log WHERE status <> 'success' OR end_time - start_time < {run_ms}"
    );
    assert_eq!(database.texts(&disturbed), [""; 0]);
    let ledger = world.ledger();
    assert!(ledger.doubled().is_empty());
    assert_eq!(i64::try_from(ledger.lines.len()).unwrap(), fires);
    for line in &ledger.lines {
        let own = format!(
            "SELECT count(*) AS n FROM crontab_log WHERE uk = {} AND pid = {}",
            line.id.to_string().replace('"', "'"),
            line.pid
        );
        assert_eq!(database.number(&own), 1, "the process of the row: {line:?}");
    }
    println!("{kills} kills: {fires} runs of {run_ms} ms, none disturbed");
}
