//! The database is away while fires are due.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use std::{env, fs};

use serde_json::{Value, json};

use crate::database::Database;
use crate::engine::{Engine, OwnServer, on_each_database};
use crate::ledger::Line;
use crate::wait::{PATIENCE, now_s, now_us, wait_until};
use crate::world::World;

/// (seconds away, grace in seconds). `CRON_OUTAGE=30 cargo test --test daemon cron_outage` is the long version.
fn outage() -> (u64, i64) {
    match env::var("CRON_OUTAGE") {
        Ok(seconds) => (seconds.parse().unwrap(), 10),
        Err(_) => (8, 3),
    }
}

on_each_database! { world =>
    fires_of_an_outage_are_late_within_the_grace_and_missed_beyond_it,
    what_was_missed_in_an_outage_is_made_up_for_as_misfire_says,
    fresh_fires_come_first_after_an_outage,
}

fn world(engine: Engine) -> Option<(World, OwnServer)> {
    let server = OwnServer::of(engine)?;
    let settings = json!({ "misfire_grace": outage().1 });
    Some((World::at(engine, server.database(), settings), server))
}

fn each_second(params: &str, misfire: Value) -> Value {
    json!({
        "cron": "* * * * * *", "name": params, "exec_cmd": "ledger", "params": params, "misfire": misfire,
        "status": 1, "is_log": 1,
    })
}

fn fires_of_an_outage_are_late_within_the_grace_and_missed_beyond_it(
    (world, server): (World, OwnServer),
) {
    let (away, grace) = outage();
    let crontab = json!([each_second("x", json!("skip"))]);
    world.partition("script1", &json!([]), &crontab);
    let daemon = world.start();
    wait_until("a run", PATIENCE, || world.ledger_len() > 0);
    let begun = now_s();
    server.hang(&world);
    // What passes here is the outage itself.
    thread::sleep(Duration::from_secs(away));
    let before = world.ledger_len();
    server.go_on();
    let over = now_s();
    wait_until("fires to go on", PATIENCE, || {
        let ledger = world.ledger();
        let on_time = |late: i64| late < 900_000;
        ledger.lines[before..]
            .iter()
            .filter(|line| on_time(line.late_us.unwrap()))
            .count()
            > 2
    });
    let log = daemon.log();
    daemon.stop();
    world.wait_empty();
    let mut database = world.database();
    let ledger = world.ledger();
    let mut made: Vec<i64> = ledger
        .lines
        .iter()
        .map(|line| (line.at_us - line.late_us.unwrap()) / 1_000_000)
        .collect();
    made.sort_unstable();
    let count = made.len();
    made.dedup();
    assert_eq!(made.len(), count, "nothing twice");
    let last = made[count - 1];
    let missed: Vec<i64> = (made[0]..last)
        .filter(|second| !made.contains(second))
        .collect();
    // A second more or less: the outage began and ended within one.
    assert!(!missed.is_empty(), "{made:?}");
    let (first_missed, last_missed) = (missed[0], missed[missed.len() - 1]);
    assert!(
        first_missed >= begun - 1,
        "{missed:?}, away from {begun} to {over}"
    );
    assert!(
        last_missed <= over - grace + 1,
        "{missed:?}, away from {begun} to {over}, grace {grace}"
    );
    let late = made
        .iter()
        .filter(|second| (over - grace + 1..over).contains(*second))
        .count();
    assert!(late > 0, "late within the grace: {made:?}, over at {over}");
    assert!(log.contains("was missed: the database did not take its row"));
    assert_eq!(
        not_made(&mut database, "x"),
        missed.len(),
        "a row says how many"
    );
    let strange = "SELECT concat(status, ' ', result) AS t FROM crontab_log
        WHERE status <> 'success' AND result NOT LIKE '%the database was away for longer than misfire_grace%'";
    assert_eq!(database.texts(strange), [""; 0]);
    let rows = "SELECT count(*) - count(DISTINCT scheduled_ms) AS n FROM cron_run";
    assert_eq!(database.number(rows), 0);
    println!(
        "away for {away} s, grace {grace} s: {count} fires made, {} missed, {late} late within the grace",
        missed.len()
    );
}

fn what_was_missed_in_an_outage_is_made_up_for_as_misfire_says(
    (world, server): (World, OwnServer),
) {
    let (away, _) = outage();
    let mut forbid = each_second("forbid", json!("skip"));
    forbid["overlap"] = json!("forbid");
    forbid["cron"] = json!("*/2 * * * * *");
    let crontab = json!([
        forbid,
        each_second("skip", json!("skip")),
        each_second("coalesce", json!("coalesce")),
        each_second("catch up", json!({ "catch_up": 2 })),
    ]);
    world.partition("script1", &json!([]), &crontab);
    let daemon = world.start();
    wait_until("a run", PATIENCE, || world.ledger_len() > 0);
    let mut database = world.database();
    // Its last run would rightly be in the way, as long as it cannot write its end.
    wait_until("a moment between two runs of `forbid`", PATIENCE, || {
        let open = "SELECT count(*) AS n FROM cron_run WHERE name = 'forbid' AND state <> 3";
        (1_200_000..1_800_000).contains(&(now_us() % 2_000_000)) && database.number(open) == 0
    });
    server.hang(&world);
    thread::sleep(Duration::from_secs(away));
    server.go_on();
    let on_time = |late: i64| late < 900_000;
    let after = world.ledger_len();
    wait_until("fires to go on", PATIENCE, || {
        let lines = &world.ledger().lines;
        lines[after.min(lines.len())..]
            .iter()
            .filter(|line| on_time(line.late_us.unwrap()))
            .count()
            > 8
    });
    let log = daemon.log();
    daemon.stop();
    world.wait_empty();
    let ledger = world.ledger();
    assert!(ledger.doubled().is_empty());
    let behind = "SELECT status AS t FROM cron_run WHERE name = 'forbid' AND scheduled_ms >
        (SELECT max(scheduled_ms) FROM cron_run WHERE name = 'forbid' AND status = 'failed')
        ORDER BY id";
    let behind = database.texts(behind);
    assert_eq!(
        behind[0], "success",
        "no missed fire held it up: {behind:?}"
    );
    for (params, most) in [("skip", 0), ("coalesce", 1), ("catch up", 2)] {
        let lines = |end: &str| {
            let of_entry = log
                .lines()
                .filter(|line| line.contains(&format!("cron `{params}`: the ")));
            of_entry.filter(|line| line.contains(end)).count()
        };
        assert!(
            lines("was missed: the database did not take its row") > 0,
            "{params}"
        );
        assert_eq!(lines("is made up for now"), most, "{params}");
        assert!(not_made(&mut database, params) > 0, "{params}");
        let made = format!(
            "SELECT count(*) AS n FROM crontab_log WHERE params = '{params}' AND status <> 'failed'"
        );
        let made = usize::try_from(database.number(&made)).unwrap();
        assert_eq!(ledger.of_body(params).len(), made, "{params}");
    }
}

/// How many fires the rows say that were not made: one row for all of an outage.
fn not_made(database: &mut Database, params: &str) -> usize {
    let rows = format!(
        "SELECT result AS t FROM crontab_log WHERE params = '{params}' AND status = 'failed'"
    );
    let count = |row: &String| {
        let row: Value = serde_json::from_str(row).unwrap();
        let (first, _) = row["data"].as_str().unwrap().split_once(' ').unwrap();
        first.parse().unwrap_or(1_usize)
    };
    database.texts(&rows).iter().map(count).sum()
}

/// `CRON_ENTRIES=60 CRON_OUTAGE=120` is the long version: in a release build, on a machine that starts 60 processes a second
/// besides.
fn fresh_fires_come_first_after_an_outage((world, server): (World, OwnServer)) {
    /// Three of these at once start more processes a second than two cores can.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    /// Seconds after the outage whose fires are checked.
    const AFTER_S: i64 = 8;
    /// All that waited took as long before. A machine that does much else is late without an outage too.
    const LATE_MS: i64 = 1500;
    const TIMES_THE_USUAL: i64 = 3;
    /// Fires of each entry before the outage, by which the usual is known.
    const BEFORE: usize = 4;
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let entries: usize = env::var("CRON_ENTRIES").map_or(12, |n| n.parse().unwrap());
    let away = outage().0;
    let names: Vec<String> = (0..entries).map(|n| format!("e{n}")).collect();
    let crontab: Vec<Value> = names
        .iter()
        .map(|name| each_second(name, json!("skip")))
        .collect();
    world.partition("script1", &json!([]), &json!(crontab));
    let daemon = world.start();
    wait_until("runs", PATIENCE, || world.ledger_len() >= entries * BEFORE);
    let usual = median_late_ms(world.ledger().lines.iter());
    let before = resident_kb(daemon.pid());
    server.hang(&world);
    thread::sleep(Duration::from_secs(away));
    let during = resident_kb(daemon.pid());
    server.go_on();
    let over = now_s();
    let of = |second: i64| move |line: &&Line| scheduled_s(line) == second;
    wait_until("fresh fires", PATIENCE, || {
        let lines = &world.ledger().lines;
        lines.iter().filter(of(over + AFTER_S)).count() == entries
    });
    daemon.stop();
    world.wait_empty();
    let ledger = world.ledger();
    assert!(ledger.doubled().is_empty());
    let fresh = ledger.lines.iter();
    let fresh = fresh.filter(|line| (over + 1..=over + AFTER_S).contains(&scheduled_s(line)));
    let mut late: Vec<i64> = fresh.map(|line| line.late_us.unwrap() / 1000).collect();
    late.sort_unstable();
    let late_ones = ledger.lines.iter();
    let late_ones =
        late_ones.filter(|line| scheduled_s(line) <= over && line.late_us > Some(1_000_000));
    println!(
        "{entries} entries, away for {away} s: fresh fires begin after p50 {} ms, p99 {} ms, max {} ms; {} late ones; {before} kB resident before, {during} kB during",
        late[late.len() / 2],
        late[(late.len() * 99).div_ceil(100) - 1],
        late[late.len() - 1],
        late_ones.count()
    );
    assert_eq!(
        late.len(),
        entries * usize::try_from(AFTER_S).unwrap(),
        "none is missed"
    );
    let most = LATE_MS.max(usual * TIMES_THE_USUAL);
    assert!(late[late.len() / 2] < most, "usual {usual} ms: {late:?}");
}

fn median_late_ms<'a>(lines: impl Iterator<Item = &'a Line>) -> i64 {
    let mut late: Vec<i64> = lines.map(|line| line.late_us.unwrap() / 1000).collect();
    late.sort_unstable();
    late[late.len() / 2]
}

fn scheduled_s(line: &Line) -> i64 {
    (line.at_us - line.late_us.unwrap()).div_euclid(1_000_000)
}

fn resident_kb(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.unwrap().trim().trim_end_matches(" kB");
    number.parse().unwrap()
}
