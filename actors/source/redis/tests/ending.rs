//! Ends, and the end of a boot.

use super::*;

#[actix::test]
async fn what_is_finished_leaves_nothing_behind() {
    let Some(world) = World::shared().await else {
        return;
    };
    world.push(["1", "2", "3"]).await;
    let source = world.source();
    let all = fetch(&source, 100).await;
    settle(&source, &all, Disposition::Complete).await;
    assert_eq!(source.lag().await.unwrap(), 0);
    source.close(PATIENCE).await;
    assert_eq!(world.beside().await, [""; 0]);
}

#[actix::test]
async fn a_failed_message_comes_back_when_it_is_due_and_holds_up_nobody() {
    let Some(world) = World::shared().await else {
        return;
    };
    world.push(["1", "2"]).await;
    let source = world.source();
    let all = fetch(&source, 100).await;
    let failed = Instant::now();
    settle(
        &source,
        &all[..1],
        Disposition::Retry(Duration::from_millis(700)),
    )
    .await;
    settle(&source, &all[1..], Disposition::Complete).await;
    until_lag(&source, 1).await;
    world.push(["3"]).await;
    assert_eq!(bodies(&fetch(&source, 100).await), ["3"]);
    let again = fetch(&source, 100).await;
    assert!(
        failed.elapsed() >= Duration::from_millis(700),
        "{:?}",
        failed.elapsed()
    );
    assert_eq!(bodies(&again), ["1"]);
    assert_eq!(
        (again[0].message.attempt, &again[0].message.id),
        (2, &all[0].message.id)
    );
    assert!(!again[0].suspect);
    settle(&source, &again, Disposition::Retry(Duration::ZERO)).await;
    let third = fetch(&source, 100).await;
    assert_eq!(
        (third[0].message.attempt, &third[0].message.id),
        (3, &all[0].message.id)
    );
}

#[actix::test]
async fn what_is_released_keeps_its_order_before_what_came_later() {
    let Some(world) = World::shared().await else {
        return;
    };
    world.push(["1", "2", "3", "4", "5", "6", "7"]).await;
    let source = world.source();
    let (first, second) = (fetch(&source, 3).await, fetch(&source, 3).await);
    settle(&source, &first[..1], Disposition::Complete).await;
    let back = futures_util::future::join(
        settle(&source, &first[1..], Disposition::Release),
        settle(&source, &second, Disposition::Release),
    );
    back.await;
    assert_eq!(world.waiting().await, ["2", "3", "4", "5", "6", "7"]);
    assert_eq!(source.lag().await.unwrap(), 6);
}

#[actix::test]
async fn a_framed_message_that_is_released_keeps_its_attempts() {
    let Some(world) = World::shared().await else {
        return;
    };
    world.push(["1"]).await;
    let source = world.source();
    settle(
        &source,
        &fetch(&source, 1).await,
        Disposition::Retry(Duration::ZERO),
    )
    .await;
    let second = fetch(&source, 1).await;
    settle(&source, &second, Disposition::Release).await;
    let again = fetch(&source, 1).await;
    assert_eq!(
        (again[0].message.attempt, bodies(&again)),
        (2, vec!["1".to_owned()])
    );
}

#[actix::test]
async fn an_end_is_reported_though_its_neighbour_runs_on() {
    let Some(world) = World::shared().await else {
        return;
    };
    world.push(["1", "2", "3"]).await;
    let source = world.source();
    let all = fetch(&source, 100).await;
    settle(&source, &all[..1], Disposition::Complete).await;
    settle(&source, &all[2..], Disposition::Retry(Duration::ZERO)).await;
    let again = fetch(&source, 100).await;
    assert_eq!(bodies(&again), ["3"]);
    let batch: Vec<String> = world
        .ask(&["LRANGE", &batch_key(&world, &source, 1), "1", "-1"])
        .await;
    assert_eq!(batch, ["2"], "what runs on is all that is left");
    // A partly reported batch that is released, and one that ends.
    settle(&source, &all[1..2], Disposition::Release).await;
    assert_eq!(world.waiting().await, ["2"]);
    settle(&source, &again, Disposition::Complete).await;
    assert_eq!(source.lag().await.unwrap(), 1);
}

fn batch_key(world: &World, source: &RedisSource, number: u64) -> String {
    let boot = source
        .registration
        .boot
        .in_generation(source.registration.boot.liveness.generation());
    world.ours(&format!("batch:{boot}:{number}"))
}

#[actix::test]
async fn a_dead_message_is_a_dead_letter_before_it_goes() {
    let Some(world) = World::shared().await else {
        return;
    };
    world.push(["1", "2"]).await;
    let source = world.source();
    let all = fetch(&source, 100).await;
    let dead = Disposition::DeadLetter {
        error: "no".to_owned(),
        attempts: 1,
    };
    settle(&source, &all[..1], dead.clone()).await;
    settle(&source, &all[..1], dead).await;
    settle(&source, &all[1..], Disposition::Complete).await;
    assert_eq!(source.lag().await.unwrap(), 0);
    let dead_letters = world.db.lines(
        "SELECT kind || ' ' || source || ' ' || name || ' ' || CAST(payload AS TEXT) || ' ' || error || ' ' || attempts || ' ' \
         || original_id AS line FROM dead_letter",
    );
    let wanted = format!("redis {} work 1 no 1 {}", world.key, all[0].message.id);
    assert_eq!(dead_letters, [wanted]);
}

#[actix::test]
async fn a_boot_that_ends_releases_everything_in_order() {
    let Some(world) = World::shared().await else {
        return;
    };
    world.push(["1", "2", "3", "4", "5", "6"]).await;
    let source = world.source();
    let retried = fetch(&source, 1).await;
    settle(
        &source,
        &retried,
        Disposition::Retry(Duration::from_secs(1000)),
    )
    .await;
    let (first, _second) = (fetch(&source, 3).await, fetch(&source, 100).await);
    settle(&source, &first[..1], Disposition::Complete).await;
    source.close(PATIENCE).await;
    assert_eq!(world.waiting().await, ["3", "4", "5", "6"]);
    assert_eq!(world.beside().await, ["retries"]);
    // Later reports from this process change nothing.
    settle(&source, &first[1..], Disposition::Release).await;
    assert_eq!(world.waiting().await, ["3", "4", "5", "6"]);
    let stop = StopSignal::new();
    let late = source.registration.beat().await;
    stop.quiet();
    assert!(late.is_err(), "it does not come to life again");
    assert_eq!(world.beside().await, ["retries"]);
}

#[actix::test]
async fn equal_bodies_are_ended_one_by_one() {
    let Some(world) = World::shared().await else {
        return;
    };
    world.push(["same"; 100]).await;
    let source = world.source();
    let all = fetch(&source, 100).await;
    for (n, delivery) in all.iter().enumerate() {
        let end = match n % 10 {
            0 => Disposition::Retry(Duration::ZERO),
            1 => Disposition::Release,
            _ => Disposition::Complete,
        };
        settle(&source, std::slice::from_ref(delivery), end).await;
    }
    assert_eq!(source.lag().await.unwrap(), 20);
    let rest = fetch_all(&source, 20).await;
    assert_eq!(rest.iter().filter(|d| d.message.attempt == 2).count(), 10);
    assert_eq!(rest.iter().filter(|d| d.message.attempt == 1).count(), 10);
}

/// Other daemons would take over the messages of a boot whose heartbeats stop.
#[actix::test]
async fn heartbeats_go_on_after_a_panic() {
    let Some(world) = World::shared().await else {
        return;
    };
    let source = world.source();
    source.registration.registered().await.unwrap();
    crate::task::points::arm("redis heartbeat", &world.key);
    let begun = Instant::now();
    while begun.elapsed() < INTERVAL * 10 {
        tokio::time::sleep(INTERVAL / 3).await;
        assert_eq!(
            source.registration.boot.liveness.generation(),
            0,
            "taken for dead"
        );
    }
    assert!(!crate::task::points::is_armed(
        "redis heartbeat",
        &world.key
    ));
    assert!(source.registration.boot.liveness.is_fresh());
    source.close(PATIENCE).await;
}
