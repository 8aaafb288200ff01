//! Heartbeats, and what follows from them for this daemon and for others.

use super::*;

fn heartbeats(liveness: &Arc<Liveness>) -> Option<Heartbeats> {
    Some(Heartbeats {
        boot: BootRow {
            owner: "script1/a".to_owned(),
            partition: "script1".to_owned(),
            host: "here".to_owned(),
            pid: 1,
            interval_ms: 5000,
            version: "0.1.0",
        },
        liveness: Arc::clone(liveness),
    })
}

/// To be called with the clock paused: it begins now.
fn liveness() -> Arc<Liveness> {
    tokio::time::pause();
    let liveness = Arc::new(Liveness::new(INTERVAL));
    tokio::time::resume();
    liveness
}

#[actix::test]
async fn heartbeats_come_while_no_commit_ends() {
    let liveness = liveness();
    let world = World::with(heartbeats(&liveness));
    world.store.commits.close();
    let _stuck = world.write_all([1]);
    tokio::time::sleep(INTERVAL * 20).await;
    assert!((20..=22).contains(&world.store.beats.len()));
    assert_eq!(liveness.ownership(0), Ownership::Held);
}

#[actix::test]
async fn silence_makes_unsure_and_a_heartbeat_makes_sure_again() {
    let liveness = liveness();
    let world = World::with(heartbeats(&liveness));
    world.store.beats.wait_for(1).await;
    world.store.go_away(true);
    tokio::time::sleep(INTERVAL * 4).await;
    assert_eq!(liveness.ownership(0), Ownership::Uncertain);
    world.store.go_away(false);
    let beats = world.store.beats.len();
    world.store.beats.wait_for(beats + 1).await;
    settle_down().await;
    assert_eq!(liveness.ownership(0), Ownership::Held);
}

#[actix::test]
async fn a_judged_death_begins_a_new_generation() {
    let liveness = liveness();
    let world = World::with(heartbeats(&liveness));
    world.store.beats.wait_for(2).await;
    world.store.script.lock().unwrap().beats = [Beat::WasDead].into();
    world.store.beats.wait_for(3).await;
    settle_down().await;
    assert_eq!(liveness.ownership(0), Ownership::Lost);
    assert_eq!(liveness.ownership(1), Ownership::Held);
    world.store.beats.wait_for(6).await;
    assert_eq!(liveness.generation(), 1, "once");
}

#[actix::test]
async fn other_boots_are_not_judged_during_an_outage() {
    let liveness = liveness();
    let world = World::with(heartbeats(&liveness));
    world.store.beats.wait_for(3).await;
    settle_down().await;
    assert!(!world.store.written().contains(&-1));
    world.store.transactions.wait_for(1).await;
    world.store.go_away(true);
    tokio::time::sleep(INTERVAL * 10).await;
    let judged = world.store.written().len();
    world.store.go_away(false);
    let beats = world.store.beats.len();
    world.store.beats.wait_for(beats + 3).await;
    settle_down().await;
    // One order to judge may have waited since the last heartbeat before the outage.
    assert!(world.store.written().len() <= judged + 1);
}

#[actix::test]
async fn the_heart_stops_with_the_actor() {
    let liveness = liveness();
    let world = World::with(heartbeats(&liveness));
    world.store.beats.wait_for(2).await;
    world.addr.do_send(Crash);
    world.deaths.wait_for(1).await;
    let beats = world.store.beats.len();
    tokio::time::sleep(INTERVAL * 10).await;
    assert_eq!(world.store.beats.len(), beats);
}
