//! Children that die are replaced, but for those that a stop no longer needs.

use super::*;
use crate::pool;
use crate::supervisor::Child;

#[test]
fn every_child_that_dies_is_replaced() {
    let (code, world) = run(false, |world| async move {
        let children = world.children().await;
        let (id, pool) = children.pools.first_key_value().unwrap();
        let (id, pool) = (*id, pool.clone());
        for (round, child) in [
            Child::Alert,
            Child::Db,
            Child::DelayQueue,
            Child::Pool(id),
            Child::Cron,
            Child::Http,
            Child::OwnCode(0),
            Child::Db,
        ]
        .into_iter()
        .enumerate()
        {
            world.send(&format!("before {round}")).await;
            match child {
                Child::Alert => children
                    .alert
                    .as_ref()
                    .unwrap()
                    .do_send(crate::alert::own::Crash),
                Child::Db => world.db.crash_actor(),
                Child::DelayQueue => world.delay_queue.get().unwrap().do_send(delay_queue::Crash),
                Child::Pool(_) => pool.do_send(pool::Crash),
                Child::Cron => children.cron.as_ref().unwrap().do_send(cron::Crash),
                Child::Http => children.http.as_ref().unwrap().do_send(crate::http::Crash),
                Child::OwnCode(_) => children.own_code[0].do_send(own_code::Crash),
            }
            sleep(Duration::from_secs(10)).await;
            world.send(&format!("message {round}")).await;
            world.push(&format!("task {round}")).await;
            world.ran.wait_for(3 * (round + 1)).await;
        }
        let now = world.children().await;
        assert!(now.pools[&id].connected() && now.cron.unwrap().connected());
        assert!(now.own_code[0].connected() && now.alert.unwrap().connected());
        assert!(!pool.connected() && !children.own_code[0].connected());
        world.begin_stop();
    });
    assert_eq!((code, world.claimed(), world.boot_state()), (0, 0, 2));
    assert_eq!(
        world
            .files
            .number("SELECT count(*) AS n FROM queue_message"),
        0
    );
    assert_eq!(world.ran.len(), 24, "each once");
}

#[test]
fn replacements_come_slower_and_slower() {
    let (code, _) = run(false, |world| async move {
        world.children().await;
        let mut pauses = Vec::new();
        for _ in 0..5 {
            let addr = world.delay_queue.get().unwrap();
            addr.do_send(delay_queue::Crash);
            let died = tokio::time::Instant::now();
            soon(async {
                while world.delay_queue.get().unwrap() == addr {
                    sleep(Duration::from_millis(5)).await;
                }
            })
            .await;
            pauses.push(died.elapsed().as_millis() / 100);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16]);
        world.begin_stop();
    });
    assert_eq!(code, 0);
}

#[test]
fn a_stop_does_not_wait_for_a_dead_child() {
    let (code, world) = run(false, |world| async move {
        let children = world.children().await;
        children
            .pools
            .values()
            .for_each(|pool| pool.do_send(pool::Crash));
        children.cron.as_ref().unwrap().do_send(cron::Crash);
        crate::testing_support::settle_down().await;
        world.begin_stop();
    });
    assert_eq!((code, world.boot_state()), (0, 2));
}

#[test]
fn the_writer_is_replaced_during_a_stop_too() {
    let (code, world) = run(false, |world| async move {
        world.children().await;
        world.push("wait").await;
        world.ran.wait_for(1).await;
        world.begin_stop();
        sleep(Duration::from_secs(1)).await;
        world.db.crash_actor();
        sleep(Duration::from_millis(10)).await;
        world.barrier.open();
    });
    assert_eq!((code, world.boot_state(), world.claimed()), (0, 2, 0));
}
