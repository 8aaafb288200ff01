//! The pictures of the documents: pages of a daemon with work, as a person would see them. `make pictures` makes them anew.

use std::fs;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};

use super::address;
use super::page::devtools;
use super::page::looks::{View, screenshots, show};
use crate::browser::Browser;
use crate::database::Database;
use crate::wait::{LONG_PATIENCE, now_s, wait_until};
use crate::world::World;

/// Of a picture, which is the upper part of its page.
const SIZE: (u32, u32) = (1120, 720);
/// Points of a queue's last hour that the drawings have at least: twelve of ten seconds.
const POINTS: usize = 12;
/// Of the history: twice what its points take.
const PATIENCE: Duration = LONG_PATIENCE.saturating_mul(3);
/// Runs of the entry that has a picture of its own.
const RUNS: i64 = 50;
const REPORT: &str = "stock report";

const LANGUAGES: [(&str, &str); 2] = [("", "en"), (".zh-CN", "zh")];

fn world() -> World {
    let mut settings = super::settings(json!({}));
    settings["delayed"] = json!({ "ledger": { "max_attempts": 1 } });
    let world = World::new(settings);
    let queue = |name: &str, progress, most, limit| {
        json!({
            "name": name, "exec_cmd": "ledger", "table": name, "progress": progress, "max_progress": most, "max_attempts": 1,
            "progress_lag_limit": limit, "progress_avg_msgcount": 100, "status": 1,
        })
    };
    let queues = json!([
        queue("orders", 2, 6, 500),
        queue("mails", 4, 8, 100_000),
        queue("invoices", 1, 4, 100_000),
    ]);
    let entry = |name: &str, cron: &str, params: &str| json!({ "cron": cron, "name": name, "exec_cmd": "ledger", "params": params, "status": 1, "is_log": 1 });
    let crontab = json!([
        entry(REPORT, "0 30 * * * *", "by warehouse"),
        entry("price import", "*/10 * * * * *", "fail:prices"),
        entry("session clean-up", "*/2 * * * * *", "sleep:120:sessions"),
        entry("nightly backup", "0 0 3 * * *", "all"),
    ]);
    world.partition("script1", &queues, &crontab);
    world
}

/// Dead letters of the last day.
fn dead_letters(database: &mut Database) {
    let kinds = [
        ("orders", "the payment service answers 503 to order", 40, 23),
        ("orders", "no stock left of article", 14, 70),
        ("invoices", "the customer has no address: customer", 9, 130),
        ("mails", "the mailbox is full: message", 5, 240),
    ];
    let now = now_s() * 1000;
    for (queue, error, rows, minutes) in kinds {
        for n in 0..rows {
            let (id, died) = (48_211 + n * 37, now - n * minutes * 60_000 - 90_000);
            let payload =
                json!({ "id": id, "customer": format!("c-{}", 900 + n), "cents": 1990 + n * 150 });
            database.execute(&format!(
                "INSERT INTO dead_letter (kind, source, name, exec_cmd, original_id, payload, error, attempts, partition_name, first_ms, died_ms)
                 VALUES ('queue', '{queue}', '{queue}', 'ledger', '{id}', CAST('{payload}' AS BLOB), '{error} {id}', 5, 'script1', {died}, {died})"
            ));
        }
    }
}

/// What the last two days would have left of one entry.
fn runs(database: &mut Database, key: &str) {
    let hour = now_s() / 3600 * 3600 * 1000 - 1_800_000;
    for n in 0..RUNS {
        let scheduled = hour - n * 3_600_000;
        let (status, data, took) = match n {
            3 => (
                "failed",
                "ended without a result, exit status 3; its output is in `logs/cron/stock report.out`",
                4_100,
            ),
            11 => ("timeout", "ended after its timeout of 300 s", 300_000),
            27 => (
                "killed",
                "killed by signal 9; its output is in `logs/cron/stock report.out`",
                88_000,
            ),
            _ => ("success", "", 61_000 + n * 7_919 % 83_000),
        };
        // One was missed, and made up for.
        let started = scheduled + if n == 19 { 1_380_000 } else { 4 };
        let result = match data {
            "" => json!({ "status": 0, "data": { "warehouses": 12, "articles": 48_211 + n } }),
            data => json!({ "status": 1, "data": data }),
        };
        let uk = format!("stock-report-{n:02}");
        database.execute(&format!(
            "INSERT INTO cron_run (partition_name, entry, scheduled_ms, uk, name, owner, machine, state, status, started_ms, ended_ms)
             VALUES ('script1', '{key}', {scheduled}, '{uk}', '{REPORT}', 'script1/before', '{{}}', 3, '{status}', {started}, {started} + {took})"
        ));
        database.execute(&format!(
            "INSERT INTO crontab_log (uk, name, status, result) VALUES ('{uk}', '{REPORT}', '{status}', '{result}')"
        ));
    }
}

#[test]
#[ignore = "it makes the pictures of the documents, and runs for minutes so that they show something: `make pictures`"]
fn the_pictures_of_the_documents_show_a_daemon_at_work() {
    let world = world();
    let browser = Browser::start(&world).expect("a browser; `make servers` installs it");
    let mut database = world.migrate();
    dead_letters(&mut database);
    let bodies = |n, body: &str| {
        (0..n)
            .map(|n| format!("{body}{n}"))
            .collect::<Vec<String>>()
    };
    world.send("orders", &bodies(9000, "sleep:150:order "));
    world.send("mails", &bodies(3000, "sleep:90:mail "));
    world.send("invoices", &bodies(1500, "sleep:60:invoice "));
    world.send("invoices", &bodies(6, "fail:invoice "));
    let tasks: Vec<(String, i64)> = (1..400_i64)
        .map(|n| (format!("reminder {n}"), now_s() + 600 + n * n % 7200))
        .collect();
    world.insert_tasks(&tasks);
    let mut daemon = world.start();
    let origin = format!("http://{}", address(&mut daemon));
    let socket = world.path("data/script1.sock");
    let ask = |path: &str| super::client::ask_socket(&socket, "GET", path).json();
    let entries = ask("/api/v1/cron");
    let key = |name: &str| {
        let all = entries.as_array().unwrap();
        let entry = all.iter().find(|entry| entry["name"] == name).unwrap();
        entry["key"].as_str().unwrap().to_owned()
    };
    runs(&mut database, &key(REPORT));
    wait_until("a history to be drawn", PATIENCE, || {
        let hour = ask("/api/v1/queues/mails/history");
        let drawn = |points: &Vec<Value>| points.iter().filter(|point| !point.is_null()).count();
        hour["lag"].as_array().map_or(0, drawn) >= POINTS
    });
    for (name, scheme, url) in [
        ("now", "light", "/".to_owned()),
        ("dead-letters", "dark", "/dead".to_owned()),
        ("cron", "light", format!("/cron/entry?key={}", key(REPORT))),
    ] {
        for (suffix, language) in LANGUAGES {
            let view = View {
                name,
                language,
                scheme,
                width: SIZE.0,
            };
            let taken = browser.run(async |page| {
                show(page, &view, &format!("{origin}{url}")).await?;
                let clip = json!({ "x": 0, "y": 0, "width": SIZE.0, "height": SIZE.1, "scale": 1 });
                devtools(page, "Page.captureScreenshot", json!({ "clip": clip })).await
            });
            let bytes = BASE64_STANDARD
                .decode(taken["data"].as_str().unwrap())
                .unwrap();
            let folder = screenshots().join("documents");
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(format!("{name}{suffix}.png")), bytes).unwrap();
        }
    }
    daemon.stop();
}
