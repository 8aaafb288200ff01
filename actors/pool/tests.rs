//! The pool over a scripted queue, on a paused clock: three minutes pass in no time.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::time::{Instant, sleep};

use super::{AwaitEnd, CountConsumers, Crash, CrashConsumer, LagCheck, PoolActor, PoolConfig};
use crate::job::{Consumer, Disposition};
use crate::stop::StopSignal;
use crate::testing_support::{
    Barrier, Crowd, Deaths, FakeSource, limits, settle_down, single, soon, work,
};
use crate::workers::Workers;

mod many;
mod reloading;

const MINUTE: Duration = Duration::from_secs(60);

struct World {
    source: Arc<FakeSource>,
    crowd: Crowd,
    /// Closed: handlers wait.
    barrier: Barrier,
    deaths: Deaths,
    config: PoolConfig,
    /// The daemon's.
    stop: StopSignal,
    pool: Addr<PoolActor>,
}

impl World {
    /// A pool of `progress` consumers at rest, and `max` at most.
    fn start(progress: u32, max: u32) -> Self {
        Self::of(FakeSource::new(), progress, max)
    }

    /// Its source has a use for `useful` consumers.
    fn limited(progress: u32, max: u32, useful: u32) -> Self {
        let source = FakeSource::new();
        source.set_limit(useful, useful);
        Self::of(source, progress, max)
    }

    fn of(source: Arc<FakeSource>, progress: u32, max: u32) -> Self {
        tokio::time::pause();
        let crowd = Crowd::default();
        source.set_lag(Some(0));
        let (barrier, deaths) = (Barrier::closed(), Deaths::new());
        let handler = counting(&crowd, &barrier);
        let config = PoolConfig {
            work: work(&source, handler),
            limits: limits(progress, max),
            lag_check_interval: 3 * MINUTE,
            consumer_lease: 5 * MINUTE,
            workers: Arc::new(Workers::here()),
        };
        let stop = StopSignal::new();
        let pool = PoolActor::new(config.clone(), stop.child(), deaths.notice()).start();
        Self {
            source,
            crowd,
            barrier,
            deaths,
            config,
            stop,
            pool,
        }
    }

    async fn count(&self) -> usize {
        settle_down().await;
        self.pool.send(CountConsumers).await.unwrap()
    }

    async fn stop_within(&self, limit: Duration) -> usize {
        self.stop.stop(Instant::now() + limit);
        self.pool.send(AwaitEnd).await.unwrap()
    }

    /// One message for each of `n` consumers, all of which run.
    async fn keep_busy(&self, n: i64) {
        (0..n).for_each(|id| self.source.offer([id]));
        let n = usize::try_from(n).unwrap();
        soon(async {
            while self.crowd.now() < n {
                sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }
}

fn counting(crowd: &Crowd, barrier: &Barrier) -> Consumer {
    let (crowd, barrier) = (crowd.clone(), barrier.clone());
    single(move |_| {
        let (crowd, barrier) = (crowd.clone(), barrier.clone());
        async move {
            let _inside = crowd.enter();
            barrier.pass().await;
            Ok(())
        }
    })
}

#[actix::test]
async fn a_pool_starts_works_and_stops() {
    let world = World::start(2, 2);
    assert_eq!(world.count().await, 2);
    world.keep_busy(2).await;
    world.barrier.open();
    world.source.until_done(2).await;
    world.stop.quiet();
    assert_eq!(world.stop_within(MINUTE).await, 0);
    assert_eq!(
        world.stop_within(MINUTE).await,
        0,
        "a second stop has nothing to do"
    );
    assert_eq!(world.count().await, 0);
    assert!(world.source.out().is_empty());
}

#[actix::test]
async fn a_stop_before_the_consumers_began_ends_them() {
    let world = World::start(3, 3);
    let begun = Instant::now();
    assert_eq!(world.stop_within(MINUTE).await, 0);
    assert!(begun.elapsed() < Duration::from_secs(1));
    world.source.offer([1]);
    sleep(10 * MINUTE).await;
    assert!(world.source.out().is_empty(), "nobody fetches any more");
}

#[actix::test]
async fn a_source_limits_the_consumers_of_its_pool() {
    let world = World::limited(2, 10, 0);
    assert_eq!(world.count().await, 0);
    world.source.set_limit(1, 8);
    assert_eq!(world.count().await, 1, "fewer than at rest");
    world.source.set_lag(Some(1_000_000));
    world.pool.send(LagCheck).await.unwrap();
    assert_eq!(world.count().await, 1);
    world.source.set_limit(6, 8);
    assert_eq!(world.count().await, 6, "as soon as there is a use for them");
    world.source.set_limit(20, 20);
    assert_eq!(world.count().await, 10);
    world.source.set_limit(3, 20);
    assert_eq!(world.count().await, 3);
    assert_eq!(world.stop_within(MINUTE).await, 0);
    assert_eq!(world.source.calls(), ["open", "close"]);
}

#[actix::test]
async fn quiet_takes_nothing_new_and_replaces_nobody() {
    let world = World::start(2, 2);
    world.keep_busy(2).await;
    world.stop.quiet();
    world.stop.quiet();
    world.source.offer([7]);
    world.pool.send(CrashConsumer).await.unwrap();
    sleep(MINUTE).await;
    world.source.set_lag(Some(100));
    world.pool.send(LagCheck).await.unwrap();
    sleep(10 * MINUTE).await;
    assert_eq!(world.crowd.now(), 1, "the one that ran goes on");
    world.barrier.open();
    assert_eq!(world.stop_within(MINUTE).await, 0);
}

#[actix::test]
async fn a_stop_answers_how_many_were_left() {
    let world = World::start(3, 3);
    world.keep_busy(2).await;
    let begun = Instant::now();
    let left = world.stop_within(Duration::from_secs(20)).await;
    assert_eq!(begun.elapsed().as_secs(), 20);
    assert_eq!(left, 0, "what ran was released at the deadline");
    assert_eq!(world.source.ended(&Disposition::Release).len(), 2);

    let stop = StopSignal::new();
    let (config, notice) = (world.config.clone(), world.deaths.notice());
    let world = World {
        pool: PoolActor::new(config, stop.child(), notice).start(),
        stop,
        ..world
    };
    world.source.settling.close();
    world.barrier.open();
    world.source.offer([8]);
    world.source.until(|s| !s.out().is_empty()).await;
    // Until its handler has returned: a message that has not begun is released at once.
    settle_down().await;
    let left = world.stop_within(Duration::from_secs(20)).await;
    assert!(left > 0, "an end could not be written");
}

#[actix::test]
async fn a_pool_grows_and_shrinks_by_its_lag() {
    let world = World::start(2, 10);
    world.source.set_lag(Some(5));
    world.pool.send(LagCheck).await.unwrap();
    assert_eq!(world.count().await, 7);
    world.source.set_lag(Some(1000));
    sleep(4 * MINUTE).await;
    assert_eq!(world.count().await, 10, "never above max_progress");
    world.source.set_lag(Some(0));
    sleep(3 * MINUTE).await;
    assert_eq!(world.count().await, 10, "no lease is over");
    sleep(2 * MINUTE).await;
    assert_eq!(world.count().await, 2);
    assert_eq!(world.stop_within(MINUTE).await, 0);
}

#[actix::test]
async fn consumers_that_leave_end_what_they_run() {
    let world = World::start(1, 3);
    world.source.set_lag(Some(2));
    world.pool.send(LagCheck).await.unwrap();
    assert_eq!(world.count().await, 3);
    world.keep_busy(3).await;
    world.source.set_lag(Some(0));
    sleep(10 * MINUTE).await;
    assert_eq!(world.count().await, 1);
    assert_eq!(world.crowd.now(), 3);
    assert_eq!(world.source.ends().len(), 0);
    world.barrier.open();
    world.source.until_done(3).await;
    assert_eq!(world.stop_within(MINUTE).await, 0);
}

#[actix::test]
async fn a_pool_keeps_its_size_while_the_lag_cannot_be_read() {
    let world = World::start(2, 10);
    world.source.set_lag(Some(5));
    world.pool.send(LagCheck).await.unwrap();
    assert_eq!(world.count().await, 7);
    world.source.set_lag(None);
    sleep(60 * MINUTE).await;
    assert_eq!(world.count().await, 7);
    world.source.set_lag(Some(0));
    sleep(9 * MINUTE).await;
    assert_eq!(world.count().await, 2);
}

#[actix::test]
async fn a_steady_lag_keeps_one_size() {
    let world = World::start(1, 4);
    world.source.set_lag(Some(3));
    world.pool.send(LagCheck).await.unwrap();
    for _ in 0..50 {
        sleep(3 * MINUTE).await;
        assert_eq!(world.count().await, 4);
    }
}

#[actix::test]
async fn a_dead_consumer_is_replaced_and_its_messages_rerun() {
    let world = World::start(2, 2);
    world.keep_busy(2).await;
    world.pool.send(CrashConsumer).await.unwrap();
    assert_eq!(world.count().await, 1, "not at once");
    sleep(Duration::from_millis(200)).await;
    assert_eq!(world.count().await, 2);
    world.barrier.open();
    world.source.until_done(2).await;
    assert!(world.source.out().is_empty());
    assert_eq!(world.deaths.count(), 0);
}

#[actix::test]
async fn replacements_come_slower_and_slower_until_one_has_lived() {
    let world = World::start(1, 1);
    let mut pauses = Vec::new();
    for _ in 0..6 {
        world.pool.send(CrashConsumer).await.unwrap();
        let dead = Instant::now();
        assert_eq!(world.count().await, 0);
        soon(async {
            while world.count().await == 0 {
                sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        pauses.push(dead.elapsed().as_millis() / 100);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32]);
    sleep(2 * MINUTE).await;
    world.pool.send(CrashConsumer).await.unwrap();
    assert_eq!(world.count().await, 0);
    sleep(Duration::from_millis(200)).await;
    assert_eq!(world.count().await, 1);
}

#[actix::test]
async fn a_check_does_not_hurry_a_replacement() {
    let world = World::start(2, 4);
    assert_eq!(world.count().await, 2);
    world.pool.send(CrashConsumer).await.unwrap();
    settle_down().await;
    world.source.set_lag(Some(2));
    world.pool.send(LagCheck).await.unwrap();
    assert_eq!(world.count().await, 1);
    sleep(Duration::from_millis(150)).await;
    assert_eq!(world.count().await, 4);
}

#[actix::test]
async fn a_stopping_pool_replaces_no_consumer() {
    let world = World::start(1, 1);
    assert_eq!(world.count().await, 1);
    world.pool.send(CrashConsumer).await.unwrap();
    settle_down().await;
    assert_eq!(world.stop_within(MINUTE).await, 0);
    sleep(10 * MINUTE).await;
    assert_eq!(world.count().await, 0);
}

#[actix::test]
async fn a_replaced_pool_goes_on_with_new_consumers() {
    let world = World::start(2, 2);
    world.keep_busy(2).await;
    world.source.offer([10, 11]);
    world.pool.do_send(Crash);
    world.deaths.wait_for(1).await;
    let (config, notice) = (world.config.clone(), world.deaths.notice());
    let pool = PoolActor::new(config, world.stop.child(), notice).start();
    let world = World { pool, ..world };
    assert_eq!(world.count().await, 2);
    world.barrier.open();
    world.source.until_done(4).await;
    assert!(world.source.out().is_empty());
    assert_eq!(world.stop_within(MINUTE).await, 0);
}
