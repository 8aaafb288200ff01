//! A server at the other end of a slow link.

use super::*;

/// 100 Mbit/s.
const BYTES_PER_SECOND: u32 = 12_500_000;
const MEGABYTE: usize = 1 << 20;

/// What reads one list through a slow link while another source of the same server works on its own, until all has come.
/// Answers the bytes of the messages, and those that the server sent.
async fn through_a_slow_link(payloads: &[String]) -> Option<(u64, u64)> {
    let (server, world) = World::dedicated().await?;
    world.push(payloads).await;
    let way = Way::slow(server.port(), BYTES_PER_SECOND);
    let through = World::on(way.url(), world.key.clone()).await;
    let shared = through.server();
    let source = through.source_on(&shared, &world.key, "boot");
    let other = through.source_on(&shared, "other", "boot");
    let others = {
        let (other, mut producer) = (Arc::clone(&other), world.producer.clone());
        actix_rt::spawn(async move {
            let mut n = 0;
            loop {
                let mut push = cmd("LPUSH");
                let _: u64 = push
                    .arg("other")
                    .arg("small")
                    .query_async(&mut producer)
                    .await
                    .unwrap();
                let found = fetch(&other, 1).await;
                settle(&other, &found, Disposition::Complete).await;
                n += found.len();
                if Arc::strong_count(&other) == 1 {
                    return n;
                }
            }
        })
    };
    let watched = {
        let shared = Arc::clone(&shared);
        actix_rt::spawn(async move {
            loop {
                assert!(!shared.is_down(), "it was slow, and not away");
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        })
    };
    let mut found = Vec::new();
    while found.len() < payloads.len() {
        let batch = fetch(&source, 100).await;
        settle(&source, &batch, Disposition::Complete).await;
        found.extend(bodies(&batch));
    }
    assert!(
        found == payloads,
        "they came as they were sent, in their order"
    );
    until_lag(&source, 0).await;
    drop(other);
    assert!(others.await.unwrap() > 0);
    assert_eq!(
        source.registration.boot.liveness.generation(),
        0,
        "its heartbeats went through"
    );
    assert!(!watched.is_finished(), "an outage was logged");
    watched.abort();
    let bytes: usize = payloads.iter().map(String::len).sum();
    Some((bytes as u64, way.passed()))
}

/// `n` messages of this size, each with its number.
fn payloads(n: usize, bytes: usize) -> Vec<String> {
    (0..n)
        .map(|n| format!("{n} {}", "x".repeat(bytes)))
        .collect()
}

#[actix::test]
async fn many_large_messages_come_once_through_a_slow_link() {
    if let Some((bytes, sent)) = through_a_slow_link(&payloads(100, MEGABYTE)).await {
        println!("{bytes} bytes of messages: {sent} sent");
        assert!(sent < bytes + bytes / 5, "{sent} of {bytes}");
    }
}

#[actix::test]
async fn a_message_that_takes_longer_than_any_server_may_be_silent_comes_through() {
    // Eight seconds.
    if let Some((bytes, sent)) = through_a_slow_link(&payloads(1, 100 * MEGABYTE)).await {
        println!("{bytes} bytes of messages: {sent} sent");
        assert!(sent < bytes + bytes / 5, "{sent} of {bytes}");
    }
}

/// Each waiting daemon learns that it has come; one of them gets it.
#[actix::test]
async fn a_large_message_crosses_the_link_once_however_many_daemons_wait_for_it() {
    const WAITING: usize = 4;
    let Some((server, world)) = World::dedicated().await else {
        return;
    };
    let way = Way::slow(server.port(), BYTES_PER_SECOND);
    let through = World::on(way.url(), world.key.clone()).await;
    let sources: Vec<_> = (0..WAITING).map(|_| through.source()).collect();
    let fetches: Vec<_> = sources
        .iter()
        .map(|source| {
            let source = Arc::clone(source);
            actix_rt::spawn(async move {
                let found = fetch(&source, 1).await;
                settle(&source, &found, Disposition::Complete).await;
            })
        })
        .collect();
    until("all of them to wait", || async {
        let clients: String = world.ask(&["CLIENT", "LIST"]).await;
        clients.matches("cmd=blmove").count() == WAITING
    })
    .await;
    let large = payloads(1, 20 * MEGABYTE);
    let before = way.passed();
    world.push(&large).await;
    until("it to be taken and finished", || async {
        fetches.iter().any(|fetch| fetch.is_finished())
    })
    .await;
    let sent = way.passed() - before;
    println!(
        "{} bytes of one message, {WAITING} daemons wait: {sent} sent",
        large[0].len()
    );
    assert!(sent < large[0].len() as u64 * 6 / 5, "{sent}");
    fetches.iter().for_each(|fetch| fetch.abort());
}
