//! Several members of a group.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::producer::Producer as _;
use rdkafka::{Offset, TopicPartitionList};

use super::{
    ANY, DONE, KafkaSource, PATIENCE, World, close, fetch, fetch_all, numbers, place, producer,
    send, settle, until,
};
use crate::membership::Ownership;
use crate::source::{Delivery, Source};
use crate::stop::StopSignal;

async fn until_it_has(source: &KafkaSource, partitions: u32) {
    let mut limit = source.limit().unwrap();
    let has = limit.wait_for(|limit| limit.useful == partitions);
    tokio::time::timeout(PATIENCE, has).await.unwrap().unwrap();
}

/// A second member comes, and goes; whatever the protocol, nothing is lost and nothing doubled.
async fn comes_and_goes(more: &[(&str, &str)]) {
    let Some(world) = World::new(4) else { return };
    world.fill(5).await;
    let first = world.source_with(more);
    until_it_has(&first, 4).await;
    let got = fetch(&first, super::one(1), 3).await;
    assert_eq!(numbers(&got), [0, 1, 2]);

    let second = world.source_with(more);
    // What runs is waited for before its partition goes.
    tokio::time::sleep(Duration::from_millis(500)).await;
    settle(&first, &got, &DONE).await;
    until_it_has(&second, 2).await;
    until_it_has(&first, 2).await;
    let mut all: Vec<(i32, i64)> = got.iter().map(place).collect();
    let of_first = fetch_all(&first, if any_left(&first, &got) { 7 } else { 10 }).await;
    let of_second = fetch_all(&second, 17 - of_first.len()).await;
    settle(&first, &of_first, &DONE).await;
    settle(&second, &of_second, &DONE).await;
    all.extend(of_first.iter().chain(&of_second).map(place));
    all.sort_unstable();
    let expected: Vec<(i32, i64)> = (0..4).flat_map(|p| (0..5).map(move |o| (p, o))).collect();
    assert_eq!(all, expected, "{more:?}");

    close(&second).await;
    until_it_has(&first, 4).await;
    world.send(3, "5").await;
    assert_eq!(numbers(&fetch_all(&first, 1).await), [5]);
    close(&first).await;
}

/// What there is at this moment, or in a moment.
async fn some(source: &KafkaSource, max: u32) -> Vec<Delivery> {
    let stop = StopSignal::new();
    let mut listener = stop.listen();
    let fetched = source.fetch(ANY, max, &mut listener);
    match tokio::time::timeout(Duration::from_millis(20), fetched).await {
        Ok(fetched) => fetched.unwrap().collect(),
        Err(_) => Vec::new(),
    }
}

/// A partition that is kept in a rebalance is paused: what was fetched of it before comes anew, and the marks of
/// transactions among that must not be taken for a sign that the records before them were taken.
#[actix::test]
async fn a_member_that_comes_and_goes_skips_nothing_of_a_topic_with_transactions() {
    const TRANSACTIONS: usize = 150;
    let Some(world) = World::new(2) else { return };
    let producer = producer(world.server, &[("transactional.id", &world.group)]);
    producer.init_transactions(PATIENCE).unwrap();
    let (producer, topic) = (&producer, &world.topic);
    let mut sent = BTreeSet::new();
    for _ in 0..TRANSACTIONS {
        producer.begin_transaction().unwrap();
        let sends = (0..20).map(|n| async move {
            let offset = send(producer, topic, n % 2, "x").await;
            (n % 2, offset)
        });
        sent.extend(join_all(sends).await);
        producer.commit_transaction(PATIENCE).unwrap();
    }
    let first = world.source();
    until_it_has(&first, 2).await;
    let (mut got, mut all) = (BTreeSet::new(), Vec::new());
    let mut second = None;
    let mut quickly = false;
    let deadline = Instant::now() + PATIENCE;
    while got.len() < sent.len() && Instant::now() < deadline {
        if got.len() >= 10 && second.is_none() && !quickly {
            second = Some(world.source());
        }
        // One at a time while the second one comes: nearly all is fetched by then, and little of it is run.
        let max = if quickly { 100 } else { 1 };
        for source in [Some(&first), second.as_ref()].into_iter().flatten() {
            let some = some(source, max).await;
            settle(source, &some, &DONE).await;
            all.extend(some.iter().map(place));
        }
        got.extend(all.iter().copied());
        let has_come = second
            .as_ref()
            .is_some_and(|second| !second.shared.assignments().partitions().is_empty());
        if has_come && let Some(second) = second.take() {
            assert!(got.len() < sent.len() / 2, "most is fetched and not run");
            close(&second).await;
            quickly = true;
        }
    }
    assert!(quickly, "the second one came and went");
    let missing: Vec<_> = sent.difference(&got).take(20).collect();
    assert!(
        missing.is_empty(),
        "{} of {}: {missing:?}",
        got.len(),
        sent.len()
    );
    assert_eq!(all.len(), sent.len(), "each once");
    close(&first).await;
}

/// Whether the first member still has the partition of these.
fn any_left(first: &KafkaSource, got: &[super::Delivery]) -> bool {
    let partition = place(&got[0]).0;
    first.shared.assignments().partitions().contains(&partition)
}

#[actix::test]
async fn members_come_and_go_with_the_usual_protocol() {
    comes_and_goes(&[]).await;
}

#[actix::test]
async fn members_come_and_go_with_the_strategies_of_other_clients() {
    comes_and_goes(&[("partition.assignment.strategy", "range,roundrobin")]).await;
}

#[actix::test]
async fn members_come_and_go_with_the_next_protocol() {
    comes_and_goes(&[("group.protocol", "consumer")]).await;
}

#[actix::test]
async fn a_partition_that_goes_takes_only_what_had_not_ended_with_it() {
    let Some(world) = World::new(1) else { return };
    world.fill(10).await;
    // So that all of it goes.
    let eager = [("partition.assignment.strategy", "range")];
    let first = world.source_with(&eager);
    let got = fetch_all(&first, 10).await;
    settle(&first, &got[..4], &DONE).await;
    let begun = tokio::time::Instant::now();
    let second = Arc::clone(&world.source_with(&eager));
    until("the partition to go", || {
        source_of(&first, &got[4]) == Ownership::Blocked
    })
    .await;
    settle(&first, &got[4..6], &DONE).await;
    // The rest does not end: after a while the others have it.
    let has = |source: &KafkaSource| {
        let assignments = source.shared.assignments();
        !assignments.partitions().is_empty() && !assignments.is_leaving(0)
    };
    until("someone to have it", || has(&first) || has(&second)).await;
    assert!(
        begun.elapsed() >= Duration::from_secs(4),
        "it was waited for: {:?}",
        begun.elapsed()
    );
    if has(&first) {
        // It came back: what runs is not run again, and its end counts.
        assert!(super::is_dry(&first, ANY).await);
        settle(&first, &got[6..], &DONE).await;
    } else {
        let again = fetch_all(&second, 4).await;
        assert_eq!(numbers(&again), [6, 7, 8, 9]);
        // Late ends change nothing.
        settle(&first, &got[6..], &DONE).await;
        world.until_committed(&[(0, 6)]).await;
        settle(&second, &again, &DONE).await;
    }
    world.until_committed(&[(0, 10)]).await;
    close(&first).await;
    close(&second).await;
}

fn source_of(source: &KafkaSource, delivery: &super::Delivery) -> Ownership {
    source.ownership(&delivery.receipt)
}

#[actix::test]
async fn resizing_the_pool_is_not_seen_by_the_group() {
    let Some(world) = World::new(4) else { return };
    world.fill(3).await;
    let source = world.source();
    until_it_has(&source, 4).await;
    let client = source.shared.client().unwrap();
    let assigned = || client.assignment().unwrap().count();
    // Consumers of any number come and go: the member is the same, and has all partitions all the while.
    for consumer in 1..=8 {
        let batch = fetch(&source, super::one(consumer), 1).await;
        assert_eq!(batch.len(), 1);
        settle(&source, &batch, &DONE).await;
        assert_eq!(assigned(), 4);
    }
    drop(client);
    let rest = fetch(&source, ANY, 100).await;
    assert!(!rest.is_empty());
    close(&source).await;
}

/// Takes and finishes what comes, until these have come.
async fn until_bodies(source: &KafkaSource, wanted: &BTreeSet<String>) {
    let (mut seen, deadline) = (BTreeSet::new(), Instant::now() + PATIENCE);
    while !wanted.is_subset(&seen) {
        assert!(Instant::now() < deadline, "{:?}", wanted.difference(&seen));
        let some = some(source, 100).await;
        settle(source, &some, &DONE).await;
        seen.extend(super::bodies(&some).into_iter().map(|(_, body)| body));
    }
}

#[actix::test]
async fn a_topic_that_was_made_again_is_read_from_its_first_record() {
    let Some(world) = World::new(1) else { return };
    for more in [&[][..], &[("auto.offset.reset", "latest")]] {
        let source = world.source_with(more);
        until_it_has(&source, 1).await;
        let of = |round: &str, n: usize| -> BTreeSet<String> {
            (0..n).map(|number| format!("{round}-{number}")).collect()
        };
        let before = of("before", 100);
        for body in &before {
            world.send(0, body).await;
        }
        until_bodies(&source, &before).await;
        world.until_committed(&[(0, 100)]).await;
        world.server.delete_topic(&world.topic);
        tokio::time::sleep(Duration::from_millis(500)).await;
        world.server.create_topic(&world.topic, 1);
        // The other one knows the topic that is gone.
        let producer = producer(world.server, &[]);
        let after = of("after", 200);
        for body in &after {
            send(&producer, &world.topic, 0, body).await;
        }
        until_bodies(&source, &after).await;
        world.until_committed(&[(0, 200)]).await;
        close(&source).await;
        world.server.delete_topic(&world.topic);
        tokio::time::sleep(Duration::from_millis(500)).await;
        world.server.create_topic(&world.topic, 1);
    }
}

/// Each would commit all ends, and the slower one those that are above what the faster one has finished since.
#[actix::test]
async fn a_new_group_begins_where_the_member_with_its_first_partition_says() {
    let Some(world) = World::new(2) else { return };
    world.fill(5).await;
    // Of another program, by whose name it has the first partition; it commits nothing for now.
    let mut config = world.server.client();
    config
        .set("group.id", &world.group)
        .set("client.id", "another")
        .set("enable.auto.commit", "false")
        .set("partition.assignment.strategy", "range");
    let other: BaseConsumer = config.create().unwrap();
    other.subscribe(&[&world.topic]).unwrap();
    let has = |partitions: usize| {
        drop(other.poll(Duration::from_millis(20)));
        let assigned = other.assignment().unwrap();
        let has_first = assigned.find_partition(&world.topic, 0).is_some();
        has_first && assigned.count() == partitions
    };
    until("the other one to have both", || has(2)).await;
    let source = world.source_with(&[
        ("auto.offset.reset", "latest"),
        ("partition.assignment.strategy", "range"),
    ]);
    until("the other one to have the first", || has(1)).await;
    let silent_until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < silent_until {
        drop(other.poll(Duration::from_millis(20)));
        assert!(
            world.committed().is_empty(),
            "it is the other member's to commit"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut ends = TopicPartitionList::new();
    for (partition, end) in [(0, 5), (1, 3)] {
        let end = Offset::Offset(end);
        ends.add_partition_offset(&world.topic, partition, end)
            .unwrap();
    }
    other.commit(&ends, CommitMode::Sync).unwrap();
    let got = fetch_all(&source, 2).await;
    assert_eq!(numbers(&got), [3, 4]);
    settle(&source, &got, &DONE).await;
    drop(other);
    close(&source).await;
}
