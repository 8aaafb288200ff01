//! How long anybody who asks waits for an answer while the tables hold millions of rows, and how long a browser takes to show
//! it.
//!
//! `cargo build --release --example ledger && cargo test --release --test daemon millions -- --ignored --nocapture
//! --test-threads 1`

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::address;
use super::client::ask_socket;
use super::page::speed::{SHOWN_MS, Took};
use crate::browser::Browser;
use crate::engine::Engine;
use crate::wait::{LONG_PATIENCE, wait_until};
use crate::world::World;

/// Of delayed tasks, and of dead letters.
const ROWS: usize = 10_000_000;
/// A statement inserts this many.
const PORTION: usize = 250_000;
/// Each is asked this often; the slowest answer counts.
const TIMES: usize = 5;
const AIM: Duration = Duration::from_millis(200);
/// What a browser keeps as a file, and shows no page of.
const DOWNLOAD: &str = "/letter/payload?id=77";
/// In the middle of the tables, and for what is not there.
const MORE_PATHS: [&str; 8] = [
    "/api/v1/delay/tasks?name=nobody",
    "/api/v1/delay/tasks?status=done",
    "/api/v1/delay/tasks?limit=1000",
    "/api/v1/dead?before=5000000&limit=1000",
    "/api/v1/dead?name=nobody",
    "/api/v1/dead?error=no%20order%205&before=5000000",
    "/api/v1/dead/groups?name=work",
    "/api/v1/cron/runs?limit=1000",
];
const COMMANDS: [&[&str]; 8] = [
    &["status"],
    &["delay", "list"],
    &["delay", "list", "--status", "waiting"],
    &["delay", "show", "77"],
    &["dead", "list"],
    &["dead", "list", "--queue", "work"],
    &["dead", "group"],
    &["queue", "list"],
];

/// Of the page in the browser.
const PAGES: [&str; 20] = [
    "/",
    "/queue?name=work",
    "/dead?kind=queue&source=work",
    "/dead?kind=queue&source=nobody",
    "/delay",
    "/delay?q=params+7",
    "/delay?q=nothing+of+that+kind",
    "/delay?cmd=noop",
    "/delay?status=failed",
    "/task?id=77",
    "/dead",
    "/dead?name=work&error=order+77",
    "/dead?error=nothing+of+that+kind",
    "/dead?payload=nothing+of+that+kind",
    "/dead?before=5000000",
    "/dead/confirm?do=purge&error=order+77",
    "/letter?id=77",
    DOWNLOAD,
    "/audit",
    "/audit?q=nothing+of+that+kind",
];

/// `on_each_database!` with a reason why they are not run each time.
macro_rules! measured {
    ($($name:ident, $engine:ident;)+) => {
        mod millions_of_rows_make_no_answer_slow {
            $(crate::engine::on!(
                $name, $engine, world, millions_of_rows_make_no_answer_slow,
                ignore = "a measurement, for a release build on a quiet machine: it fills tables for minutes"
            );)+
        }
    };
}

measured! {
    on_sqlite, Sqlite;
    on_mariadb, MariaDb;
    on_mysql, MySql;
    on_postgres, Postgres;
}

fn world(engine: Engine) -> Option<World> {
    let world = World::on(engine, super::settings(json!({})))?;
    let cron = json!([{ "name": "report", "cron": "0 0 4 * * *", "exec_cmd": "ledger", "params": "", "status": 1 }]);
    world.partition("script1", &World::table_queue(), &cron);
    Some(world)
}

fn fill(world: &World) {
    let mut database = world.migrate();
    let payload = match world.engine {
        Engine::Sqlite => "CAST('payload ' || n AS BLOB)",
        Engine::Postgres => "convert_to('payload ' || n, 'UTF8')",
        Engine::MariaDb | Engine::MySql => "concat('payload ', n)",
    };
    let error = match world.engine {
        Engine::MariaDb | Engine::MySql => "concat('no order ', n)",
        Engine::Sqlite | Engine::Postgres => "'no order ' || n",
    };
    let numbers = world.engine.numbers(PORTION);
    // A year from now on, thirty in each second.
    let due = crate::wait::now_s() + 3600;
    database.execute(&format!(
        "INSERT INTO audit (environment, ordered_by, action, target, result, at_ms)
         SELECT 'dev', 'ann', 'pause', 'queue work', 'done', n FROM ({numbers}) AS numbers"
    ));
    for _ in 0..ROWS / PORTION {
        database.execute(&format!(
            "INSERT INTO delay_queue_log (name, exec_cmd, params, status, exec_time)
             SELECT 'later', 'noop', 'params', 1, {due} + n FROM ({numbers}) AS numbers"
        ));
        database.execute(&format!(
            "INSERT INTO dead_letter (kind, source, name, exec_cmd, original_id, payload, error, attempts, partition_name, first_ms, died_ms)
             SELECT 'queue', 'work', 'work', 'noop', '1', {payload}, {error}, 3, 'script1', n, n FROM ({numbers}) AS numbers"
        ));
    }
}

/// The paths that are read, as the daemon describes them.
fn paths(ask: impl Fn(&str) -> Value) -> Vec<String> {
    let key = ask("/api/v1/cron")[0]["key"].as_str().unwrap().to_owned();
    let description = ask("/api/v1/openapi.json");
    let paths = description["paths"].as_object().unwrap();
    let read = paths
        .iter()
        .filter(|(_, methods)| methods.get("get").is_some());
    // What a run printed is a file; an order about dead letters is in the daemon's memory.
    let read = read.filter(|(path, _)| !["{uk}", "{order}"].iter().any(|name| path.contains(name)));
    let read = read.map(|(path, _)| {
        path.replace("{name}", "work")
            .replace("{key}", &key)
            .replace("{id}", "77")
    });
    read.collect()
}

fn slowest(mut ask: impl FnMut()) -> Duration {
    let took = (0..TIMES).map(|_| {
        let begun = Instant::now();
        ask();
        begun.elapsed()
    });
    took.max().unwrap()
}

fn millions_of_rows_make_no_answer_slow(world: World) {
    fill(&world);
    let mut daemon = world.start();
    let origin = format!("http://{}", address(&mut daemon));
    let socket = world.path("data/script1.sock");
    let ask = |path: &str| ask_socket(&socket, "GET", path);
    wait_until("readiness", LONG_PATIENCE, || ask("/readyz").status == 200);
    let mut all: Vec<(String, Duration)> = Vec::new();
    let mut paths = paths(|path| ask(path).json());
    paths.extend(MORE_PATHS.map(str::to_owned));
    for path in paths {
        let took = slowest(|| assert_eq!(ask(&path).status, 200, "{path}"));
        all.push((path, took));
    }
    for page in PAGES {
        let took = slowest(|| assert_eq!(ask(page).status, 200, "{page}"));
        all.push((page.to_owned(), took));
    }
    for command in COMMANDS {
        let took = slowest(|| assert!(world.run(command).status.success(), "{command:?}"));
        all.push((command.join(" "), took));
    }
    let shown = in_browser(&world, &origin);
    daemon.stop();
    for (page, took) in &shown {
        println!("{:?}: {page}: {took}", world.engine);
    }
    for (asked, took) in &all {
        println!(
            "{:?}: {asked}: {:.0} ms",
            world.engine,
            took.as_secs_f64() * 1000.0
        );
    }
    let slow: Vec<_> = all.iter().filter(|(_, took)| *took > AIM).collect();
    assert!(slow.is_empty(), "{slow:?}");
    let slow = shown.iter().filter(|(_, took)| took.load >= SHOWN_MS);
    let slow: Vec<String> = slow.map(|(page, took)| format!("{page}: {took}")).collect();
    assert!(slow.is_empty(), "{slow:?}");
}

/// The slowest of each page; nothing without a browser.
fn in_browser(world: &World, origin: &str) -> Vec<(&'static str, Took)> {
    let Some(browser) = Browser::start(world) else {
        return Vec::new();
    };
    let pages = PAGES.into_iter().filter(|page| *page != DOWNLOAD);
    let slowest = pages.map(|page| {
        let url = format!("{origin}{page}");
        let took = (0..TIMES).map(|_| browser.run(async |window| Took::of(window, &url).await));
        let slowest = took.max_by(|one, other| one.load.total_cmp(&other.load));
        (page, slowest.unwrap())
    });
    slowest.collect()
}
