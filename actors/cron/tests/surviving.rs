//! Fires and runs outlive a replaced actor and a database that is away.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::Instant;

use super::*;
use crate::cron::process::machine::{Identity, identify};
use crate::cron::{AwaitEnd, Crash, CronActor, CronConfig, StartingFires, WatchedRuns};
use crate::db::Db;
use crate::stop::StopSignal;
use crate::store::Write;
use crate::testing_support::{Barrier, Seen, no_hook};

#[actix::test]
async fn a_replaced_actor_fires_nothing_twice() {
    let world = World::start("/bin/false").await;
    world.until_ended(1).await;
    world.actor.do_send(Crash);
    world.deaths.wait_for(1).await;
    let (config, notice) = (world.config.clone(), world.deaths.notice());
    let actor = CronActor::new(config, world.stop.listen(), notice).start();
    let world = World { actor, ..world };
    sleep(Duration::from_secs(120)).await;
    assert_eq!(world.runs().len(), 1);
    assert!(world.stop().await);
}

#[actix::test]
async fn a_fire_under_way_survives_its_actor() {
    let world = World::start("/bin/false").await;
    soon(async {
        while world.runs().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    world.actor.do_send(Crash);
    world.deaths.wait_for(1).await;
    let (config, notice) = (world.config.clone(), world.deaths.notice());
    let actor = CronActor::new(config, world.stop.listen(), notice).start();
    let world = World { actor, ..world };
    assert_eq!(world.until_ended(1).await.len(), 1);
    assert!(world.stop().await);
}

#[actix::test]
async fn a_stop_while_the_database_is_away_ends_at_once() {
    let files = TestDb::start();
    tokio::time::pause();
    let entry = Arc::new(entry("* * * * * *", Misfire::Skip));
    let away = Db::new(files.store.as_ref());
    let world = World::with(files, vec![entry], "/bin/false");
    let config = CronConfig {
        db: away,
        starting: StartingFires::default(),
        watched: WatchedRuns::default(),
        ..world.config.clone()
    };
    let (stop, notice) = (StopSignal::new(), world.deaths.notice());
    let actor = CronActor::new(config, stop.listen(), notice).start();
    sleep(Duration::from_secs(5)).await;
    let begun = Instant::now();
    stop.stop(begun + Duration::from_secs(20));
    assert!(actor.send(AwaitEnd).await.unwrap());
    assert_eq!(begun.elapsed().as_secs(), 0);
}

#[actix::test]
async fn a_claim_whose_answer_was_lost_counts() {
    tokio::time::pause();
    let files = TestDb::start();
    // The adapter panics after the first claim of a fire is committed.
    let lost = Arc::new(AtomicBool::new(false));
    let once = Arc::clone(&lost);
    let panics = move |batch: Arc<[Write]>| {
        let claims = batch.iter().any(|w| matches!(w, Write::ClaimFire(_)));
        let panics = claims && !once.swap(true, Ordering::Relaxed);
        async move { assert!(!panics, "lost by a test") }.boxed()
    };
    files.hook(no_hook(), Arc::new(panics));
    let world = World::start_with(files, "/bin/false").await;
    let runs = world.until_ended(1).await;
    assert!(lost.load(Ordering::Relaxed));
    assert_eq!(runs.len(), 1);
    assert!(runs[0].contains("exit status 1"), "{runs:?}");
    assert!(world.stop().await);
}

#[actix::test]
async fn a_timeout_ends_a_run_while_the_database_hangs() {
    tokio::time::pause();
    let files = TestDb::start();
    let (going_on, pids) = (Barrier::closed(), Seen::new());
    let (gate, seen) = (going_on.clone(), pids.clone());
    let hangs = move |batch: Arc<[Write]>| {
        let started = batch.iter().find_map(|w| match w {
            Write::RunStarted(started) => Some(started.pid),
            _ => None,
        });
        let (gate, seen) = (gate.clone(), seen.clone());
        async move {
            if let Some(pid) = started {
                seen.note(pid);
                gate.pass().await;
            }
        }
        .boxed()
    };
    files.hook(Arc::new(hangs), no_hook());
    let program = files.script("exec sleep 1000");
    let mut entry = entry(YEARLY, Misfire::Coalesce);
    entry.config.timeout = Some(Duration::from_secs(1));
    let world = World::start_entry(files, entry, &program);
    let pid = pids.wait_for(1).await[0];
    soon(async {
        while identify(pid, None) != Identity::Gone {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert!(
        world.runs()[0].starts_with("running "),
        "the database hangs"
    );
    going_on.open();
    let runs = world.until_ended(1).await;
    assert!(runs[0].starts_with("timeout "), "{runs:?}");
    assert!(world.stop().await);
}
