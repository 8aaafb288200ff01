//! `reload_on_change`.

use super::*;

fn watched(is_watched: bool) -> (World, Daemon) {
    let mut all = settings();
    all["reload_on_change"] = json!(is_watched);
    let world = World::new(all);
    world.partition(
        "script1",
        &json!([queue("work", 1)]),
        &json!([second("beat")]),
    );
    let daemon = world.start();
    (world, daemon)
}

#[test]
fn a_changed_file_is_not_read_by_itself() {
    let (world, daemon) = watched(false);
    world.partition(
        "script1",
        &json!([queue("work", 2)]),
        &json!([second("beat")]),
    );
    // Longer than two scans would take.
    wait_seconds(&daemon, 5);
    assert!(!daemon.log().contains("reloaded"), "{}", daemon.log());
    assert_eq!(shown(&world, "work")["progress"], 1);
    daemon.stop();
}

#[test]
fn with_reload_on_change_a_changed_file_is_read_once_it_is_whole() {
    let (world, mut daemon) = watched(true);
    let crontab = json!([second("beat")]);
    world.partition(
        "script1",
        &json!([queue("work", 2), queue("came", 1)]),
        &crontab,
    );
    daemon.wait_log("(the files have changed): came: queue `came`; changed: queue `work`");
    // By one that writes slowly: each part of it lies there for as long as it takes to be scanned.
    let whole = json!([queue("work", 3), queue("came", 1), queue("later", 1)]).to_string();
    for part in 1..4 {
        world.etc_text("queue_script1.json", &whole[..whole.len() * part / 4]);
        wait_seconds(&daemon, 2);
    }
    assert!(
        !daemon.log().contains("went:"),
        "half a file is none: {}",
        daemon.log()
    );
    world.etc_text("queue_script1.json", &whole);
    daemon.wait_log("(the files have changed): came: queue `later`");
    // A faulty one is logged once, and mended by the next change.
    world.etc_text("crontab_script1.json", "[{}]");
    daemon.wait_log("etc/crontab_script1.json:1:2");
    let faults = |daemon: &Daemon| {
        daemon
            .log()
            .matches("etc/crontab_script1.json:1:2: `[0]`: no `cron`")
            .count()
    };
    let before = faults(&daemon);
    wait_seconds(&daemon, 5);
    assert_eq!(faults(&daemon), before);
    world.partition(
        "script1",
        &json!([queue("work", 3)]),
        &json!([second("beat"), second("new")]),
    );
    daemon.wait_log("came: cron `new`");
    wait_until("it to fire", PATIENCE, || {
        !seconds(&world, "new").is_empty()
    });
    // It can be switched off alive.
    set(&world, "reload_on_change", json!(false));
    daemon.wait_log("(the files have changed): no entry has changed");
    world.partition("script1", &json!([]), &json!([second("beat")]));
    wait_seconds(&daemon, 5);
    assert_eq!(shown(&world, "work")["progress"], 3);
    daemon.stop();
}
