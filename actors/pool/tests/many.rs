//! A daemon with a thousand queue entries: their lags are checked side by side.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::super::{AwaitEnd, CountConsumers, LagCheck, PoolActor, PoolConfig, counted_to};
use crate::consumer::Work;
use crate::drop_notice::GoneNotice;
use crate::membership::Liveness;
use crate::source::{IdleTables, TableLags, TableSource};
use crate::stop::StopSignal;
use crate::store::rows::EntryName;
use crate::testing_support::{FakeSource, TestDb, limits, settle_down, single, soon, work};
use crate::workers::Workers;

const ENTRIES: usize = 1000;
/// The lag of each of these takes as long as at a slow broker.
const SLOW: usize = 20;
const SLOW_LAG: Duration = Duration::from_millis(900);
const SECOND: Duration = Duration::from_secs(1);
/// Of the real thing, on real time: a second, and what a machine that builds other things needs more. It took 0.4 to
/// 0.7 s on two cores with a load of 11, without optimization.
const SHARED_MACHINE: Duration = Duration::from_secs(5);
const MINUTE: Duration = Duration::from_secs(60);

fn pool(work: Work, workers: &Arc<Workers>, stop: &StopSignal) -> Addr<PoolActor> {
    let config = PoolConfig {
        work,
        limits: limits(1, 2),
        lag_check_interval: 3 * MINUTE,
        consumer_lease: 5 * MINUTE,
        workers: Arc::clone(workers),
    };
    PoolActor::new(config, stop.child(), GoneNotice::none()).start()
}

/// How many pools have this many consumers.
async fn of_size(pools: &[Addr<PoolActor>], size: usize) -> usize {
    let counts = join_all(pools.iter().map(|pool| pool.send(CountConsumers))).await;
    counts
        .into_iter()
        .filter(|count| *count.as_ref().unwrap() == size)
        .count()
}

async fn end(pools: &[Addr<PoolActor>], stop: &StopSignal) {
    stop.stop(Instant::now() + MINUTE);
    join_all(pools.iter().map(|pool| pool.send(AwaitEnd))).await;
}

#[actix::test]
async fn slow_lags_do_not_delay_a_thousand_entries() {
    tokio::time::pause();
    let (workers, stop) = (Arc::new(Workers::here()), StopSignal::new());
    let sources: Vec<_> = (0..ENTRIES).map(|_| FakeSource::new()).collect();
    for source in &sources {
        source.set_lag(Some(0));
    }
    for source in sources.iter().take(SLOW) {
        source.slow_lag(SLOW_LAG);
    }
    let handler = single(async |_| Ok(()));
    let pools: Vec<_> = sources
        .iter()
        .map(|source| pool(work(source, handler.clone()), &workers, &stop))
        .collect();
    sleep(3 * MINUTE - SECOND).await;
    assert_eq!(of_size(&pools, 1).await, ENTRIES);
    for source in &sources {
        source.set_lag(Some(1));
    }
    // All timers ring at the same moment.
    let asked: usize = sources.iter().map(|source| source.lag_asked()).sum();
    soon(async {
        while sources
            .iter()
            .map(|source| source.lag_asked())
            .sum::<usize>()
            == asked
        {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let begun = Instant::now();
    settle_down().await;
    assert_eq!(
        of_size(&pools, 2).await,
        ENTRIES - SLOW,
        "nobody waits for the slow ones"
    );
    soon(async {
        while of_size(&pools, 2).await < ENTRIES {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert!(begun.elapsed() < SECOND, "{:?}", begun.elapsed());
    end(&pools, &stop).await;
}

#[actix::test]
async fn a_thousand_tables_are_checked_within_a_second() {
    let db = TestDb::start();
    let liveness = Arc::new(Liveness::new(MINUTE));
    let (workers, stop) = (Arc::new(Workers::here()), StopSignal::new());
    let lags = TableLags::new(db.db.clone());
    let idle = IdleTables::new(db.db.clone());
    let any = FakeSource::new();
    let handler = single(async |_| Ok(()));
    let pools: Vec<_> = (0..ENTRIES)
        .map(|n| {
            let entry = EntryName {
                name: format!("entry {n}"),
                exec_cmd: "c".to_owned(),
            };
            let (db, owner, liveness) = (db.db.clone(), "script1/a".to_owned(), &liveness);
            let table = TableSource::new(db, owner, Arc::clone(liveness), &format!("q{n}"), entry);
            let table = table
                .with_lags(Arc::clone(&lags), counted_to(&limits(1, 2)))
                .with_idle(Arc::clone(&idle));
            let work = Work {
                source: Arc::new(table),
                ..work(&any, handler.clone())
            };
            pool(work, &workers, &stop)
        })
        .collect();
    while of_size(&pools, 1).await < ENTRIES {
        sleep(Duration::from_millis(10)).await;
    }
    // Nobody may take them yet: they are lag, and no work beside the check.
    db.sql(
        "WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 9999)
         INSERT INTO queue_message (queue, payload, due_ms, created_ms)
         SELECT 'q' || (n % 1000), X'00', 4102444800000, 0 FROM n",
    );
    let begun = Instant::now();
    for pool in &pools {
        pool.do_send(LagCheck);
    }
    while of_size(&pools, 2).await < ENTRIES {
        sleep(Duration::from_millis(10)).await;
    }
    let took = begun.elapsed();
    println!("1,000 tables with 10 messages each: checked in {took:?}");
    assert!(took < SHARED_MACHINE, "{took:?}");
    end(&pools, &stop).await;
}

#[actix::test]
async fn a_missing_lag_is_asked_for_again() {
    tokio::time::pause();
    let source = FakeSource::new();
    source.set_lag(Some(1));
    let handler = single(async |_| Ok(()));
    let (workers, stop) = (Arc::new(Workers::here()), StopSignal::new());
    let pools = [pool(work(&source, handler), &workers, &stop)];
    settle_down().await;
    assert_eq!(of_size(&pools, 2).await, 1);
    source.slow_lag(Duration::from_secs(86_400));
    for check in 0..20 {
        sleep(MINUTE / 2).await;
        pools[0].send(LagCheck).await.unwrap();
        assert_eq!(
            of_size(&pools, 2).await,
            1,
            "an outage changes nothing: {check}"
        );
    }
    source.slow_lag(Duration::ZERO);
    source.set_lag(Some(0));
    sleep(9 * MINUTE).await;
    assert_eq!(of_size(&pools, 1).await, 1);
    end(&pools, &stop).await;
}
