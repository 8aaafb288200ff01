//! A server that is back at an older state: it knows the boot, and not what it gave it since.

use super::*;

/// What is on disk at this moment is what the server will have after `crash`.
async fn snapshot(world: &World) {
    let _: () = world.ask(&["SAVE"]).await;
}

async fn crash(server: &Redis) {
    server.kill();
    server.start();
}

/// So that nothing but what a test does itself can notice.
const SELDOM: Duration = Duration::from_secs(3600);

async fn known_to_the_server(world: &World, heartbeats: Duration) -> Arc<RedisSource> {
    let source = world.source_beating("boot", heartbeats);
    world.push(["before"]).await;
    let before = fetch(&source, 1).await;
    settle(&source, &before, Disposition::Complete).await;
    snapshot(world).await;
    source
}

async fn until_retry_is_set(world: &World) {
    until("the retry", || async {
        let retries: u64 = world.ask(&["ZCARD", &world.ours("retries")]).await;
        retries == 1
    })
    .await;
}

/// Takes all of it and ends it well.
async fn drain(source: &RedisSource, n: usize) -> Vec<(String, u32)> {
    let all = fetch_all(source, n).await;
    settle(source, &all, Disposition::Complete).await;
    until_lag(source, 0).await;
    let mut found: Vec<_> = bodies(&all)
        .into_iter()
        .zip(all.iter().map(|delivery| delivery.message.attempt))
        .collect();
    found.sort();
    found
}

#[actix::test]
async fn a_failed_message_comes_again_though_the_server_forgot_its_batch() {
    let Some((server, world)) = World::dedicated().await else {
        return;
    };
    let source = known_to_the_server(&world, SELDOM).await;
    world.push(["1", "2", "3"]).await;
    let held = fetch(&source, 3).await;
    crash(&server).await;
    settle(&source, &held[..1], Disposition::Retry(Duration::ZERO)).await;
    settle(&source, &held[1..2], Disposition::Complete).await;
    settle(&source, &held[2..], Disposition::Release).await;
    let found = drain(&source, 2).await;
    assert_eq!(found, [("1".to_owned(), 2), ("3".to_owned(), 1)]);
}

#[actix::test]
async fn a_stop_releases_what_the_server_forgot() {
    let Some((server, world)) = World::dedicated().await else {
        return;
    };
    let source = known_to_the_server(&world, SELDOM).await;
    let sent: Vec<String> = (100..400).map(|n| n.to_string()).collect();
    world.push(&sent).await;
    let held = fetch_all(&source, sent.len()).await;
    settle(&source, &held[..50], Disposition::Complete).await;
    crash(&server).await;
    settle(&source, &held[50..], Disposition::Release).await;
    source.close(PATIENCE).await;
    let world = World::on(server.url(), world.key.clone()).await;
    assert_eq!(world.waiting().await, sent[50..]);
}

#[actix::test]
async fn a_stop_that_does_not_know_yet_that_the_server_is_back_releases_what_it_forgot() {
    let Some((server, world)) = World::dedicated().await else {
        return;
    };
    let source = known_to_the_server(&world, SELDOM).await;
    world.push(["1", "2", "3"]).await;
    let held = fetch(&source, 3).await;
    server.kill();
    let releasing = {
        let source = Arc::clone(&source);
        actix_rt::spawn(async move { settle(&source, &held, Disposition::Release).await })
    };
    until("the outage", || async { source.list.server().is_down() }).await;
    server.start();
    source.close(PATIENCE).await;
    releasing.await.unwrap();
    let world = World::on(server.url(), world.key.clone()).await;
    assert_eq!(world.waiting().await, ["1", "2", "3"]);
    assert_eq!(world.beside().await, [""; 0]);
}

#[actix::test]
async fn a_heartbeat_puts_back_what_runs_for_long() {
    let Some((server, world)) = World::dedicated().await else {
        return;
    };
    let source = known_to_the_server(&world, INTERVAL).await;
    world.push(["1", "2"]).await;
    let held = fetch(&source, 2).await;
    settle(&source, &held[..1], Disposition::Retry(SELDOM)).await;
    until_retry_is_set(&world).await;
    crash(&server).await;
    let world = World::on(server.url(), world.key.clone()).await;
    until("the batch", || async {
        let lag = source.lag().await;
        lag.is_ok_and(|lag| lag == 1)
    })
    .await;
    // From here on it is as safe as before: others get it when this daemon dies.
    drop((held, source));
    let other = world.source();
    let found = drain(&other, 1).await;
    assert_eq!(found, [("2".to_owned(), 1)]);
}

#[actix::test]
async fn a_question_for_messages_notices_before_it_hides_what_is_missing() {
    let Some((server, world)) = World::dedicated().await else {
        return;
    };
    let source = known_to_the_server(&world, SELDOM).await;
    world.push(["1", "2"]).await;
    let held = fetch(&source, 2).await;
    crash(&server).await;
    let world = World::on(server.url(), world.key.clone()).await;
    world.push(["3"]).await;
    let next = fetch(&source, 1).await;
    assert_eq!(bodies(&next), ["3"]);
    assert_eq!(source.lag().await.unwrap(), 3);
    settle(&source, &held, Disposition::Retry(Duration::ZERO)).await;
    settle(&source, &next, Disposition::Complete).await;
    let found = drain(&source, 2).await;
    assert_eq!(found, [("1".to_owned(), 2), ("2".to_owned(), 2)]);
}

#[actix::test]
async fn a_boot_that_others_judged_by_an_older_state_loses_only_what_that_state_knew() {
    let Some((server, world)) = World::dedicated().await else {
        return;
    };
    let source = world.source_beating("boot", SELDOM);
    world.push(["known"]).await;
    let known = fetch(&source, 1).await;
    snapshot(&world).await;
    world.push(["new"]).await;
    let new = fetch(&source, 1).await;
    crash(&server).await;
    let world = World::on(server.url(), world.key.clone()).await;
    // Its heartbeat is old there, as it would be after a longer outage.
    let boots = world.ours("boots");
    let boot = source.registration.boot.in_generation(0).to_string();
    let _: u64 = world.ask(&["ZADD", &boots, "1", &boot]).await;
    let other = world.source();
    let taken_over = fetch(&other, 1).await;
    assert_eq!(bodies(&taken_over), ["known"]);

    settle(&source, &known, Disposition::Retry(Duration::ZERO)).await;
    settle(&source, &new, Disposition::Retry(Duration::ZERO)).await;
    settle(&other, &taken_over, Disposition::Complete).await;
    let again = fetch_all(&other, 1).await;
    assert_eq!(bodies(&again), ["new"]);
    assert_eq!(again[0].message.attempt, 2);
    settle(&other, &again, Disposition::Complete).await;
    until_lag(&other, 0).await;
}

#[actix::test]
async fn what_had_moved_to_a_retry_comes_back_with_the_older_state() {
    let Some((server, world)) = World::dedicated().await else {
        return;
    };
    let source = world.source_beating("boot", INTERVAL);
    world.push(["1", "2"]).await;
    let held = fetch(&source, 2).await;
    snapshot(&world).await;
    settle(&source, &held[..1], Disposition::Retry(SELDOM)).await;
    until_retry_is_set(&world).await;
    crash(&server).await;
    settle(&source, &held[1..], Disposition::Complete).await;
    let found = drain(&source, 1).await;
    assert_eq!(found, [("1".to_owned(), 1)]);
}

#[actix::test]
async fn a_promoted_replica_that_was_behind_gets_back_what_is_held_here() {
    let Some((primary, world)) = World::dedicated().await else {
        return;
    };
    let Some(replica) = Redis::dedicated() else {
        return;
    };
    let way = Way::to(primary.port());
    let mut through = World::on(way.url(), world.key.clone()).await;
    let copy = World::on(replica.url(), world.key.clone()).await;
    let port = primary.port().to_string();
    let _: () = copy.ask(&["REPLICAOF", "127.0.0.1", &port]).await;
    let source = through.source_beating("boot", INTERVAL);
    through.push(["before"]).await;
    let before = fetch(&source, 1).await;
    settle(&source, &before, Disposition::Complete).await;
    let batches = world.ours(&format!(
        "batches:{}",
        source.registration.boot.in_generation(0)
    ));
    until("the replica", || async {
        let last: Option<u64> = copy.ask(&["HGET", &batches, "last"]).await;
        let batches: u64 = copy.ask(&["HLEN", &batches]).await;
        last.is_some() && batches == 1
    })
    .await;
    // Nothing reaches it from here on, as one that is cut off or late.
    let _: () = copy.ask(&["REPLICAOF", "NO", "ONE"]).await;
    world.push(["1", "2"]).await;
    let held = fetch(&source, 2).await;
    way.lead_to(replica.port());
    through = World::on(way.url(), world.key.clone()).await;
    settle(&source, &held[..1], Disposition::Retry(Duration::ZERO)).await;
    until_lag(&source, 2).await;
    settle(&source, &held[1..], Disposition::Release).await;
    through.push(["3"]).await;
    let found = drain(&source, 3).await;
    let wanted = [
        ("1".to_owned(), 2),
        ("2".to_owned(), 1),
        ("3".to_owned(), 1),
    ];
    assert_eq!(found, wanted);
}
