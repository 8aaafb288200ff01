//! Runs that people order, the ends of runs that they order, and what they see of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::database::Database;
use crate::engine::{Engine, on_each_database};
use crate::process::Daemon;
use crate::wait::{LONG_PATIENCE, PATIENCE, random_moment, wait_until};
use crate::world::World;

on_each_database! { world =>
    an_ordered_run_is_made_once_by_two_daemons,
    an_order_that_no_daemon_saw_is_done_by_the_next_one,
    an_order_that_is_too_old_expires_and_is_not_done,
    kills_between_the_claim_and_the_start_lose_no_order_and_double_none,
    an_ordered_run_is_no_fire_of_its_entry,
    overlap_holds_for_runs_that_are_ordered,
    a_run_that_ignores_sigterm_is_ended_with_its_group,
    the_end_of_a_run_is_finished_by_the_next_daemon,
}

/// Never fires in a test.
const YEARLY: &str = "0 0 0 1 1 *";

fn world(engine: Engine) -> Option<World> {
    let world = World::on(engine, json!({ "heartbeat_interval": "300ms" }))?;
    crontab(&world, &[entry("report", json!({}))]);
    Some(world)
}

fn entry(name: &str, special: Value) -> Value {
    let mut entry = json!({
        "cron": YEARLY, "name": name, "exec_cmd": "ledger", "params": "its own", "status": 1, "is_log": 1,
    });
    let special = special.as_object().unwrap().clone();
    entry.as_object_mut().unwrap().extend(special);
    entry
}

fn crontab(world: &World, entries: &[Value]) {
    world.partition("script1", &json!([]), &json!(entries));
}

/// The key of the run that was ordered.
#[track_caller]
fn order(world: &World, args: &[&str]) -> String {
    let said = world.output(&[&["cron", "run"], args].concat());
    let (_, key) = said
        .lines()
        .next()
        .unwrap()
        .rsplit_once("is ordered to run now: run ")
        .unwrap();
    key.to_owned()
}

/// Runs that have ended.
fn ended(database: &mut Database) -> i64 {
    database.number("SELECT count(*) AS n FROM cron_run WHERE state = 3")
}

/// `status result` of a run.
fn end_of(database: &mut Database, uk: &str) -> Vec<String> {
    database.texts(&format!(
        "SELECT concat(status, ' ', result) AS t FROM crontab_log WHERE uk = '{uk}' AND status <> 'running'"
    ))
}

#[track_caller]
fn wait_end(database: &mut Database, uk: &str) -> String {
    wait_until("the run to end", PATIENCE, || {
        !end_of(database, uk).is_empty()
    });
    end_of(database, uk).remove(0)
}

/// What was written down of orders with that result.
fn audited(database: &mut Database, result: &str) -> i64 {
    database.number(&format!(
        "SELECT count(*) AS n FROM audit WHERE result LIKE '{result}' AND ordered_by LIKE '%@%'"
    ))
}

fn listed(world: &World, args: &[&str]) -> Vec<Value> {
    let text = world.output(&[&["cron", "runs", "--json"], args].concat());
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

fn an_ordered_run_is_made_once_by_two_daemons(world: World) {
    const ORDERS: usize = 12;
    let daemons = [world.start(), world.start()];
    let mut keys = vec![order(&world, &["report"])];
    for number in 1..ORDERS {
        keys.push(order(&world, &["report", "order", &number.to_string()]));
    }
    let mut database = world.database();
    wait_until("all ordered runs to end", LONG_PATIENCE, || {
        ended(&mut database) >= i64::try_from(ORDERS).unwrap()
    });
    let mut lines = 0;
    for daemon in daemons {
        lines += daemon.log().matches("is made now, by order of ").count();
        daemon.stop();
    }
    assert_eq!(
        lines, ORDERS,
        "one line for each, of the daemon that made it"
    );
    world.wait_empty();
    let ledger = world.ledger();
    assert_eq!(ledger.lines.len(), ORDERS);
    assert_eq!(ledger.of_body("its own").len(), 1);
    for number in 1..ORDERS {
        assert_eq!(ledger.of_body(&format!("order {number}")).len(), 1);
    }
    for key in &keys {
        assert!(wait_end(&mut database, key).starts_with("success"), "{key}");
        assert_eq!(audited(&mut database, &format!("run {key}")), 1, "{key}");
    }
    let runs = listed(&world, &["report"]);
    assert_eq!(runs.len(), ORDERS);
    for run in &runs {
        assert!(run["ordered_by"].as_str().unwrap().contains('@'), "{run}");
        assert_eq!(run["status"], "success", "{run}");
        assert!(run["duration_ms"].as_i64().is_some(), "{run}");
    }
    // By their moments: of two orders of one second each daemon may have made the later one first.
    let moments = runs.iter().map(|run| run["scheduled_ms"].as_i64().unwrap());
    assert!(
        moments.is_sorted_by(|newer, older| newer >= older),
        "{runs:?}"
    );
    assert_eq!(listed(&world, &["--limit", "3"]).len(), 3);
}

fn an_order_that_no_daemon_saw_is_done_by_the_next_one(world: World) {
    let said = world.output(&["cron", "run", "report", "--", "-x", "y"]);
    assert!(
        said.contains("no daemon of partition script1 is alive"),
        "{said}"
    );
    // One that is paused is run all the same: it was asked for by its name.
    world.output(&["cron", "pause", "report"]);
    let said = world.output(&["cron", "run", "report"]);
    assert!(said.contains("it is paused since "), "{said}");
    let taken_back = order(&world, &["report", "never"]);
    let said = world.output(&["cron", "end", &taken_back]);
    assert!(said.contains("is taken back"), "{said}");
    let runs = listed(&world, &[]);
    let states: Vec<&str> = runs
        .iter()
        .map(|run| run["status"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["not run", "ordered", "ordered"]);

    let daemon = world.start();
    let mut database = world.database();
    wait_until("both runs to end", PATIENCE, || ended(&mut database) == 2);
    daemon.stop();
    let ledger = world.ledger();
    assert_eq!(ledger.of_body("-x y").len(), 1);
    assert_eq!(ledger.of_body("its own").len(), 1);
    assert_eq!(ledger.lines.len(), 2, "what was taken back is not made");
    assert_eq!(audited(&mut database, "taken back by order of %"), 1);
    assert_eq!(audited(&mut database, "ordered"), 3);
}

fn an_order_that_is_too_old_expires_and_is_not_done(world: World) {
    order(&world, &["report", "too late"]);
    let mut database = world.database();
    database.execute("UPDATE daemon_order SET ordered_ms = ordered_ms - 3700000");
    let mut daemon = world.start();
    daemon.wait_log("expired: no daemon carried it out within 60 minutes");
    let marker = order(&world, &["report", "marker"]);
    wait_end(&mut database, &marker);
    daemon.stop();
    assert_eq!(world.ledger().lines.len(), 1, "only the marker ran");
    assert_eq!(audited(&mut database, "expired: %"), 1);
    let runs = listed(&world, &["report"]);
    assert_eq!(runs[1]["status"], "not run");
    assert!(runs[1]["why"].as_str().unwrap().starts_with("expired: "));
}

fn kills_between_the_claim_and_the_start_lose_no_order_and_double_none(world: World) {
    const KILLS: usize = 12;
    let mut database = world.migrate();
    let mut keys = Vec::new();
    for kill in 0..KILLS {
        let daemon = world.start();
        let claimed = "SELECT count(*) AS n FROM cron_run";
        let before = database.number(claimed);
        let key = order(&world, &["report", "order", &kill.to_string()]);
        wait_until("the order to be claimed", PATIENCE, || {
            let polls_without_a_pause = 1000;
            (0..polls_without_a_pause).any(|_| database.number(claimed) > before)
        });
        random_moment(Duration::from_millis([0, 2, 10, 50][kill % 4]));
        daemon.kill();
        keys.push(key);
    }
    let last = world.start();
    let left = "SELECT (SELECT count(*) FROM daemon_order WHERE state <> 3)
        + (SELECT count(*) FROM cron_run WHERE state <> 3) AS n";
    wait_until("all orders to be done", LONG_PATIENCE, || {
        database.number(left) == 0
    });
    last.stop();
    world.wait_empty();
    let ledger = world.ledger();
    for (number, key) in keys.iter().enumerate() {
        let end = wait_end(&mut database, key);
        assert!(end.starts_with("success"), "{key}: {end}");
        let body = format!("order {number}");
        assert_eq!(ledger.of_body(&body).len(), 1, "{body}");
        assert_eq!(audited(&mut database, &format!("run {key}")), 1);
    }
    assert_eq!(ledger.lines.len(), KILLS);
    let again = world
        .all_logs()
        .matches("is made now, it had been claimed and not started")
        .count();
    println!("{KILLS} kills: {again} runs claimed and not begun, and made by the next daemon");
}

/// What an entry's last fire was is asked for `misfire` and `@every`.
fn an_ordered_run_is_no_fire_of_its_entry(world: World) {
    let every_two_years = entry("report", json!({ "cron": YEARLY, "misfire": "coalesce" }));
    crontab(&world, &[every_two_years]);
    let daemon = world.start();
    let mut database = world.database();
    let key = order(&world, &["report", "ordered"]);
    wait_end(&mut database, &key);
    daemon.stop();
    // As if it had been down for two years, but for the run that was ordered a moment ago.
    let years_ms: i64 = 2 * 366 * 24 * 3600 * 1000;
    database.execute(&format!(
        "UPDATE cron_entry SET live_since_ms = live_since_ms - {years_ms}, last_fire_ms = NULL"
    ));
    let mut daemon = world.start();
    daemon.wait_log("is made up for now");
    wait_until("the missed fire to be made", PATIENCE, || {
        ended(&mut database) == 2
    });
    daemon.stop();
    assert_eq!(world.ledger().of_body("its own").len(), 1);
    let runs = listed(&world, &["report"]);
    let by_order: Vec<bool> = runs
        .iter()
        .map(|run| run["ordered_by"].is_string())
        .collect();
    assert_eq!(by_order, [true, false]);
}

fn overlap_holds_for_runs_that_are_ordered(world: World) {
    let forbid = entry("forbid", json!({ "overlap": "forbid", "params": "hang:f" }));
    let replace = entry(
        "replace",
        json!({ "overlap": "replace", "params": "hang:r" }),
    );
    crontab(&world, &[forbid, replace]);
    let mut daemon = world.start();
    let mut database = world.database();
    let firsts = ["forbid", "replace"].map(|name| order(&world, &[name]));
    wait_until("both to run", PATIENCE, || world.ledger_len() == 2);
    let skipped = order(&world, &["forbid", "second"]);
    assert!(wait_end(&mut database, &skipped).starts_with("skipped"));
    daemon.wait_log("ordered is skipped, an earlier run still runs");
    assert_eq!(
        audited(&mut database, &format!("run {skipped} is skipped%")),
        1
    );
    let second = order(&world, &["replace", "second"]);
    assert!(wait_end(&mut database, &second).starts_with("success"));
    let end = wait_end(&mut database, &firsts[1]);
    assert!(
        end.starts_with("killed") && end.contains("make room"),
        "{end}"
    );
    let said = world.output(&["cron", "end", &firsts[0]]);
    assert!(said.contains("is ordered to end"), "{said}");
    let end = wait_end(&mut database, &firsts[0]);
    assert!(
        end.starts_with("killed") && end.contains("ended by order of "),
        "{end}"
    );
    daemon.stop();
    world.wait_empty();
    let again = world.run(&["cron", "end", &firsts[0]]);
    assert_eq!(again.status.code(), Some(1), "it has ended");
    assert!(stderr(&again).contains("has ended already: killed"));
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A world whose runs ignore SIGTERM, and so do their children.
fn stubborn(world: &World) {
    let script =
        "#!/bin/sh\ntrap '' TERM\nsleep 1000 &\necho \"it runs\"\nwhile :; do sleep 1; done\n";
    let path = world.path("stubborn");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let mut settings: Value =
        serde_json::from_slice(&fs::read(world.path("etc/dev.json")).unwrap()).unwrap();
    settings["cron_command"] = json!("./stubborn");
    world.etc("dev.json", &settings);
}

/// An ordered run of such a program, which has its child.
#[track_caller]
fn running(world: &World, database: &mut Database) -> String {
    let key = order(world, &["report"]);
    let pid = format!("SELECT count(*) AS n FROM cron_run WHERE uk = '{key}' AND pid > 0");
    wait_until("the run to go on", PATIENCE, || {
        // The daemon, the script, `sleep 1000`.
        database.number(&pid) == 1 && world.processes().len() >= 3
    });
    key
}

fn a_run_that_ignores_sigterm_is_ended_with_its_group(world: World) {
    stubborn(&world);
    let mut daemon = world.start();
    let mut database = world.database();
    let key = running(&world, &mut database);
    world.output(&["cron", "end", &key]);
    daemon.wait_log("is ended, by order of ");
    let end = wait_end(&mut database, &key);
    assert!(
        end.starts_with("killed") && end.contains("ended by order of "),
        "{end}"
    );
    wait_until("the group to be gone", PATIENCE, || {
        world.processes() == [daemon.pid()]
    });
    wait_until("the order to end", PATIENCE, || {
        audited(&mut database, "it has ended: killed") == 1
    });
    let runs = listed(&world, &["report"]);
    assert!(runs[0]["end_ordered_by"].as_str().unwrap().contains('@'));
    let errors = daemon.log().matches(" ERROR ").count();
    assert_eq!(errors, 0, "it was asked for: {}", daemon.log());
    daemon.stop();
}

fn the_end_of_a_run_is_finished_by_the_next_daemon(world: World) {
    stubborn(&world);
    let mut daemon = world.start();
    let mut database = world.database();
    let key = running(&world, &mut database);
    world.output(&["cron", "end", &key]);
    daemon.wait_log("is ended, by order of ");
    // It has been sent SIGTERM, or is about to be; SIGKILL comes ten seconds later.
    daemon.kill();
    let next = world.start();
    let end = wait_end(&mut database, &key);
    assert!(
        end.starts_with("killed") && end.contains("ended by order of "),
        "{end}"
    );
    wait_until("the order to end", PATIENCE, || {
        audited(&mut database, "it has ended: killed") == 1
    });
    next.stop();
    world.wait_empty();
}

#[test]
fn orders_about_runs_that_nobody_knows_change_nothing_and_say_what_was_meant() {
    let world = World::new(json!({}));
    let release = entry("at release", json!({ "status": 4 }));
    crontab(&world, &[entry("report", json!({})), release]);
    world.migrate();
    for (args, parts) in [
        (
            &["cron", "run", "reprot"][..],
            &["no cron entry `reprot`", "did you mean `report`?"][..],
        ),
        (
            &["cron", "runs", "reprot"],
            &["no cron entry `reprot`", "did you mean `report`?"],
        ),
        (
            &["cron", "run", "at release"],
            &[
                "not live here",
                "status 4 is release; this is dev",
                "exec ledger",
            ],
        ),
        (&["cron", "end", "3f0e4c0e"], &["no cron run `3f0e4c0e`"]),
        (&["cron", "logs", "reprot"], &["did you mean `report`?"]),
    ] {
        let output = world.run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let said = stderr(&output);
        for part in parts {
            assert!(said.contains(part), "{args:?}: {said}");
        }
    }
    let output = world.run(&["cron", "logs", "report"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("has not run yet"));
    let long = "x".repeat(501);
    let output = world.run(&["cron", "run", "report", &long]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("500 at most"));
    let mut database = world.database();
    assert_eq!(database.number("SELECT count(*) AS n FROM daemon_order"), 0);
    assert_eq!(database.number("SELECT count(*) AS n FROM audit"), 0);
    assert_eq!(world.output(&["cron", "runs"]), "no runs\n");
}

#[test]
fn the_output_of_a_run_is_followed_to_its_end() {
    let world = World::new(json!({}));
    crontab(&world, &[entry("report", json!({}))]);
    let daemon: Daemon = world.start();
    let first = order(&world, &["report", "first"]);
    let mut database = world.database();
    wait_end(&mut database, &first);
    let key = order(&world, &["report", "hang:second"]);
    // From before it has begun, maybe.
    let following: Child = world
        .command(&["cron", "logs", &key, "-f"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("the run to hang", PATIENCE, || {
        world.ledger().of_body("hang:second").len() == 1
    });
    world.output(&["cron", "end", &key]);
    let followed = following.wait_with_output().unwrap();
    assert!(followed.status.success(), "{}", stderr(&followed));
    assert!(stderr(&followed).contains(&format!("run {key} has ended: killed")));
    let of_name = world.output(&["cron", "logs", "report"]);
    let result = "{\"data\":null,\"status\":0}\n";
    assert!(of_name.contains(result), "of the first run: {of_name}");
    assert_eq!(String::from_utf8_lossy(&followed.stdout), of_name);
    let last = world.output(&["cron", "logs", &first, "-f", "-n", "1"]);
    assert_eq!(last, of_name.lines().next_back().unwrap().to_owned() + "\n");
    daemon.stop();
}
