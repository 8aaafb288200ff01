//! Fires that replace runs which this daemon has not started.

use super::super::entry::tests::entry;
use super::super::process::{Command, Output, Turn, machine::Place};
use super::super::testing::{World, YEARLY};
use super::super::{LiveEntry, Spawner};
use crate::clock::now_ms;
use crate::config::{Misfire, Overlap};
use crate::testing_support::TestDb;

fn replacing() -> LiveEntry {
    let mut config = entry(YEARLY, Misfire::Coalesce).config;
    config.overlap = Overlap::Replace;
    LiveEntry::new(config)
}

/// An open run of that entry, scheduled at that second.
fn open_run(files: &TestDb, entry: &LiveEntry, uk: &str, scheduled_ms: i64, machine: &str) {
    files.sql(&format!(
        "INSERT INTO cron_run (partition_name, entry, scheduled_ms, uk, name, owner, machine, state, status, started_ms)
         VALUES ('script1', '{}', {scheduled_ms}, '{uk}', 'n', 'script1/dead', '{machine}', 1, 'running', {});
         INSERT INTO crontab_log (uk, name, status, start_time) VALUES ('{uk}', 'n', 'running', 1)",
        entry.key,
        now_ms()
    ));
}

#[actix::test]
async fn an_unendable_run_does_not_block_its_replacement() {
    tokio::time::pause();
    let (files, entry) = (TestDb::start(), replacing());
    open_run(&files, &entry, "elsewhere", 1000, "{}");
    let world = World::start_entry(files, entry, "/bin/false");
    let runs = world.until_ended(1).await;
    assert!(runs[0].starts_with("running "), "{runs:?}");
    assert!(runs[1].contains("exit status 1"), "{runs:?}");
    assert!(world.stop().await);
}

#[actix::test]
async fn a_fire_that_replaces_gives_way_to_a_later_one() {
    tokio::time::pause();
    let (files, entry) = (TestDb::start(), replacing());
    // By a clock that is a little ahead: the missed one is the last that is known.
    let later = now_ms() + 60_000;
    open_run(&files, &entry, "later", later, "{}");
    let world = World::start_entry(files, entry, "/bin/false");
    let runs = world.until_ended(1).await;
    assert!(runs[0].starts_with("running "), "{runs:?}");
    assert!(
        runs[1].starts_with("skipped ") && runs[1].contains("later fire"),
        "{runs:?}"
    );
    assert!(world.stop().await);
}

/// It would hold up its entry for a day.
#[actix::test]
async fn a_run_of_a_clock_that_was_far_ahead_is_replaced() {
    tokio::time::pause();
    let (files, entry) = (TestDb::start(), replacing());
    let later = now_ms() + 86_400_000;
    open_run(&files, &entry, "tomorrow", later, "{}");
    let world = World::start_entry(files, entry, "/bin/false");
    let runs = world.until_ended(1).await;
    assert!(runs[1].contains("exit status 1"), "it was made: {runs:?}");
    let marked = "SELECT status AS line FROM cron_run WHERE uk = 'tomorrow'";
    assert_eq!(world.files.lines(marked), ["replaced"]);
    assert!(world.stop().await);
}

#[actix::test]
async fn its_own_daemon_ends_a_replaced_run() {
    // The clock goes on: a process takes its time to end.
    let (files, entry) = (TestDb::start(), replacing());
    let here = serde_json::to_string(Place::here()).unwrap();
    open_run(&files, &entry, "marked", 1000, &here);
    let command = Command {
        program: "/bin/sleep".into(),
        args: vec!["1000".into()],
        env: Vec::new(),
        output: Output::File(files.dir.path().join("out")),
        handed: None,
    };
    let child = Spawner::start()
        .unwrap()
        .spawn(command, Turn::Fresh)
        .await
        .unwrap();
    let ticks = child.start_ticks.unwrap();
    files.sql(&format!(
        "UPDATE cron_run SET state = 2, status = 'replaced', owner = 'script1/me', pid = {}, start_ticks = {ticks}",
        child.pid
    ));
    let world = World::with(files, Vec::new(), "/bin/false");
    let _watching = world.config.watched.begin("marked").unwrap();
    let runs = world.until_ended(1).await;
    assert!(
        runs[0].starts_with("killed ") && runs[0].contains("to make room"),
        "{runs:?}"
    );
    child.exited().await;
    assert!(world.stop().await);
}
