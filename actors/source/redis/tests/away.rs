//! A server that is full, hangs, crashes, or has lost its data.

use super::*;

/// Just enough memory for the server itself.
const TIGHT: &str = "1mb";

#[actix::test]
async fn a_full_server_is_drained_and_loses_nothing() {
    let Some((_server, world)) = World::dedicated().await else {
        return;
    };
    let sent: Vec<String> = (0..500)
        .map(|n| format!("{n} {}", "x".repeat(1000)))
        .collect();
    world.push(&sent).await;
    let source = world.source();
    source.registration.registered().await.unwrap();
    let _: () = world.ask(&["CONFIG", "SET", "maxmemory", TIGHT]).await;
    let mut full = world.producer.clone();
    let refused = cmd("LPUSH")
        .arg(&world.key)
        .arg("more")
        .query_async::<u64>(&mut full)
        .await;
    assert!(refused.unwrap_err().to_string().contains("OOM"));

    let mut ran = Vec::new();
    let mut failed_once = 0;
    while ran.len() < sent.len() {
        let batch = fetch(&source, 50).await;
        for delivery in &batch {
            // Failures need memory for their frames.
            if delivery.message.attempt == 1 && ran.len() % 10 == 3 && failed_once < 30 {
                failed_once += 1;
                settle(
                    &source,
                    std::slice::from_ref(delivery),
                    Disposition::Retry(Duration::ZERO),
                )
                .await;
            } else {
                ran.extend(bodies(std::slice::from_ref(delivery)));
                settle(
                    &source,
                    std::slice::from_ref(delivery),
                    Disposition::Complete,
                )
                .await;
            }
        }
        source.registration.beat().await.unwrap();
    }
    assert_eq!(failed_once, 30);
    ran.sort();
    let mut wanted = sent.clone();
    wanted.sort();
    assert_eq!(ran, wanted);
    assert_eq!(source.lag().await.unwrap(), 0);
}

#[actix::test]
async fn a_full_server_releases_what_dead_boots_held() {
    let Some((_server, world)) = World::dedicated().await else {
        return;
    };
    let sent: Vec<String> = (0..200)
        .map(|n| format!("{n:03} {}", "x".repeat(1000)))
        .collect();
    world.push(&sent).await;
    let dead = world.source_of("dead");
    fetch(&dead, 60).await;
    let recovery = crate::source::Recovery {
        boot: "dead".to_owned(),
        deaths: Vec::new(),
    };
    drop(dead);
    let _: () = world.ask(&["CONFIG", "SET", "maxmemory", TIGHT]).await;
    let source = world.source();
    source.recover(&recovery).await.unwrap();
    let found = fetch_all(&source, 200).await;
    assert_eq!(bodies(&found), sent);
    settle(&source, &found, Disposition::Release).await;
    source.close(PATIENCE).await;
}

#[actix::test]
async fn a_server_that_crashed_and_lost_its_data_gets_back_what_is_held_here() {
    let Some((server, world)) = World::dedicated().await else {
        return;
    };
    world.push(["1", "2", "3", "waits"]).await;
    let source = world.source();
    let held = fetch(&source, 3).await;
    settle(&source, &held[..1], Disposition::Complete).await;
    server.kill();
    server.start();
    settle(&source, &held[1..2], Disposition::Retry(Duration::ZERO)).await;
    let again = fetch(&source, 100).await;
    assert_eq!(bodies(&again), ["2"]);
    assert_eq!(again[0].message.attempt, 2);
    settle(&source, &again, Disposition::Complete).await;
    until_lag(&source, 1).await;
    settle(&source, &held[2..], Disposition::Complete).await;
    assert_eq!(
        source.lag().await.unwrap(),
        0,
        "what waited there is gone, as the server's owner must know"
    );
}

#[actix::test]
async fn a_server_that_hangs_holds_up_and_loses_nothing() {
    let Some((server, world)) = World::dedicated().await else {
        return;
    };
    world.push(["1", "2"]).await;
    let source = world.source();
    let held = fetch(&source, 1).await;
    server.pause();
    let ends = {
        let source = Arc::clone(&source);
        let held = Settled {
            receipt: held[0].receipt,
            disposition: Disposition::Complete,
        };
        actix_rt::spawn(async move { source.settle(vec![held]).await.unwrap() })
    };
    let fetches = {
        let source = Arc::clone(&source);
        actix_rt::spawn(async move { fetch(&source, 1).await })
    };
    until("the outage", || async { source.list.server().is_down() }).await;
    assert!(source.lag().await.is_err());
    server.resume();
    ends.await.unwrap();
    assert_eq!(bodies(&fetches.await.unwrap()), ["2"]);
    until_lag(&source, 1).await;
    assert!(!source.list.server().is_down());
}

#[actix::test]
async fn a_server_that_is_away_at_the_start_is_found_when_it_comes() {
    let Some((server, world)) = World::dedicated().await else {
        return;
    };
    server.kill();
    let source = world.source();
    let fetches = {
        let source = Arc::clone(&source);
        actix_rt::spawn(async move { fetch(&source, 1).await })
    };
    until("the outage", || async { source.list.server().is_down() }).await;
    server.start();
    let world = World::on(server.url(), world.key.clone()).await;
    world.push(["1"]).await;
    assert_eq!(bodies(&fetches.await.unwrap()), ["1"]);
}

#[actix::test]
async fn a_stop_does_not_wait_for_a_server_that_is_away() {
    let Some((server, world)) = World::dedicated().await else {
        return;
    };
    let source = world.source();
    server.kill();
    until("the outage", || async { source.list.server().is_down() }).await;
    let stop = StopSignal::new();
    stop.quiet();
    let fetched = source.fetch(ME, 1, &mut stop.listen()).await;
    assert_eq!(fetched.unwrap().len(), 0);
    tokio::time::timeout(PATIENCE, source.close(PATIENCE))
        .await
        .unwrap();
}

#[actix::test]
async fn a_connection_that_is_cut_in_the_middle_of_a_batch_is_opened_again() {
    let Some((_server, world)) = World::dedicated().await else {
        return;
    };
    let sent: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    world.push(&sent).await;
    let source = world.source();
    let mut ran = Vec::new();
    while ran.len() < sent.len() {
        let batch = fetch(&source, 7).await;
        let _: i64 = world
            .ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
            .await;
        ran.extend(bodies(&batch));
        settle(&source, &batch, Disposition::Complete).await;
    }
    assert_eq!(ran, sent);
    until_lag(&source, 0).await;
}

#[actix::test]
async fn a_server_that_refuses_only_writes_is_away_until_one_is_done() {
    let Some((_server, world)) = World::dedicated().await else {
        return;
    };
    let source = world.source();
    source.registration.registered().await.unwrap();
    for (refuse, allow, code) in [
        (
            ["REPLICAOF", "127.0.0.1", "1"],
            ["REPLICAOF", "NO", "ONE"],
            "READONLY",
        ),
        (
            ["CONFIG", "SET", "min-replicas-to-write 1"],
            ["CONFIG", "SET", "min-replicas-to-write 0"],
            "NOREPLICAS",
        ),
    ] {
        // The list is idle: questions for messages read, and are answered.
        let fetches = {
            let source = Arc::clone(&source);
            actix_rt::spawn(async move { fetch(&source, 1).await })
        };
        let words = |command: [&'static str; 3]| {
            command
                .map(|word| word.split(' '))
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
        };
        let _: () = world.ask(&words(refuse)).await;
        until(code, || async { source.list.server().is_down() }).await;
        let before = scripts_run(&world).await;
        until("heartbeats and questions", || async {
            assert!(source.list.server().is_down(), "{code}");
            scripts_run(&world).await >= before + 8
        })
        .await;
        let fault = source.registration.beat().await.unwrap_err();
        assert!(fault.text().contains(code), "{fault:?}");
        let _: () = world.ask(&words(allow)).await;
        until("the end", || async { !source.list.server().is_down() }).await;
        world.push(["1"]).await;
        let found = fetches.await.unwrap();
        assert_eq!(bodies(&found), ["1"]);
        settle(&source, &found, Disposition::Complete).await;
    }
}

async fn scripts_run(world: &World) -> u64 {
    let stats: String = world.ask(&["INFO", "commandstats"]).await;
    let evalsha = stats
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    let calls = evalsha.and_then(|rest| rest.split(',').next()?.parse().ok());
    calls.unwrap_or(0)
}

#[actix::test]
async fn a_replica_is_refused_with_its_remedy() {
    let Some((_server, world)) = World::dedicated().await else {
        return;
    };
    let source = world.source();
    source.registration.registered().await.unwrap();
    let _: () = world.ask(&["REPLICAOF", "127.0.0.1", "1"]).await;
    let fault = loop {
        if let Err(fault) = source.registration.beat().await {
            break fault;
        }
    };
    assert!(
        fault.text().contains("`url` must name the primary"),
        "{fault:?}"
    );
    let _: () = world.ask(&["REPLICAOF", "NO", "ONE"]).await;
    world.push(["1"]).await;
    assert_eq!(bodies(&fetch(&source, 1).await), ["1"]);
}

/// What daemons wait by is gone with all else; a message that comes at that moment moves there.
#[actix::test]
async fn messages_that_come_to_a_server_that_has_just_lost_everything_arrive_in_their_order() {
    let Some((_server, world)) = World::dedicated().await else {
        return;
    };
    // No heartbeat comes by itself.
    let source = world.source_beating("boot", Duration::from_secs(3600));
    let waiting = {
        let source = Arc::clone(&source);
        actix_rt::spawn(async move { bodies(&fetch_all(&source, 3).await) })
    };
    until("it to wait", || async {
        let clients: String = world.ask(&["CLIENT", "LIST"]).await;
        clients.contains("cmd=blmove")
    })
    .await;
    // In one step: what comes behind the first one comes before it is put back.
    let _: Value = world
        .ask(&[
            "EVAL",
            "redis.call('FLUSHALL') redis.call('LPUSH', KEYS[1], 'a', 'b', 'c')",
            "1",
            &world.key,
        ])
        .await;
    let found = tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    assert_eq!(found.unwrap(), ["a", "b", "c"]);
    assert_eq!(world.waiting().await, [""; 0]);
}
