//! The first lines of the log.

use std::time::Duration;

use crate::world::{Running, World};

const PATIENCE: Duration = Duration::from_secs(30);
const QUEUES: &str = r#"[{"name": "demo", "exec_cmd": "demo_greet", "table": "demo", "progress": 2, "max_progress": 10,
    "progress_lag_limit": 5000, "progress_avg_msgcount": 1000, "status": 1}]"#;
const CRON: &str = r#"[{"cron": "0 0 3 1 1 *", "name": "yearly", "exec_cmd": "crontab_track", "status": 1},
    {"cron": "0 0 4 * * *", "name": "kafka测试", "exec_cmd": "crontab_track", "status": 4}]"#;

#[test]
fn the_start_says_what_this_is_and_names_files_that_are_not_read() {
    let world = World::with_etc("{}", QUEUES, CRON);
    world.write("queue_script2.json", "[]");
    world.write("crontab_script1.json", "[]");
    let mut daemon = Running::start(&mut world.command(&[]), PATIENCE);
    let said = daemon.wait_for("ready in").join("\n");
    for part in [
        "starts: environment dev, partition script1, boot ",
        "configuration in etc; tables in sqlite://data/simplest_script.db; data in data; logs in logs/script1-*.log",
        "2 of 3 entries are live",
        "live: queue `demo`, table `demo`, `demo_greet`, 2 to 10 consumers",
        "live: cron `yearly`, `0 0 3 1 1 *`",
        "`kafka测试`: status 4 is release; this is dev",
        "`queue_script2.json` lies in the working directory, where the Go project reads it: move it to `etc/`",
        "`crontab_script1.json` in the working directory, where the Go project reads it, is not read",
    ] {
        assert!(said.contains(part), "{part}:\n{said}");
    }
    assert!(!said.contains("another daemon of partition"), "{said}");
    assert_eq!(daemon.terminate(), Some(0));
}

#[test]
fn a_second_daemon_of_the_partition_is_mentioned_and_one_of_another_is_not() {
    let world = World::with_etc("{}", "[]", "[]");
    world.write("etc/queue_script2.json", "[]");
    world.write("etc/crontab_script2.json", "[]");
    let mut first = Running::start(&mut world.command(&[]), PATIENCE);
    first.wait_for("ready in");
    let mut other = Running::start(&mut world.command(&["--partition", "script2"]), PATIENCE);
    assert!(
        !other
            .wait_for("ready in")
            .join("\n")
            .contains("another daemon of partition")
    );
    let mut second = Running::start(&mut world.command(&[]), PATIENCE);
    let said = second.wait_for("ready in").join("\n");
    assert!(
        said.contains("another daemon of partition script1 uses this database"),
        "{said}"
    );
    assert_eq!(
        said.matches("another daemon of partition").count(),
        1,
        "{said}"
    );
    for daemon in [second, other, first] {
        assert_eq!(daemon.terminate(), Some(0));
    }
    let mut again = Running::start(&mut world.command(&[]), PATIENCE);
    assert!(
        !again
            .wait_for("ready in")
            .join("\n")
            .contains("another daemon of partition")
    );
    assert_eq!(again.terminate(), Some(0));
}
