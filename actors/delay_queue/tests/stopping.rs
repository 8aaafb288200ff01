//! Stops and pauses.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{World, item, second};
use crate::clock::now_ms;

#[actix::test]
async fn quiet_releases_waiting_tasks_and_claims_none() {
    let world = World::start().await;
    world
        .push(vec![item("wait", 0), item("soon", 1)])
        .await
        .unwrap();
    world.ran.wait_for(1).await;
    world.stop.quiet();
    world.until(1, 1).await;
    let waits = world.push_one("during the stop", 0).await;
    assert!(waits > 0, "taken, for the next daemon");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(world.ran.len(), 1);
    assert_eq!((world.in_status(1), world.in_status(2)), (2, 1));
    world.barrier.open();
    assert_eq!(world.stop_within(Duration::from_secs(25)).await, 0);
    assert_eq!((world.in_status(1), world.in_status(3)), (2, 1));
}

#[actix::test]
async fn a_paused_queue_takes_tasks_and_starts_none() {
    let world = World::start().await;
    world.push_one("waits until the barrier opens", 0).await;
    world.ran.wait_for(1).await;
    // Claimed and not due yet.
    world.push_one("soon", 1).await;
    world.set_paused(true);
    sleep(Duration::from_millis(10)).await;
    world.push_one("now", 0).await;
    world.foreign(3, "job", "theirs", now_ms() / 1000);
    world.barrier.open();
    world.until(3, 1).await;
    sleep(Duration::from_secs(30)).await;
    assert_eq!(world.params().len(), 1, "{:?}", world.params());
    let claimed = "SELECT count(*) AS n FROM delay_queue_log WHERE owner <> ''";
    assert_eq!(
        world.db.number(claimed),
        0,
        "nothing is held while it is paused"
    );
    world.set_paused(false);
    world.until(3, 6).await;
    assert_eq!(world.ran.len(), 6);
}

#[actix::test]
async fn a_stop_releases_running_tasks_at_its_deadline() {
    let world = World::start().await;
    world.push(vec![item("wait", 0)]).await.unwrap();
    world.ran.wait_for(1).await;
    let begun = Instant::now();
    assert_eq!(world.stop_within(Duration::from_secs(20)).await, 0);
    assert_eq!(begun.elapsed().as_secs(), 20);
    assert_eq!(world.in_status(1), 1);
    let attempts = world.db.number("SELECT attempts AS n FROM delay_queue_log");
    assert_eq!(attempts, 0, "the attempt does not count");
}

#[actix::test]
async fn a_stop_before_the_first_poll_is_immediate() {
    let world = World::before_the_first_poll(10, Duration::from_secs(3600));
    world.foreign(5, "job", "x", second());
    assert_eq!(world.stop_within(Duration::from_secs(20)).await, 0);
    sleep(Duration::from_secs(60)).await;
    assert_eq!((world.ran.len(), world.in_status(2)), (0, 0));
}
