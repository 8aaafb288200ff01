//! What a reload asks of a pool.

use futures_util::FutureExt;

use super::super::{Retire, Tune};
use super::*;

fn tune(world: &World, progress: u32, max: u32, timeout: Option<Duration>) {
    world.pool.do_send(Tune {
        limits: limits(progress, max),
        timeout,
        batch: world.config.work.batch,
    });
}

#[actix::test]
async fn other_limits_resize_a_pool_whose_consumers_stay() {
    let world = World::start(2, 2);
    world.keep_busy(2).await;
    for (progress, n) in [(5, 5), (1, 1), (3, 3)] {
        tune(&world, progress, progress, None);
        assert_eq!(world.count().await, n);
    }
    assert_eq!(world.crowd.now(), 2, "what ran goes on");
    let resizes = world.config.work.state.view().resizes;
    let why = resizes.iter().map(|resize| resize.reason.as_str());
    assert_eq!(why.collect::<Vec<_>>(), ["its entry was changed"; 3]);
    world.barrier.open();
    assert_eq!(world.stop_within(MINUTE).await, 0);
    assert_eq!(world.source.ended(&Disposition::Complete).len(), 2);
    assert_eq!(world.source.calls(), ["open", "close"], "its source too");
}

#[actix::test]
async fn leases_granted_by_a_former_entry_do_not_exceed_the_new_one() {
    let world = World::start(2, 10);
    world.source.set_lag(Some(8));
    world.pool.send(LagCheck).await.unwrap();
    assert_eq!(world.count().await, 10);
    tune(&world, 2, 4, None);
    assert_eq!(world.count().await, 4);
    tune(&world, 6, 7, None);
    assert_eq!(world.count().await, 7);
}

#[actix::test]
async fn a_new_timeout_replaces_each_consumer_after_its_end() {
    let world = World::start(2, 2);
    world.keep_busy(2).await;
    (10..20).for_each(|id| world.source.offer([id]));
    for minutes in 1..4 {
        tune(&world, 2, 2, Some(minutes * 10 * MINUTE));
        settle_down().await;
        sleep(MINUTE).await;
        assert_eq!(world.crowd.now(), 2, "no third one beside them");
    }
    world.barrier.open();
    world.source.until_done(12).await;
    assert_eq!(world.crowd.most(), 2);
    assert_eq!(world.count().await, 2);
    assert_eq!(world.deaths.count(), 0);
    assert_eq!(world.stop_within(MINUTE).await, 0);
}

#[actix::test]
async fn a_dying_consumer_is_replaced_on_a_reload() {
    let world = World::start(1, 1);
    world.keep_busy(1).await;
    tune(&world, 1, 1, Some(MINUTE));
    settle_down().await;
    world.pool.send(CrashConsumer).await.unwrap();
    world.source.offer([7]);
    world.barrier.open();
    soon(async {
        while !world.source.ended(&Disposition::Complete).contains(&7) {
            sleep(Duration::from_secs(1)).await;
        }
    })
    .await;
    assert_eq!(world.count().await, 1);
}

#[actix::test]
async fn a_retired_pool_takes_nothing_more() {
    let world = World::start(2, 2);
    world.keep_busy(2).await;
    let mut retired = world.pool.send(Retire).boxed_local();
    settle_down().await;
    world.source.offer([7]);
    sleep(60 * MINUTE).await;
    assert!((&mut retired).now_or_never().is_none(), "however long");
    assert_eq!(world.source.calls(), ["open"]);
    world.barrier.open();
    soon(retired).await.unwrap();
    assert_eq!(world.source.calls(), ["open", "close"]);
    let mut ended = world.source.ended(&Disposition::Complete);
    ended.sort_unstable();
    assert_eq!(ended, [0, 1]);
    assert_eq!(world.source.lag_asked(), 1, "nobody asks for its lag");
}

#[actix::test]
async fn a_stop_ends_a_pool_that_retires_by_its_deadline() {
    let world = World::start(2, 2);
    world.keep_busy(2).await;
    let retired = world.pool.send(Retire);
    settle_down().await;
    let begun = Instant::now();
    assert_eq!(world.stop_within(Duration::from_secs(20)).await, 0);
    assert_eq!(begun.elapsed().as_secs(), 20);
    soon(retired).await.unwrap();
    assert_eq!(world.source.ended(&Disposition::Release).len(), 2);
    assert_eq!(world.source.calls(), ["open", "close"], "once");
}
