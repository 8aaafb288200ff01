//! Taking messages, and waiting for them.

use std::time::Duration;

use super::*;
use crate::job::Disposition;
use crate::source::redis::envelope;

#[actix::test]
async fn the_oldest_message_comes_first() {
    let Some(world) = World::shared().await else {
        return;
    };
    world.push(["1", "2", "3", "4", "5"]).await;
    let source = world.source();
    assert_eq!(bodies(&fetch(&source, 2).await), ["1", "2"]);
    assert_eq!(bodies(&fetch(&source, 100).await), ["3", "4", "5"]);
    assert_eq!(
        source.lag().await.unwrap(),
        5,
        "what is taken is not finished"
    );
}

#[actix::test]
async fn any_bytes_arrive_as_they_were_sent() {
    let Some(world) = World::shared().await else {
        return;
    };
    let sent: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"\0\xff\xfe".to_vec(),
        b"a 1 2\nb".to_vec(),
        "测试".into(),
        vec![b'x'; 1_000_000],
    ];
    world.push(&sent).await;
    let source = world.source();
    let first = fetch_all(&source, sent.len()).await;
    let payloads = |all: &[Delivery]| {
        all.iter()
            .map(|d| d.message.payload.to_vec())
            .collect::<Vec<_>>()
    };
    assert_eq!(payloads(&first), sent);
    // And with a frame, and with that of a dead boot.
    settle(&source, &first, Disposition::Retry(Duration::ZERO)).await;
    let again = fetch_all(&source, sent.len()).await;
    let mut found = payloads(&again);
    found.sort();
    let mut wanted = sent.clone();
    wanted.sort();
    assert_eq!(found, wanted);
    assert!(again.iter().all(|d| d.message.attempt == 2));
}

#[actix::test]
async fn each_message_has_a_name_of_its_own_though_all_bodies_are_equal() {
    let Some(world) = World::shared().await else {
        return;
    };
    world.push(["same"; 300]).await;
    let (one, other) = (world.source(), world.source());
    let mut ids: Vec<String> = Vec::new();
    while ids.len() < 300 {
        for source in [&one, &other] {
            if ids.len() < 300 {
                ids.extend(fetch(source, 7).await.into_iter().map(|d| d.message.id));
            }
        }
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 300);
}

#[actix::test]
async fn a_message_that_arrives_while_nobody_has_work_is_noticed_at_once() {
    let Some(world) = World::shared().await else {
        return;
    };
    let source = world.source();
    let waits = {
        let source = Arc::clone(&source);
        actix_rt::spawn(async move { (fetch(&source, 10).await, Instant::now()) })
    };
    let blocked = || async {
        let clients: String = world.ask(&["CLIENT", "LIST"]).await;
        let waits = |line: &&str| line.contains("cmd=blmove");
        clients.lines().filter(waits).count() > 0
    };
    until("the wait to begin", blocked).await;
    let sent = Instant::now();
    world.push(["now"]).await;
    let (deliveries, noticed) = waits.await.unwrap();
    assert_eq!(bodies(&deliveries), ["now"]);
    // Others are blocked as well, at most; a poll would take longer than this on the average.
    assert!(
        noticed - sent < Duration::from_millis(900),
        "{:?}",
        noticed - sent
    );
}

#[actix::test]
async fn who_waits_moves_nothing_and_ends_with_the_stop() {
    let Some(world) = World::shared().await else {
        return;
    };
    let source = world.source();
    let stop = StopSignal::new();
    let waits = {
        let (source, mut listener) = (Arc::clone(&source), stop.listen());
        actix_rt::spawn(async move {
            let fetched = source.fetch(ME, 10, &mut listener).await;
            fetched.unwrap().collect::<Vec<_>>()
        })
    };
    until("the heartbeat", || async {
        world.beside().await == ["boots", "wake"]
    })
    .await;
    stop.quiet();
    let nothing = tokio::time::timeout(PATIENCE, waits)
        .await
        .unwrap()
        .unwrap();
    assert!(nothing.is_empty());
    world.push(["1", "2"]).await;
    drop(source);
    assert_eq!(world.waiting().await, ["1", "2"]);
}

#[actix::test]
async fn what_a_lost_answer_took_is_found_again() {
    let Some(world) = World::shared().await else {
        return;
    };
    world.push(["1", "2", "3"]).await;
    let source = world.source();
    let generation = source.registration.registered().await.unwrap();
    // The question reaches the server, and the answer never arrives.
    world
        .take_unread(
            &source.registration.boot.in_generation(generation),
            (1, 2),
            "list",
        )
        .await;
    source.polling.pollers.lose_answer(Who::First, 1).await;
    let found = fetch(&source, 100).await;
    assert_eq!(bodies(&found), ["1", "2"]);
    assert_eq!(
        found[0].message.id,
        envelope::id(&source.registration.boot.in_generation(generation), 1, 1)
    );
    assert_eq!(bodies(&fetch(&source, 100).await), ["3"]);
}

#[actix::test]
async fn a_question_that_arrives_after_it_was_asked_again_takes_nothing() {
    let Some(world) = World::shared().await else {
        return;
    };
    let source = world.source();
    let generation = source.registration.registered().await.unwrap();
    source.polling.pollers.lose_answer(Who::First, 1).await;
    world.push(["1"]).await;
    let first = fetch(&source, 100).await;
    assert_eq!(bodies(&first), ["1"]);
    settle(&source, &first, Disposition::Complete).await;
    world.push(["2"]).await;
    world
        .take_unread(
            &source.registration.boot.in_generation(generation),
            (1, 2),
            "list",
        )
        .await;
    assert_eq!(bodies(&fetch(&source, 100).await), ["2"]);
}

#[actix::test]
async fn a_batch_of_this_boot_that_nobody_holds_comes_back() {
    let Some(world) = World::shared().await else {
        return;
    };
    world.push(["1", "2"]).await;
    let source = world.source();
    let generation = source.registration.registered().await.unwrap();
    // A question that was given up and reached the server all the same.
    world
        .take_unread(
            &source.registration.boot.in_generation(generation),
            (7, 2),
            "list",
        )
        .await;
    assert!(world.waiting().await.is_empty());
    assert_eq!(source.lag().await.unwrap(), 2);
    until("it to come back", || async {
        world.waiting().await == ["1", "2"]
    })
    .await;
    // Numbers that the server has seen are not used again.
    assert_eq!(bodies(&fetch_all(&source, 2).await), ["1", "2"]);
}

#[actix::test]
async fn a_key_that_is_no_list_is_reported_and_taken_up_once_it_is_one() {
    let Some(world) = World::shared().await else {
        return;
    };
    let _: () = world.ask(&["SET", &world.key, "text"]).await;
    let source = world.source();
    let waits = {
        let source = Arc::clone(&source);
        actix_rt::spawn(async move { fetch(&source, 10).await })
    };
    until("the trouble", || async { source.list.trouble.is_any() }).await;
    let lag = source.lag().await.unwrap_err().to_string();
    assert!(
        lag.contains("WRONGTYPE") && lag.contains("is no list"),
        "{lag}"
    );
    assert!(!source.list.server().is_down(), "other queues go on");
    let _: u64 = world.ask(&["DEL", &world.key]).await;
    world.push(["1"]).await;
    assert_eq!(bodies(&waits.await.unwrap()), ["1"]);
}

#[actix::test]
async fn keys_of_ours_with_a_wrong_type_lose_nothing() {
    let Some(world) = World::shared().await else {
        return;
    };
    for name in ["back", "retries", "boots"] {
        let _: () = world.ask(&["SET", &world.ours(name), "text"]).await;
        world.push(["1"]).await;
        let source = world.source();
        let stop = StopSignal::new();
        let waits = {
            let (source, mut listener) = (Arc::clone(&source), stop.listen());
            actix_rt::spawn(async move {
                let fetched = source.fetch(ME, 10, &mut listener).await;
                fetched.unwrap().collect::<Vec<_>>()
            })
        };
        until("the trouble", || async { source.list.trouble.is_any() }).await;
        stop.quiet();
        assert!(waits.await.unwrap().is_empty(), "{name}");
        assert_eq!(world.waiting().await, ["1"], "{name}");
        let _: u64 = world.ask(&["DEL", &world.ours(name), &world.key]).await;
    }
}

#[actix::test]
async fn two_names_of_one_server_do_not_mix_up_their_batches() {
    let Some(world) = World::shared().await else {
        return;
    };
    world.push(["1", "2"]).await;
    let (one, other) = (world.source_of("same"), world.source_of("same"));
    assert_eq!(bodies(&fetch(&one, 1).await), ["1"]);
    assert_eq!(bodies(&fetch(&other, 1).await), ["2"]);
}

#[actix::test]
async fn two_look_at_once_while_there_are_plenty() {
    let Some(world) = World::shared().await else {
        return;
    };
    let all: Vec<String> = (0..500).map(|n| n.to_string()).collect();
    world.push(all.iter().map(String::as_str)).await;
    let source = world.source();
    let mut found = bodies(&fetch(&source, 100).await);
    while found.len() < all.len() {
        assert!(source.polling.pollers.is_plenty());
        let (one, other) = tokio::join!(fetch(&source, 100), fetch(&source, 100));
        found.extend(bodies(&one).into_iter().chain(bodies(&other)));
    }
    found.sort_by_key(|body| body.parse::<u32>().unwrap());
    assert_eq!(found, all);
}

#[actix::test]
async fn what_the_second_ones_lost_answer_took_is_found_by_the_next_poll() {
    let Some(world) = World::shared().await else {
        return;
    };
    world.push(["1", "2", "3"]).await;
    let source = world.source();
    let generation = source.registration.registered().await.unwrap();
    world
        .take_unread(
            &source.registration.boot.in_generation(generation),
            (1, 2),
            "list",
        )
        .await;
    source.polling.pollers.lose_answer(Who::Second, 1).await;
    assert_eq!(bodies(&fetch(&source, 100).await), ["1", "2"]);
    assert_eq!(bodies(&fetch(&source, 100).await), ["3"]);
}

#[actix::test]
async fn a_fetch_takes_no_more_bytes_than_fit_or_one_message() {
    let Some(world) = World::shared().await else {
        return;
    };
    let body = |n: usize| n.to_string().repeat(n * 1000);
    let sent: Vec<String> = (1..=9)
        .map(body)
        .chain((0..100).map(|n| n.to_string()))
        .collect();
    world.push(&sent).await;
    let source = world.source();
    let who = Fetcher {
        bytes: 10_000,
        ..ME
    };
    let stop = StopSignal::new();
    let (mut taken, mut portions) = (Vec::new(), Vec::new());
    while taken.len() < sent.len() {
        let mut listener = stop.listen();
        let fetched = source.fetch(who, 100, &mut listener).await.unwrap();
        let deliveries: Vec<Delivery> = fetched.collect();
        portions.push(deliveries.len());
        taken.extend(deliveries);
    }
    assert_eq!(bodies(&taken), sent, "the oldest first");
    assert_eq!(portions, [4, 1, 1, 1, 1, 100, 1]);
    // So it is with those that have failed, and those of a dead boot.
    settle(&source, &taken, Disposition::Retry(Duration::ZERO)).await;
    let mut again = Vec::new();
    while again.len() < sent.len() {
        let mut listener = stop.listen();
        let fetched = source.fetch(who, 100, &mut listener).await.unwrap();
        let deliveries: Vec<Delivery> = fetched.collect();
        let bytes: usize = deliveries.iter().map(|d| d.message.payload.len()).sum();
        assert!(bytes <= 10_000 || deliveries.len() == 1, "{bytes} bytes");
        again.extend(deliveries);
    }
}
