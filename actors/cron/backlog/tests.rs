//! Fires while the database hangs, and misfires that come one after another, with real processes on a paused clock.

use futures_util::FutureExt;
use tokio::time::sleep;

use super::super::entry::tests::entry;
use super::super::testing::{World, YEARLY};
use super::*;
use crate::config::Misfire;
use crate::store::Write;
use crate::testing_support::{Barrier, TestDb, no_hook, soon};

/// Claims of fires wait at this, and all behind them.
fn hanging_claims(files: &TestDb) -> Barrier {
    let gate = Barrier::closed();
    let passed = gate.clone();
    let hangs = move |batch: Arc<[Write]>| {
        let claims = batch.iter().any(Write::claims_a_fire);
        let gate = passed.clone();
        async move {
            if claims {
                gate.pass().await;
            }
        }
        .boxed()
    };
    files.hook(Arc::new(hangs), no_hook());
    gate
}

#[actix::test]
async fn an_outage_costs_its_last_fires_and_a_count() {
    tokio::time::pause();
    let files = TestDb::start();
    let gate = hanging_claims(&files);
    let entries = [Misfire::Skip, Misfire::CatchUp(3.try_into().unwrap())].map(|misfire| {
        let mut entry = entry("* * * * * *", misfire);
        entry.key = format!("{misfire:?}");
        Arc::new(entry)
    });
    let world = World::with(files, entries.to_vec(), "/bin/true");
    sleep(Duration::from_secs(120)).await;
    let grace = usize::try_from(world.config.misfire_grace.as_secs()).unwrap();
    let kept = world.config.backlog.len();
    // Those within the grace, and the last ones; 240 were due.
    let most = 2 * (grace + 2) + 3;
    assert!(kept <= most, "{kept} seconds are kept");
    // From here on commits take their time, as on a real clock.
    tokio::time::resume();
    gate.open();
    soon(async {
        while world.config.backlog.len() > 0 {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let twice = "SELECT count(*) - count(DISTINCT entry || scheduled_ms) AS n FROM cron_run";
    assert_eq!(world.files.number(twice), 0);
    let missed = "SELECT result AS line FROM crontab_log WHERE status = 'failed'
        AND result LIKE '%away for longer than misfire_grace%'";
    let missed = world.files.lines(missed);
    assert!(
        (2..=4).contains(&missed.len()),
        "a row each, or two: {missed:?}"
    );
    assert!(
        missed.iter().any(|row| row.contains(" fires from ")),
        "{missed:?}"
    );
}

#[actix::test]
async fn a_stop_forgets_what_waits_for_the_database() {
    tokio::time::pause();
    let files = TestDb::start();
    let gate = hanging_claims(&files);
    let world = World::with(
        files,
        vec![Arc::new(entry("* * * * * *", Misfire::Skip))],
        "/bin/true",
    );
    sleep(Duration::from_secs(8)).await;
    assert!(world.config.backlog.len() > 2);
    assert!(world.stop().await, "nothing has its row");
    assert_eq!(world.config.backlog.len(), 0);
    gate.open();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(
        world
            .files
            .number("SELECT count(*) AS n FROM cron_run WHERE pid > 0"),
        0
    );
}

#[actix::test]
async fn misfires_that_may_not_overlap_are_made_one_after_another() {
    tokio::time::pause();
    for overlap in [Overlap::Forbid, Overlap::Replace] {
        let files = TestDb::start();
        let mut config = entry(YEARLY, Misfire::CatchUp(2.try_into().unwrap())).config;
        config.overlap = overlap;
        let entry = LiveEntry::new(config);
        // A run takes a moment, and finds no other one.
        let busy = files.dir.path().join("busy");
        let script = format!(
            "mkdir {0} || exit 9; sleep 0.2; rmdir {0}; exit 7",
            busy.display()
        );
        let program = files.script(&script);
        let world = World::start_entry(files, entry, &program);
        let runs = world.until_ended(2).await;
        assert_eq!(runs.len(), 2, "{overlap:?}: {runs:?}");
        assert!(
            runs.iter().all(|run| run.contains("exit status 7")),
            "{overlap:?}: {runs:?}"
        );
        assert!(world.stop().await);
    }
}
