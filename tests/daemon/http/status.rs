//! `status`: what the running daemons are doing, in words.

use serde_json::{Value, json};

use crate::wait::{PATIENCE, wait_for, wait_until};
use crate::world::World;

#[test]
fn without_a_daemon_it_says_so_and_fails() {
    let world = World::new(json!({}));
    let output = world.run(&["status"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("no daemon runs here"), "{text}");
    // One that was killed leaves its socket.
    let daemon = world.start();
    let socket = world.path("data/script1.sock");
    wait_until("the socket", PATIENCE, || socket.exists());
    daemon.kill();
    let output = world.run(&["status"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("script1.sock"), "{text}");
}

#[test]
fn what_is_wrong_comes_first() {
    let world = World::new(json!({}));
    let queues = json!([
        { "name": "slow", "exec_cmd": "ledger", "table": "slow", "progress": 1, "progress_lag_limit": 2,
          "progress_avg_msgcount": 1, "status": 1 },
        { "name": "fine", "exec_cmd": "noop", "table": "fine", "progress": 1, "progress_lag_limit": 2,
          "progress_avg_msgcount": 1, "status": 1, "max_attempts": 1 },
        { "name": "fails", "exec_cmd": "ledger", "table": "fails", "progress": 1, "progress_lag_limit": 2,
          "progress_avg_msgcount": 1, "status": 1, "max_attempts": 1 },
    ]);
    let cron = json!([{ "cron": "* * * * * *", "name": "broken", "exec_cmd": "ledger", "params": "fail:c",
                        "status": 1, "is_log": 1 }]);
    world.partition("script1", &queues, &cron);
    world.migrate();
    let bodies: Vec<String> = (0..5).map(|n| format!("hang:{n}")).collect();
    world.send("slow", &bodies);
    world.send("fails", &["fail:x".to_owned()]);
    let daemon = world.start();
    let parts = [
        "partition script1, pid",
        "queue slow: lag 5 is above 2 at full size, 1 of 1 consumers",
        "raise `max_progress`",
        "cron broken: the last run did not end well",
        "1 dead letters",
    ];
    let text = wait_for("all that is wrong", PATIENCE, || {
        let output = world.run(&["status"]);
        let text = String::from_utf8(output.stdout).unwrap();
        parts.iter().all(|part| text.contains(part)).then_some(text)
    });
    let place = |part: &str| {
        text.find(part)
            .unwrap_or_else(|| panic!("{part} in {text}"))
    };
    assert!(place("queue slow: lag") < place("\nqueues\n"), "{text}");
    assert!(place("\nqueues\n") < place("\ncron\n"), "{text}");
    assert!(text.contains("fine"), "{text}");

    let json: Value = serde_json::from_str(&world.output(&["status", "--json"])).unwrap();
    let daemons = json.as_array().unwrap();
    assert_eq!(daemons[0]["daemon"]["pid"], daemon.pid());
    assert_eq!(daemons[0]["queues"][0]["name"], "slow");
}

#[test]
fn all_daemons_of_the_directory_are_shown_with_a_broken_configuration_too() {
    let world = World::new(json!({}));
    world.partition("script2", &json!([]), &json!([]));
    let one = world.start();
    let two = world.start_as("script2");
    world.etc_text("queue_script1.json", "not json");
    wait_for("both daemons", PATIENCE, || {
        let text = String::from_utf8(world.run(&["status"]).stdout).unwrap();
        ["partition script1, pid", "partition script2, pid"]
            .iter()
            .all(|part| text.contains(part))
            .then_some(())
    });
    one.stop();
    two.stop();
}
