//! Two daemons on one database, of one partition and of two.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::engine::{Engine, on_each_database};
use crate::ledger::Line;
use crate::process::Daemon;
use crate::wait::{PATIENCE, now_s, wait_until};
use crate::world::World;

/// Seconds of cron that are watched; in each of them there is other work too.
const SECONDS: usize = 8;
const MESSAGES_A_SECOND: usize = 500;
const TASKS_A_SECOND: usize = 40;
/// Until a daemon polls again for waiting work, and for a busy machine.
const SLACK: Duration = Duration::from_millis(1500);

/// Of the one that is killed.
const HEARTBEAT_MS: u64 = 1000;

on_each_database! { steady =>
    two_daemons_of_one_partition_run_nothing_twice,
    a_killed_daemons_work_is_taken_over_after_three_heartbeats_elsewhere,
}

fn steady(engine: Engine) -> Option<World> {
    world(engine, HEARTBEAT_MS)
}

fn world(engine: Engine, heartbeat_ms: u64) -> Option<World> {
    let settings = json!({ "heartbeat_interval": format!("{heartbeat_ms}ms") });
    let world = World::on(engine, settings)?;
    for partition in ["script1", "script2"] {
        let queue = json!([{
            "name": "work", "exec_cmd": "ledger", "table": "work", "progress": 4,
            "progress_lag_limit": 1_000_000, "progress_avg_msgcount": 1000, "status": 1,
        }]);
        world.partition(partition, &queue, &json!([]));
    }
    Some(world)
}

fn each_second(world: &World, partition: &str, params: &str) {
    let queue: Value =
        serde_json::from_slice(&fs::read(world.path("etc/queue_script1.json")).unwrap()).unwrap();
    let crontab = json!([{
        "cron": "* * * * * *", "name": "each second", "exec_cmd": "ledger", "params": params,
        "status": 1, "is_log": 1,
    }]);
    world.partition(partition, &queue, &crontab);
}

/// The seconds an entry fired for, by what its runs wrote down.
fn fired<'a>(lines: impl Iterator<Item = &'a Line>) -> Vec<i64> {
    let mut seconds: Vec<i64> = lines
        .map(|line| (line.at_us - line.late_us.unwrap()).div_euclid(1_000_000))
        .collect();
    seconds.sort_unstable();
    seconds
}

/// Works for some seconds. Answers every body that must have run in the end.
fn work(world: &World, mut fires: impl FnMut() -> usize) -> Vec<String> {
    let mut bodies = Vec::new();
    for second in 0..SECONDS {
        let messages: Vec<String> = (0..MESSAGES_A_SECOND)
            .map(|n| match n % 25 {
                1 => format!("push:1:pushed-{second}-{n}"),
                odd if odd % 2 == 1 => format!("sleep:2:{second}-{n}"),
                _ => format!("plain-{second}-{n}"),
            })
            .collect();
        world.send("work", &messages);
        let due = now_s() + 1;
        let tasks: Vec<_> = (0..TASKS_A_SECOND)
            .map(|n| (format!("foreign-{second}-{n}"), due))
            .collect();
        world.insert_tasks(&tasks);
        bodies.extend(
            messages
                .iter()
                .filter_map(|b| Some(b.strip_prefix("push:1:")?.to_owned())),
        );
        bodies.extend(tasks.into_iter().map(|(params, _)| params));
        bodies.extend(messages);
        wait_until("the next fire", PATIENCE, || fires() > second);
    }
    bodies
}

fn nothing_runs_twice(world: &World, other: &str, entries: &[&str]) {
    for (partition, params) in ["script1", other].iter().zip(entries) {
        each_second(world, partition, params);
    }
    let daemons = [world.start(), world.start_as(other)];
    let pids: BTreeSet<u32> = daemons.iter().map(Daemon::pid).collect();
    // Of the entry that has fired least: one may have begun a second after the other.
    let fires = || {
        let ledger = world.ledger();
        let of = |entry: &&str| {
            let fires = ledger.of_kind("cron");
            fires.filter(|line| line.body == **entry).count()
        };
        entries.iter().map(of).min().unwrap_or(0)
    };
    let bodies = work(world, fires);
    world.wait_drained();
    for daemon in daemons {
        daemon.stop();
    }
    world.wait_empty();

    let ledger = world.ledger();
    assert_eq!(ledger.missing(&bodies), [""; 0]);
    assert!(ledger.doubled().is_empty(), "{:#?}", ledger.doubled());
    assert_eq!(
        ledger.lines.len() - ledger.of_kind("cron").count(),
        bodies.len()
    );
    for kind in ["queue", "delay"] {
        assert_eq!(ledger.pids(kind), pids, "both had a share of {kind}");
    }
    let mut database = world.database();
    for entry in entries {
        let seconds = fired(ledger.of_kind("cron").filter(|line| line.body == *entry));
        let expected: Vec<i64> = (seconds[0]..).take(seconds.len()).collect();
        assert_eq!(seconds, expected, "each second once, and none left out");
        assert!(seconds.len() >= SECONDS);
        let logged = format!(
            "SELECT count(*) AS n FROM crontab_log WHERE params = '{entry}' AND status = 'success'"
        );
        assert_eq!(
            database.number(&logged),
            i64::try_from(seconds.len()).unwrap()
        );
    }
    println!(
        "{:?}: two daemons, script1 and {other}: {} messages and tasks and {} fires, none twice",
        world.engine,
        bodies.len(),
        ledger.of_kind("cron").count()
    );
}

fn two_daemons_of_one_partition_run_nothing_twice(world: World) {
    nothing_runs_twice(&world, "script1", &["one"]);
}

#[test]
fn two_daemons_of_two_partitions_run_nothing_twice_and_each_fires_its_own() {
    let world = world(Engine::Sqlite, HEARTBEAT_MS).unwrap();
    nothing_runs_twice(&world, "script2", &["one", "two"]);
}

/// Two daemons, of which the first has work that hangs and the second has none. Answers how long it took until the
/// second had all of it after the first was killed.
fn take_over(world: &World, heartbeat_ms: u64, before_the_kill: impl FnOnce()) -> Duration {
    let bodies = ["hang:1", "hang:2", "hang:task"];
    let first = world.start();
    world.send("work", &[bodies[0].to_owned(), bodies[1].to_owned()]);
    world.insert_tasks(&[(bodies[2].to_owned(), 1)]);
    wait_until("all to hang", PATIENCE, || {
        world.ledger_len() == bodies.len()
    });
    let second = world.start_as("script2");
    let mut database = world.database();
    let age = format!(
        "SELECT heartbeat_ms - started_ms AS n FROM boot WHERE pid = {}",
        second.pid()
    );
    let steady = i64::try_from(heartbeat_ms * 4).unwrap();
    wait_until("steady heartbeats", PATIENCE, || {
        database.number(&age) >= steady
    });
    assert_eq!(
        world.ledger_len(),
        bodies.len(),
        "nothing is taken from the living"
    );
    before_the_kill();
    let begun = Instant::now();
    first.kill();
    wait_until("the other to take over", PATIENCE, || {
        world.ledger_len() == 2 * bodies.len()
    });
    let took = begun.elapsed();
    let ledger = world.ledger();
    for body in bodies {
        assert_eq!(ledger.attempts_of(body), [1, 1], "a kill is no attempt");
        assert_eq!(ledger.of_body(body)[1].pid, second.pid());
    }
    took
}

#[test]
fn a_killed_daemons_work_is_taken_over_at_once_on_its_machine() {
    let heartbeat_ms = 2000;
    let world = world(Engine::Sqlite, heartbeat_ms).unwrap();
    let took = take_over(&world, heartbeat_ms, || {});
    println!("taken over on the same machine, heartbeats each {heartbeat_ms} ms: {took:?}");
    assert!(
        took < Duration::from_millis(heartbeat_ms) + SLACK,
        "{took:?}"
    );
}

fn a_killed_daemons_work_is_taken_over_after_three_heartbeats_elsewhere(world: World) {
    // As seen from another machine: no lock shows the crash.
    let hide_lock = || {
        let files = fs::read_dir(world.path("data"))
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let is_lock =
            |path: &std::path::PathBuf| path.to_str().unwrap().contains("running-script1-");
        let locks: Vec<_> = files.filter(is_lock).collect();
        assert_eq!(locks.len(), 1);
        fs::remove_file(&locks[0]).unwrap();
    };
    let took = take_over(&world, HEARTBEAT_MS, hide_lock);
    println!("taken over by heartbeats alone, each {HEARTBEAT_MS} ms: {took:?}");
    // Three missed ones, found out at the other's next one.
    assert!(
        took < Duration::from_millis(HEARTBEAT_MS * 4) + SLACK,
        "{took:?}"
    );
    assert!(took > Duration::from_millis(HEARTBEAT_MS * 2), "{took:?}");
}
