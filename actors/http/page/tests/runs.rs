//! The pages about runs of cron entries: how they ended, what they left, and what started them.

use super::get;
use crate::config::HttpSettings;
use crate::http::tests::config;
use crate::testing_support::TestDb;

/// A whole second, as fires of a schedule are at.
const FIRE: i64 = 1_795_921_200_000;

/// A run of the entry `k1` that has ended.
fn run(db: &TestDb, uk: &str, scheduled_ms: i64, started_ms: i64, status: &str) {
    db.sql(&format!(
        "INSERT INTO cron_run (partition_name, entry, scheduled_ms, uk, name, owner, machine, state, status, started_ms, ended_ms)
         VALUES ('script1', 'k1', {scheduled_ms}, '{uk}', 'report', 'script1/b', '{{}}', 3, '{status}', {started_ms}, {started_ms} + 7)"
    ));
}

fn logged(db: &TestDb, uk: &str, result: &str) {
    let result = result.replace('\'', "''");
    db.sql(&format!(
        "INSERT INTO crontab_log (uk, result) VALUES ('{uk}', '{result}')"
    ));
}

#[actix_rt::test]
async fn a_run_says_how_it_began_and_ended() {
    let db = TestDb::start();
    let config = config(&db, 1, HttpSettings::default());
    run(&db, "in-time", FIRE, FIRE + 5, "success");
    logged(&db, "in-time", r#"{"status":0,"data":{"sent":12}}"#);
    run(&db, "late", FIRE + 1000, FIRE + 61_000, "failed");
    logged(
        &db,
        "late",
        r#"{"status":1,"data":"ended without a result, exit status 3"}"#,
    );
    run(&db, "ordered", FIRE + 2001, FIRE + 2001, "killed");
    logged(
        &db,
        "ordered",
        r#"{"status":1,"data":"killed by signal 9 <script>"}"#,
    );
    db.sql(
        "INSERT INTO daemon_order (environment, partition_name, kind, name, entry, uk, ordered_by, ordered_ms, state)
         VALUES ('dev', 'script1', 'run', 'report', 'k1', 'ordered', 'ann', 1, 3)",
    );
    run(&db, "silent", FIRE + 3000, FIRE + 3000, "success");
    logged(&db, "silent", r#"{"status":0,"data":null}"#);
    // Of these no table keeps the result. The first one's is among the failures that this daemon saw.
    run(&db, "v", FIRE + 4000, FIRE + 4000, "failed");
    run(&db, "unlogged", FIRE + 5000, FIRE + 5000, "success");

    let not_kept = "kept of entries with `is_log: 1`";
    let by_order = "order of ann";
    for (uk, parts) in [
        ("in-time", ["<dd>schedule</dd>", "{&#34;sent&#34;:12}"]),
        ("late", ["made up for", "exit status 3"]),
        ("ordered", [by_order, "killed by signal 9 &#60;script&#62;"]),
        ("silent", ["<dd>schedule</dd>", "It returned nothing."]),
        ("v", ["<code>{}</code>", not_kept]),
        ("unlogged", ["<dd>schedule</dd>", not_kept]),
    ] {
        let shown = get(&config, &format!("/run?id={uk}")).await;
        for part in parts {
            assert!(shown.text.contains(part), "{uk}: {part}: {}", shown.text);
        }
    }
    let shown = get(&config, "/cron/entry?key=k1").await;
    let line = |uk: &str| {
        let (before, _) = shown
            .text
            .split_once(&format!("<code>{uk}</code></a>"))
            .unwrap();
        before.rsplit("<tr>").next().unwrap().to_owned()
    };
    for (uk, part) in [
        ("in-time", "{&#34;sent&#34;:12}"),
        ("in-time", ">schedule</td>"),
        ("late", "exit status 3"),
        ("late", "made up for a missed fire"),
        ("ordered", "killed by signal 9"),
        ("ordered", by_order),
        ("silent", "class=\"wide\">–</td>"),
        ("v", "class=\"wide\">{}</td>"),
        ("unlogged", "class=\"wide\">–</td>"),
    ] {
        assert!(line(uk).contains(part), "{uk}: {part}: {}", line(uk));
    }
}
