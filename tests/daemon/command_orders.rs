//! Orders that a command carries out itself are lines in the logs of the daemons too.

use serde_json::json;

use crate::engine::{Engine, on_each_database};
use crate::process::Daemon;
use crate::wait::{LONG_PATIENCE, PATIENCE, now_s, wait_until};
use crate::world::World;

on_each_database! { world => orders_of_commands_are_logged_once_by_each_daemon }

fn world(engine: Engine) -> Option<World> {
    let world = World::on(engine, json!({}))?;
    for partition in ["script1", "script2"] {
        world.partition(partition, &World::table_queue(), &json!([]));
    }
    Some(world)
}

fn lines(daemon: &Daemon, text: &str) -> usize {
    let log = daemon.log();
    log.lines().filter(|line| line.contains(text)).count()
}

fn orders_of_commands_are_logged_once_by_each_daemon(world: World) {
    let mut database = world.migrate();
    world.insert_tasks(&[("far".to_owned(), now_s() + 100_000)]);
    let task = database.number("SELECT id FROM delay_queue_log");
    world.run(&["delay", "cancel", "777001"]);
    let daemons = ["script1", "script2"].map(|partition| world.start_as(partition));
    // A daemon that has just started learns first which orders there were: from one that it logs on it reads.
    let mut unknown = 888_000;
    for daemon in &daemons {
        wait_until("a daemon that reads", PATIENCE, || {
            unknown += 1;
            world.run(&["delay", "cancel", &unknown.to_string()]);
            lines(daemon, "delayed task 888") > 0
        });
    }
    world.output(&["delay", "cancel", &task.to_string()]);
    world.send("work", &["fail:x".to_owned()]);
    wait_until("the dead letter", LONG_PATIENCE, || {
        database.number("SELECT count(*) FROM dead_letter") == 1
    });
    world.output(&["dead", "purge", "--name", "work", "--yes"]);
    let cancelled = format!("delayed task {task}: cancel, ordered by ");
    let purged = "dead letters of the name `work`: purge, ordered by ";
    for daemon in daemons {
        wait_until("the last order in the log", PATIENCE, || {
            lines(&daemon, purged) > 0
        });
        assert_eq!(lines(&daemon, purged), 1);
        assert_eq!(lines(&daemon, &cancelled), 1);
        assert_eq!(lines(&daemon, "777001"), 0, "no daemon ran");
        daemon.stop();
    }
}
