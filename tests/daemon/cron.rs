//! Cron runs: processes of their own, whose rows always end.

use std::fs;
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::database::Database;
use crate::engine::{Engine, on_each_database};
use crate::process::signal_pid;
use crate::wait::{PATIENCE, random_moment, wait_for, wait_until};
use crate::world::World;

pub fn entry(cron: &str, params: &str) -> Value {
    json!({ "cron": cron, "name": params, "exec_cmd": "ledger", "params": params, "status": 1, "is_log": 1 })
}

on_each_database! { world =>
    every_run_ends_in_its_row_as_it_went,
    params_arrive_as_they_are_and_the_logged_command_can_be_pasted,
    a_run_survives_the_daemon_and_the_next_one_ends_its_row,
    a_run_that_dies_before_the_next_daemon_is_lost,
    a_run_that_dies_while_the_next_daemon_watches_is_lost,
    a_run_of_an_earlier_daemon_that_is_replaced_ends_as_killed,
    a_run_that_ends_while_no_daemon_lives_writes_its_own_end,
}

fn world(engine: Engine) -> Option<World> {
    World::on(engine, json!({ "heartbeat_interval": "300ms" }))
}

fn crontab(world: &World, crontab: &[Value]) {
    world.partition("script1", &json!([]), &json!(crontab));
}

/// The runs of an entry that ended, as `status result`.
fn ends(database: &mut Database, params: &str) -> Vec<String> {
    database.texts(&format!(
        "SELECT concat(status, ' ', result) AS t FROM crontab_log
         WHERE params = '{params}' AND status NOT IN ('running', 'skipped') ORDER BY id"
    ))
}

/// The seconds that were fired, one row each, in their order.
pub fn seconds_fired(database: &mut Database) -> Vec<i64> {
    let rows = database.numbers("SELECT scheduled_ms AS n FROM cron_run ORDER BY scheduled_ms");
    rows.into_iter().map(|ms| ms / 1000).collect()
}

#[track_caller]
pub fn no_run_is_left_open(database: &mut Database) {
    let open = "SELECT (SELECT count(*) FROM crontab_log WHERE status = 'running' OR end_time < start_time)
        + (SELECT count(*) FROM cron_run WHERE state <> 3) AS n";
    assert_eq!(database.number(open), 0);
}

fn every_run_ends_in_its_row_as_it_went(world: World) {
    const SECONDS: usize = 11;
    let bodies = ["plain", "fail:x", "panic:x", "abort:x", "hang:x"];
    let entries = bodies.map(|body| match body {
        "plain" => entry("* * * * * *", body),
        _ => entry("*/3 * * * * *", body),
    });
    crontab(&world, &entries);
    let daemon = world.start();
    let mut database = world.database();
    let hanging = "SELECT pid AS n FROM crontab_log WHERE params = 'hang:x' AND status = 'running' AND pid <> 0";
    wait_until("enough fires", PATIENCE, || {
        for pid in database.numbers(hanging) {
            let pid = u32::try_from(pid).unwrap();
            // It reports that it hangs; from then on the kill is the only way for it to end.
            let hangs = |world: &World| {
                world
                    .ledger()
                    .of_body("hang:x")
                    .iter()
                    .any(|l| l.pid == pid)
            };
            wait_until("the run to hang", PATIENCE, || hangs(&world));
            signal_pid(pid, Signal::KILL);
            let running = format!("{hanging} AND pid = {pid}");
            wait_until("its row to end", PATIENCE, || {
                database.numbers(&running).is_empty()
            });
        }
        world.ledger().of_body("plain").len() > SECONDS
    });
    wait_until("the last runs to end", PATIENCE, || {
        let last = database.numbers(hanging);
        last.into_iter()
            .for_each(|pid| signal_pid(u32::try_from(pid).unwrap(), Signal::KILL));
        database.number("SELECT count(*) AS n FROM crontab_log WHERE status = 'running'") == 0
    });
    daemon.stop();
    world.wait_empty();
    no_run_is_left_open(&mut database);

    let expected = [
        ("plain", "success", "\"status\":0"),
        ("fail:x", "failed", "the body says fail"),
        ("panic:x", "failed", "the body says panic"),
        ("abort:x", "killed", "killed by signal 6"),
        ("hang:x", "killed", "killed by signal 9"),
    ];
    for (body, status, result) in expected {
        let ends = ends(&mut database, body);
        assert!(ends.len() >= 3, "{body}: {ends:?}");
        for end in ends {
            assert!(
                end.starts_with(status) && end.contains(result),
                "{body}: {end}"
            );
        }
    }
    let ledger = world.ledger();
    let mut late_us: Vec<i64> = ledger
        .of_body("plain")
        .iter()
        .map(|l| l.late_us.unwrap())
        .collect();
    late_us.sort_unstable();
    println!(
        "{} runs each second: the handler's first line after p50 {:.1} ms, max {:.1} ms",
        late_us.len(),
        median_ms(&late_us),
        ms(late_us[late_us.len() - 1])
    );
    assert!(ledger.doubled().is_empty());
}

fn median_ms(sorted: &[i64]) -> f64 {
    ms(sorted[sorted.len() / 2])
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn ms(us: i64) -> f64 {
    us as f64 / 1000.0
}

fn params_arrive_as_they_are_and_the_logged_command_can_be_pasted(world: World) {
    let all = [
        r#"{"name":"测试 it's"}"#,
        "-x",
        "-f",
        "-mode",
        "--uk",
        "--help",
        "--env=release",
        "--",
        "  two  spaces ",
        "a\tb\nc",
        r#"$HOME `id` $(id) \ "q" 'q' * ? ~ # ! & ; | < >"#,
        "",
        "😀 é",
        "exec",
    ];
    let name = |number: usize| format!("entry {number}");
    let mut entries = all.map(|params| entry("*/3 * * * * *", params));
    for (number, entry) in entries.iter_mut().enumerate() {
        entry["name"] = json!(name(number));
    }
    crontab(&world, &entries);
    let daemon = world.start();
    let fired = |number: usize| format!("cron `{}` fired, pid ", name(number));
    // A run may be over before the daemon has written that it began.
    let complete = || {
        let (ledger, log) = (world.ledger(), daemon.log());
        let mut each = all.iter().enumerate();
        each.all(|(number, params)| {
            !ledger.of_body(params).is_empty() && log.contains(&fired(number))
        })
    };
    wait_until("every entry to run", PATIENCE, complete);
    let log = daemon.log();
    daemon.stop();
    world.wait_empty();
    let ledger = world.ledger();
    let strange = ledger
        .lines
        .iter()
        .find(|line| !all.contains(&line.body.as_str()));
    assert!(strange.is_none(), "{strange:?}");
    for (number, params) in all.iter().enumerate() {
        assert_eq!(ledger.of_body(params)[0].name, name(number));
    }
    let mut database = world.database();
    let stored = database.texts("SELECT DISTINCT params AS t FROM crontab_log");
    assert!(
        all.iter()
            .all(|params| stored.contains(&(*params).to_owned())),
        "{stored:?}"
    );
    let failed = "SELECT count(*) AS n FROM crontab_log WHERE status <> 'success'";
    assert_eq!(database.number(failed), 0);

    // As a person would run it once more: copied from the log, after `pid N: `.
    // The log shows a line break as `\n`, to keep its lines whole: such params cannot be pasted.
    for (number, params) in all
        .iter()
        .enumerate()
        .filter(|(_, params)| !params.contains('\n'))
    {
        let fired = fired(number);
        let line = log.lines().find(|line| line.contains(&fired)).unwrap();
        let (_, command) = line.split_once(&fired).unwrap().1.split_once(": ").unwrap();
        let mut shell = Command::new("sh");
        let shell = shell.arg("-c").arg(command).current_dir(world.path(""));
        let before = world.ledger().of_body(params).len();
        let output = shell.env("LEDGER", world.path("ledger")).output().unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
        assert_eq!(
            world.ledger().of_body(params).len(),
            before + 1,
            "{command}"
        );
    }
}

/// An entry of which one run at a time runs, and that fires each second until one does.
fn long_run(params: &str) -> Value {
    let mut long = entry("* * * * * *", params);
    long["overlap"] = json!("forbid");
    long
}

/// The pid of the run that is under way, and has begun to run.
#[track_caller]
fn running(database: &mut Database, world: &World) -> u32 {
    let pid = "SELECT pid AS n FROM crontab_log WHERE status = 'running' AND pid <> 0";
    let pid = wait_for("a run to be under way", PATIENCE, || {
        database.numbers(pid).pop()
    });
    // Its file is locked from its first moment on.
    let begun = || {
        let files = fs::read_dir(world.path("data/runs")).unwrap();
        files
            .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap_or_default())
            .any(|text| text.contains(&format!("\"pid\":{pid},")))
    };
    wait_until("the run to have begun", PATIENCE, begun);
    u32::try_from(pid).unwrap()
}

fn a_run_survives_the_daemon_and_the_next_one_ends_its_row(world: World) {
    crontab(&world, &[long_run("sleep:4000:long")]);
    let daemon = world.start();
    let mut database = world.database();
    let pid = running(&mut database, &world);
    random_moment(Duration::from_millis(500));
    daemon.kill();
    assert_eq!(world.processes(), [pid], "it goes on alone");

    let mut next = world.start();
    next.wait_log(&format!(
        "(pid {pid}) of an earlier daemon goes on and is watched"
    ));
    wait_until("the row to end", PATIENCE, || {
        !ends(&mut database, "sleep:4000:long").is_empty()
    });
    let first = "SELECT pid AS n FROM crontab_log WHERE status = 'success'";
    assert_eq!(database.numbers(first)[0], i64::from(pid));
    next.stop();
    let ledger = world.ledger();
    assert_eq!(ledger.lines[0].pid, pid, "it ran to its end");
    assert!(ledger.doubled().is_empty());
}

/// A day is the patience with what cannot be identified, and no time limit.
#[test]
fn a_run_that_began_long_ago_is_watched_by_the_next_daemon() {
    let day_ms = 90_000_000;
    let world = world(Engine::Sqlite).unwrap();
    crontab(&world, &[long_run("sleep:6000:long")]);
    let daemon = world.start();
    let mut database = world.database();
    let pid = running(&mut database, &world);
    daemon.kill();
    database.execute(&format!(
        "UPDATE cron_run SET started_ms = started_ms - {day_ms}"
    ));
    // In its place: the run holds this very file locked.
    let mut run_files = fs::read_dir(world.path("data/runs")).unwrap();
    let run_file = run_files.next().unwrap().unwrap().path();
    let text = fs::read_to_string(&run_file).unwrap();
    let (before, after) = text.split_once("\"started_ms\":").unwrap();
    let (began, after) = after.split_at(13);
    let began: i64 = began.parse().unwrap();
    let file = fs::OpenOptions::new().write(true).open(&run_file).unwrap();
    let text = format!("{before}\"started_ms\":{}{after}", began - day_ms);
    file.write_all_at(text.as_bytes(), 0).unwrap();

    let mut next = world.start();
    next.wait_log(&format!(
        "(pid {pid}) of an earlier daemon goes on and is watched"
    ));
    wait_until("the row to end", PATIENCE, || {
        !ends(&mut database, "sleep:6000:long").is_empty()
    });
    let first = ends(&mut database, "sleep:6000:long").remove(0);
    assert!(first.starts_with("success"), "{first}");
    next.stop();
    assert!(world.ledger().doubled().is_empty());
}

fn a_run_that_dies_before_the_next_daemon_is_lost(world: World) {
    let (pid, mut database) = left_by_its_daemon(&world);
    signal_pid(pid, Signal::KILL);
    world.wait_empty();
    let next = world.start();
    assert_eq!(end_of(pid, &mut database), "lost");
    next.stop();
}

fn a_run_that_dies_while_the_next_daemon_watches_is_lost(world: World) {
    let (pid, mut database) = left_by_its_daemon(&world);
    let mut next = world.start();
    next.wait_log(&format!(
        "(pid {pid}) of an earlier daemon goes on and is watched"
    ));
    signal_pid(pid, Signal::KILL);
    assert_eq!(end_of(pid, &mut database), "lost");
    next.stop();
}

/// A run that goes on when its daemon was killed.
fn left_by_its_daemon(world: &World) -> (u32, Database) {
    crontab(world, &[long_run("sleep:30000:long")]);
    let daemon = world.start();
    let mut database = world.database();
    let pid = running(&mut database, world);
    daemon.kill();
    (pid, database)
}

#[track_caller]
fn end_of(pid: u32, database: &mut Database) -> String {
    let end =
        format!("SELECT status AS t FROM crontab_log WHERE pid = {pid} AND status <> 'running'");
    wait_for("the row to end", PATIENCE, || database.texts(&end).pop())
}

fn a_run_of_an_earlier_daemon_that_is_replaced_ends_as_killed(world: World) {
    let mut hanging = entry("* * * * * *", "hang:x");
    hanging["overlap"] = json!("replace");
    // The run that the first daemon leaves is replaced by the next one's first fire.
    crontab(&world, &[hanging]);
    let daemon = world.start();
    let mut database = world.database();
    running(&mut database, &world);
    daemon.kill();
    let left = "SELECT uk AS t FROM cron_run WHERE state = 2";
    let left = database.texts(left);
    let mut next = world.start();
    next.wait_log("of an earlier daemon goes on and is watched");
    next.wait_log("is ended");
    for uk in left {
        let end = format!(
            "SELECT concat(status, ' ', result) AS t FROM crontab_log WHERE uk = '{uk}' AND status <> 'running'"
        );
        let end = wait_for("its row to end", PATIENCE, || database.texts(&end).pop());
        assert!(
            end.starts_with("killed ") && end.contains("to make room"),
            "{end}"
        );
    }
    next.stop();
    for pid in world.processes() {
        signal_pid(pid, Signal::KILL);
    }
}

fn a_run_that_ends_while_no_daemon_lives_writes_its_own_end(world: World) {
    crontab(&world, &[long_run("sleep:1500:long")]);
    let daemon = world.start();
    let mut database = world.database();
    running(&mut database, &world);
    daemon.stop();
    world.wait_empty();
    assert_eq!(ends(&mut database, "sleep:1500:long").len(), 1);
    no_run_is_left_open(&mut database);
}
