//! Rows that nobody watches, and old ones.

use tokio::time::Instant;

use super::*;
use crate::clock::now_ms;
use crate::cron::process::machine::Place;
use crate::cron::process::{Announcement, announce};
use crate::store::Write;
use crate::testing_support::{Seen, no_hook};

#[actix::test]
async fn a_row_of_this_daemon_that_nobody_watches_is_ended() {
    tokio::time::pause();
    let files = TestDb::start();
    let here = serde_json::to_string(Place::here()).unwrap();
    files.sql(&format!(
        "INSERT INTO boot (owner, partition_name, host, pid, state, started_ms, heartbeat_ms, interval_ms)
         VALUES ('script1/me', 'script1', 'h', 1, 1, 0, 0, 5000);
         INSERT INTO cron_run (partition_name, entry, scheduled_ms, uk, name, owner, machine, state, status, started_ms)
         VALUES ('script1', 'gone', 1000, 'left', 'n', 'script1/me', '{here}', 1, 'running', 1000)"
    ));
    let world = World::start_with(files, "/bin/false").await;
    world.until_ended(1).await;
    let left = "SELECT status AS line FROM cron_run WHERE uk = 'left'";
    assert_eq!(world.files.lines(left), ["failed"]);
}

#[actix::test]
async fn many_runs_that_are_left_behind_are_ended_together() {
    tokio::time::pause();
    let files = TestDb::start();
    let here = serde_json::to_string(Place::here()).unwrap();
    files.sql(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
         INSERT INTO cron_run (partition_name, entry, scheduled_ms, uk, name, owner, machine, state, status, started_ms)
         SELECT 'script1', 'gone', i, 'left' || i, 'n', 'script1/dead', '{here}', 1, 'running', 1000 FROM n"
    ));
    let transactions = Seen::new();
    let seen = transactions.clone();
    let note = move |batch: Arc<[Write]>| {
        seen.note(batch.len());
        std::future::ready(()).boxed()
    };
    files.hook(Arc::new(note), no_hook());
    let world = World::with(files, Vec::new(), "/bin/false");
    soon(async {
        while world
            .files
            .number("SELECT count(*) AS n FROM cron_run WHERE state < 3")
            > 0
        {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert!(transactions.len() < 100, "{:?}", transactions.all());
    assert!(world.stop().await);
}

#[actix::test]
async fn a_fire_that_another_daemon_announced_is_left_to_it() {
    tokio::time::pause();
    let files = TestDb::start();
    let world = World::with(files, Vec::new(), "/bin/false");
    let entry = Arc::new(entry(YEARLY, Misfire::Skip));
    let uk: crate::cron::Uk = "3f0e4c0e-2e4d-4a43-9c58-41d17a390d11".parse().unwrap();
    let run = world.runs_file(&uk);
    let announcement = Announcement {
        uk: uk.clone(),
        entry: entry.key.clone(),
        name: "n".to_owned(),
        boot: "script1/dead".to_owned(),
        place: Place::here().clone(),
        scheduled_ms: 1000,
        fired_ms: 1000,
        timeout_ms: None,
        handed: true,
    };
    let _about_to_start = announce(&world.config.runs, &announcement)
        .unwrap()
        .unwrap();
    let here = serde_json::to_string(Place::here()).unwrap();
    world.files.sql(&format!(
        "INSERT INTO cron_run (partition_name, entry, scheduled_ms, uk, name, owner, machine, state, status, started_ms)
         VALUES ('script1', '{}', 1000, '{uk}', 'n', 'script1/dead', '{here}', 1, 'running', 1000)",
        entry.key
    ));
    let left = world.files.store.reader().open_runs("script1").await;
    let left = left.unwrap().remove(0);
    let config = Arc::new(world.config.clone());
    let watching = config.watched.begin(uk.as_str()).unwrap();
    let spawner = Arc::new(crate::cron::Spawner::start().unwrap());
    crate::cron::fire::run_again(config, entry, left, uk, spawner, watching).await;
    assert!(run.exists());
    let row = "SELECT state || owner AS line FROM cron_run";
    assert_eq!(world.files.lines(row), ["1script1/me"]);
}

#[actix::test]
async fn orphaned_runs_of_gone_partitions_are_ended() {
    const HOUR_MS: i64 = 3_600_000;
    tokio::time::pause();
    let files = TestDb::start();
    let here = serde_json::to_string(Place::here()).unwrap();
    let pid = std::process::id();
    let ticks = crate::cron::process::machine::start_ticks(pid.cast_signed()).unwrap();
    let cases = [
        ("a day ago", "{}", 0, 25, 0),
        ("today", "{}", 0, 23, 0),
        ("with a timeout", "{}", HOUR_MS, 2, 0),
        ("here and alive", here.as_str(), 0, 25, pid),
        ("never started", here.as_str(), 0, 25, 0),
    ];
    for (name, machine, timeout_ms, hours, pid) in cases {
        let uk = uuid::Uuid::new_v4();
        let started = now_ms() - hours * HOUR_MS;
        files.sql(&format!(
            "INSERT INTO cron_run (partition_name, entry, scheduled_ms, uk, name, owner, machine, state, status, started_ms,
                timeout_ms, pid, start_ticks)
             VALUES ('gone', '{name}', 1000, '{uk}', '{name}', 'gone/dead', '{machine}', 1, 'running', {started},
                {timeout_ms}, {pid}, {ticks})"
        ));
    }
    let world = World::with(files, Vec::new(), "/bin/false");
    sleep(Duration::from_secs(150)).await;
    let ended = "SELECT name || ' ' || status AS line FROM cron_run WHERE state = 3 ORDER BY name";
    assert_eq!(
        world.files.lines(ended),
        [
            "a day ago lost",
            "never started failed",
            "with a timeout lost"
        ]
    );
    assert!(world.stop().await);
}

#[actix::test]
async fn all_old_rows_are_deleted_in_portions() {
    tokio::time::pause();
    let files = TestDb::start();
    files.sql(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1234)
         INSERT INTO cron_run (partition_name, entry, scheduled_ms, uk, name, owner, machine, state, status, started_ms)
         SELECT 'script1', 'e', i, 'uk' || i, 'n', 'o', '{}', 3, 'success', i FROM n",
    );
    let begun = Instant::now();
    let world = World::with(files, Vec::new(), "/bin/false");
    soon(async {
        while world.files.number("SELECT count(*) AS n FROM cron_run") > 0 {
            sleep(Duration::from_secs(1)).await;
        }
    })
    .await;
    assert!(
        begun.elapsed() < 2 * crate::cron::TRIM_INTERVAL,
        "all at one time"
    );
    assert!(world.stop().await);
}
