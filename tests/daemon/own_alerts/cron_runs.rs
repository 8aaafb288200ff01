//! Failed cron runs, and the good ones that resolve them.

use super::*;
use crate::wait::now_s;

/// The program of the world's cron runs from now on: one that ends with this code, or the ledger.
fn runs_end_with(world: &World, code: u8) {
    let text = match code {
        0 => format!(
            "#!/bin/sh\nexec {} \"$@\"\n",
            crate::world::ledger_program().display()
        ),
        code => format!("#!/bin/sh\nexit {code}\n"),
    };
    // A whole file takes the place of the other one.
    let (new, path) = (world.path("runs.new"), world.path("runs"));
    std::fs::write(&new, text).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&new, mode).unwrap();
    std::fs::rename(&new, &path).unwrap();
}

/// A world with an entry that runs each second.
fn with_runs(receiver: &Receiver) -> World {
    let world = World::new(json!({
        "cron_command": "./runs", "alert": receiver.settings(json!({})),
    }));
    let entry = json!({ "cron": "* * * * * *", "name": "report", "exec_cmd": "noop", "status": 1 });
    world.partition("script1", &json!([]), &json!([entry]));
    world
}

#[test]
fn a_failed_run_is_resolved_by_the_next_good_one() {
    let receiver = Receiver::start();
    let world = with_runs(&receiver);
    runs_end_with(&world, 3);
    let daemon = world.start();
    let firing = receiver.wait("firing", "cron_runs");
    assert_eq!(firing.subject, "report");
    assert!(firing.details[0].contains("exit status 3"), "{firing:?}");
    runs_end_with(&world, 0);
    let resolved = receiver.wait("resolved", "cron_runs");
    assert_eq!(resolved.summary, firing.summary);
    daemon.stop();
}

#[test]
fn a_failed_run_of_an_earlier_daemon_is_repeated_once_and_resolved_by_a_good_one() {
    let receiver = Receiver::start();
    let world = with_runs(&receiver);
    runs_end_with(&world, 3);
    let first = world.start();
    let firing = receiver.wait("firing", "cron_runs");
    first.kill();
    runs_end_with(&world, 0);
    let second = world.start();
    let resolved = receiver.wait("resolved", "cron_runs");
    assert_eq!(resolved.summary, firing.summary);
    second.stop();
    let mut all = receiver.alerts();
    all.retain(|alert| alert.rule == "cron_runs");
    let kinds: Vec<&str> = all.iter().map(|alert| alert.kind.as_str()).collect();
    let times = |kind| kinds.iter().filter(|one| **one == kind).count();
    assert_eq!((times("firing"), times("repeated")), (1, 1), "{all:?}");
    assert_eq!(kinds.last(), Some(&"resolved"), "{all:?}");
}

#[test]
fn a_failed_run_right_before_a_stop_is_reported_by_the_stop() {
    let receiver = Receiver::start();
    let world = with_runs(&receiver);
    runs_end_with(&world, 3);
    let daemon = world.start();
    let mut database = world.database();
    // No poll comes between the run and the stop, unless by chance.
    wait_until("a failed run", PATIENCE, || {
        database.number("SELECT count(*) FROM cron_run WHERE status = 'failed'") >= 1
    });
    daemon.stop();
    let firing = receiver.wait("firing", "cron_runs");
    assert_eq!(firing.subject, "report");
}

#[test]
fn a_failed_run_is_resolved_by_a_good_one_of_another_daemon() {
    let receiver = Receiver::start();
    let world = World::new(json!({ "alert": receiver.settings(json!({})) }));
    // This daemon makes no run of its own: not within a year.
    let entry = json!({ "cron": "0 0 0 29 2 *", "name": "report", "exec_cmd": "noop", "status": 1, "timezone": "UTC" });
    world.partition("script1", &json!([]), &json!([entry]));
    world.start().stop();
    let mut database = world.database();
    // What other daemons would leave. The clock of the second one is an hour behind.
    let now_ms = now_s() * 1000;
    let mut run = |second: i64, status: &str| {
        let scheduled_ms = now_ms + second * 1000;
        database.execute(&format!(
            "INSERT INTO cron_run (partition_name, entry, scheduled_ms, uk, name, owner, machine, state, status, started_ms, ended_ms)
             SELECT partition_name, entry, {scheduled_ms}, 'other{second}', name, 'script1/other', 'm', 3, '{status}', {now_ms}, {}
             FROM cron_entry",
            now_ms - (second - 1) * 3_600_000
        ));
    };
    run(1, "failed");
    let daemon = world.start();
    let repeated = receiver.wait("repeated", "cron_runs");
    assert!(
        repeated.details[0].contains("failed, before this daemon started"),
        "{repeated:?}"
    );
    run(2, "success");
    let resolved = receiver.wait("resolved", "cron_runs");
    assert_eq!(resolved.summary, repeated.summary);
    daemon.stop();
}
