//! Cron of one partition in several daemons at once.

use std::collections::BTreeSet;
use std::env;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::cron::seconds_fired;
use crate::database::Database;
use crate::engine::{Engine, on_each_database};
use crate::process::{Daemon, signal_pid, wait_stopped};
use crate::wait::{LONG_PATIENCE, PATIENCE, wait_for, wait_until};
use crate::world::World;

/// Seconds that several daemons fire together. `CRON_SECONDS=120 cargo test --test daemon cron_pairs` is the long version.
fn seconds() -> usize {
    env::var("CRON_SECONDS").map_or(6, |seconds| seconds.parse().unwrap())
}

on_each_database! { world =>
    two_daemons_fire_each_second_once,
    five_daemons_fire_each_second_once,
    a_run_is_replaced_by_whichever_daemon_fires_next,
}

fn world(engine: Engine) -> Option<World> {
    World::on(engine, json!({}))
}

fn each_second(world: &World, special: Value) {
    let mut entry = json!({
        "cron": "* * * * * *", "name": "each second", "exec_cmd": "ledger", "status": 1, "is_log": 1,
    });
    let special = special.as_object().unwrap().clone();
    entry.as_object_mut().unwrap().extend(special);
    world.partition("script1", &json!([]), &json!([entry]));
}

fn each_second_once(world: &World, daemons: usize) {
    each_second(world, json!({ "params": "x" }));
    let daemons: Vec<Daemon> = (0..daemons).map(|_| world.start()).collect();
    let begun = world.ledger_len();
    wait_until("enough fires", LONG_PATIENCE, || {
        world.ledger_len() >= begun + seconds()
    });
    let number = daemons.len();
    for daemon in daemons {
        daemon.stop();
    }
    world.wait_empty();
    let mut database = world.database();
    let fired = seconds_fired(&mut database);
    let expected: Vec<i64> = (fired[0]..).take(fired.len()).collect();
    assert_eq!(fired, expected, "each second once, and none left out");
    let ledger = world.ledger();
    assert!(ledger.doubled().is_empty());
    assert_eq!(ledger.lines.len(), fired.len());
    let ended = "SELECT count(*) AS n FROM crontab_log WHERE status = 'success'";
    assert_eq!(database.number(ended), i64::try_from(fired.len()).unwrap());
    let shares = database.numbers("SELECT count(*) AS n FROM cron_run GROUP BY owner");
    println!(
        "{number} daemons: {} seconds, each fired once; shares {shares:?}",
        fired.len()
    );
}

fn two_daemons_fire_each_second_once(world: World) {
    each_second_once(&world, 2);
}

fn five_daemons_fire_each_second_once(world: World) {
    each_second_once(&world, 5);
}

/// The pid of the daemon whose run is under way, and the run's key.
fn owner_of_the_run(database: &mut Database) -> Option<(u32, String)> {
    let started = "SELECT concat(boot.pid, ' ', uk) AS t FROM cron_run JOIN boot USING (owner)
        WHERE cron_run.state = 2 AND status = 'running'";
    let text = database.texts(started).pop()?;
    let (pid, uk) = text.split_once(' ').unwrap();
    Some((pid.parse().unwrap(), uk.to_owned()))
}

/// Stopped, and not in the middle of a write, which would hold up everybody.
#[track_caller]
fn hang(pid: u32, database: &mut Database) {
    wait_until("a moment without a write", PATIENCE, || {
        signal_pid(pid, Signal::STOP);
        wait_stopped(pid);
        let free = database.is_unlocked();
        if !free {
            signal_pid(pid, Signal::CONT);
        }
        free
    });
}

fn a_run_is_replaced_by_whichever_daemon_fires_next(world: World) {
    const CHANGES: usize = 4;
    each_second(&world, json!({ "params": "hang:x", "overlap": "replace" }));
    let daemons = [world.start(), world.start()];
    let mut database = world.database();
    let mut owners = BTreeSet::new();
    for _ in 0..CHANGES {
        // The one that watches the run hangs, so the other must end the run, and write its end.
        let (hanging, uk) = wait_for("a run", PATIENCE, || owner_of_the_run(&mut database));
        hang(hanging, &mut database);
        wait_until("the other daemon's run", PATIENCE, || {
            owner_of_the_run(&mut database).is_some_and(|(pid, _)| pid != hanging)
        });
        let end =
            format!("SELECT concat(status, ' ', result) AS t FROM crontab_log WHERE uk = '{uk}'");
        let end = database.texts(&end).remove(0);
        assert!(
            end.starts_with("killed ") && end.contains("to make room"),
            "{end}"
        );
        signal_pid(hanging, Signal::CONT);
        owners.insert(hanging);
    }
    assert_eq!(owners.len(), 2, "each was replaced by the other");
    for daemon in daemons {
        daemon.stop();
    }
    let last = world.processes();
    assert!(last.len() <= 1, "{last:?}");
    last.into_iter()
        .for_each(|pid| signal_pid(pid, Signal::KILL));

    // No two at once: every earlier run had its end before the first line of a later one.
    for line in &world.ledger().lines {
        let others = format!(
            "SELECT count(*) AS n FROM crontab_log JOIN cron_run AS other USING (uk), cron_run AS this
             WHERE this.uk = {} AND other.scheduled_ms < this.scheduled_ms
             AND NOT end_time BETWEEN 1 AND {}",
            line.id.to_string().replace('"', "'"),
            line.at_us / 1000
        );
        assert_eq!(database.number(&others), 0, "{line:?}");
    }
    let other_ends = "SELECT concat(status, result) AS t FROM crontab_log
        WHERE status NOT IN ('running', 'killed') AND result NOT LIKE '%a later fire%'";
    assert_eq!(database.texts(other_ends), [""; 0]);
}
