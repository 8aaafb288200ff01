//! An actor that died, its successor, and claims that neither knows.

use std::time::Duration;

use actix::prelude::*;
use tokio::time::{Instant, sleep};

use super::{World, item};
use crate::clock::now_ms;
use crate::delay_queue::{AwaitEnd, Crash, DelayQueueActor, Push};

#[actix::test]
async fn a_successor_releases_only_what_has_not_started() {
    let mut world = World::start().await;
    world
        .push(vec![item("wait", 0), item("soon", 2)])
        .await
        .unwrap();
    world.ran.wait_for(1).await;
    world.crash().await;
    assert_eq!(world.in_status(2), 2);
    world.replace();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(world.params(), ["wait", "soon"]);
    world.barrier.open();
    world.until(3, 2).await;
    sleep(Duration::from_secs(10)).await;
    assert_eq!(world.ran.len(), 2, "each once");
    assert_eq!(world.in_status(2), 0);
}

#[actix::test]
async fn a_successor_awaits_earlier_tasks_at_a_stop() {
    let mut world = World::start().await;
    world.push(vec![item("wait", 0)]).await.unwrap();
    world.ran.wait_for(1).await;
    world.crash().await;
    world.replace();
    sleep(Duration::from_secs(1)).await;
    let begun = Instant::now();
    world.stop.stop(begun + Duration::from_secs(25));
    let stop = world.actor.send(AwaitEnd);
    world.barrier.open();
    assert_eq!(stop.await.unwrap(), 0);
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(world.in_status(3), 1);
}

#[actix::test]
async fn crashes_lose_no_task_and_strand_none() {
    let mut world = World::start().await;
    let mut pushed = 0;
    for round in 0..20_u64 {
        let items = (0..10).map(|n| item("x", n % 3)).collect();
        let push = world.actor.send(Push(items));
        let (steps, actor) = (round * 3, world.actor.clone());
        let crash = async move {
            for _ in 0..steps {
                tokio::task::yield_now().await;
            }
            sleep(Duration::from_millis(round * 7)).await;
            actor.do_send(Crash);
        };
        let (answer, ()) = tokio::join!(push, crash);
        pushed += answer.map_or(0, |ids| ids.unwrap().len());
        let deaths = usize::try_from(round + 1).unwrap();
        world.deaths.wait_for(deaths).await;
        world.replace();
    }
    sleep(Duration::from_secs(30)).await;
    let rows = world.db.number("SELECT count(*) AS n FROM delay_queue_log");
    assert!(rows >= i64::try_from(pushed).unwrap());
    assert_eq!((world.in_status(3), world.in_status(2)), (rows, 0));
    assert_eq!(world.ran.len(), usize::try_from(rows).unwrap(), "each once");
}

/// A poll begins, and while it is under way orphaned claims are to be released, as after a push that failed.
#[derive(Message)]
#[rtype(result = "()")]
struct OrphansDuringAPoll;

impl Handler<OrphansDuringAPoll> for DelayQueueActor {
    type Result = ();

    fn handle(&mut self, _: OrphansDuringAPoll, ctx: &mut Self::Context) {
        let scheduler = self.scheduler().unwrap();
        scheduler.poll_ahead(ctx);
        scheduler.release_orphans(ctx);
    }
}

#[actix::test]
async fn orphans_during_a_poll_do_not_end_polling() {
    let world = World::start().await;
    world.actor.send(OrphansDuringAPoll).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    world.foreign(1, "job", "x", now_ms() / 1000);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(world.in_status(3), 1);
}

/// As after a judged death: the row is free, and claims of before are not trusted.
#[actix::test]
async fn a_late_end_leaves_a_later_claim_alone() {
    let mut world = World::start().await;
    world.push(vec![item("sleep 20", 0)]).await.unwrap();
    world.ran.wait_for(1).await;
    sleep(Duration::from_secs(10)).await;
    world
        .db
        .sql("UPDATE delay_queue_log SET status = 1, owner = ''");
    world.config.liveness.was_dead(crate::clock::Moment::now());
    world.ran.wait_for(2).await;
    sleep(Duration::from_secs(12)).await;
    assert_eq!(
        world.config.running.claims(),
        [(1, 2)],
        "the first has ended, and did not count"
    );
    world.crash().await;
    world.replace();
    sleep(Duration::from_secs(5)).await;
    assert_eq!((world.in_status(2), world.ran.len()), (1, 2));
    world.until(3, 1).await;
    sleep(Duration::from_secs(30)).await;
    assert_eq!(world.ran.len(), 2);
}
