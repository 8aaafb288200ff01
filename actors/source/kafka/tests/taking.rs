//! Records that are taken, end, and are committed.

use std::time::Duration;

use bytes::Bytes;
use rdkafka::producer::FutureRecord;

use super::{
    ANY, DONE, PATIENCE, World, bodies, close, fetch, fetch_all, headers, is_dry, numbers, one,
    place, settle, until,
};
use crate::job::{Disposition, SourceKind};
use crate::membership::Ownership;
use crate::source::Source;
use crate::stop::StopSignal;
use crate::store::dead_letter::DeadLetterFilter;

#[actix::test]
async fn a_record_comes_as_its_producer_wrote_it() {
    let Some(world) = World::new(2) else { return };
    let all = headers(&[("trace", "abc"), ("", "x"), ("trace", "测试")]);
    let record = FutureRecord::to(&world.topic)
        .partition(1)
        .key(b"k\0\xff".as_slice())
        .payload(b"\0\xffbytes".as_slice())
        .headers(all)
        .timestamp(1_700_000_000_123);
    world.producer.send(record, PATIENCE).await.unwrap();
    let tombstone = FutureRecord::<[u8], [u8]>::to(&world.topic)
        .partition(1)
        .key(b"k");
    world.producer.send(tombstone, PATIENCE).await.unwrap();

    let source = world.source();
    let got = fetch_all(&source, 2).await;
    let message = &got[0].message;
    assert_eq!(message.id, "1/0");
    assert_eq!(message.payload, b"\0\xffbytes".as_slice());
    assert_eq!(message.key.as_deref(), Some(b"k\0\xff".as_slice()));
    let expected = [("trace", "abc"), ("", "x"), ("trace", "测试")];
    let expected: Vec<(String, Bytes)> = expected
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Bytes::from(*value)))
        .collect();
    assert_eq!(message.headers, expected);
    assert_eq!(message.attempt, 1);
    assert_eq!(
        message.source.kind,
        SourceKind::Kafka {
            topic: world.topic.as_str().into(),
            partition: 1,
            offset: 0,
            timestamp_ms: Some(1_700_000_000_123),
        }
    );
    assert!(got[1].message.payload.is_empty() && got[1].message.key.is_some());
    assert_eq!(
        source.identity(&got[1].message, &got[1].receipt).id(),
        "1/1"
    );
    settle(&source, &got, &DONE).await;
    close(&source).await;
}

#[actix::test]
async fn what_is_finished_is_committed_and_a_successor_begins_behind_it() {
    let Some(world) = World::new(2) else { return };
    world.fill(10).await;
    let source = world.source();
    let got = fetch_all(&source, 20).await;
    assert!(world.committed().is_empty(), "nothing is finished");
    let first: Vec<_> = got.into_iter().filter(|d| place(d).0 == 0).collect();
    // All but the fifth: the position does not pass it.
    let (fifth, others): (Vec<_>, Vec<_>) = first.into_iter().partition(|d| place(d).1 == 4);
    settle(&source, &others, &DONE).await;
    world.until_committed(&[(0, 4), (1, 0)]).await;
    settle(&source, &fifth, &DONE).await;
    world.until_committed(&[(0, 10), (1, 0)]).await;
    close(&source).await;

    let successor = world.source();
    let got = fetch_all(&successor, 10).await;
    assert!(got.iter().all(|delivery| place(delivery).0 == 1));
    settle(&successor, &got[..6], &DONE).await;
    settle(&successor, &got[6..], &Disposition::Release).await;
    close(&successor).await;
    world.until_committed(&[(0, 10), (1, 6)]).await;
}

#[actix::test]
async fn a_failed_record_holds_up_its_partition_and_no_other() {
    let Some(world) = World::new(2) else { return };
    world.fill(3).await;
    let source = world.source();
    let first = fetch(&source, one(1), 100).await;
    assert_eq!(first.len(), 3, "one partition");
    let partition = place(&first[0]).0;
    assert_eq!(source.ownership(&first[1].receipt), Ownership::Held);
    let wait = Duration::from_millis(700);
    settle(&source, &first[..1], &Disposition::Retry(wait)).await;
    let failed = tokio::time::Instant::now();
    assert_eq!(source.ownership(&first[1].receipt), Ownership::Blocked);
    settle(&source, &first[1..], &Disposition::Release).await;
    let other = fetch(&source, one(1), 100).await;
    assert!(other.iter().all(|delivery| place(delivery).0 != partition));
    settle(&source, &other, &DONE).await;
    let again = fetch(&source, one(1), 100).await;
    assert!(failed.elapsed() >= wait, "{:?}", failed.elapsed());
    assert_eq!(numbers(&again), [0, 1, 2]);
    let attempts: Vec<u32> = again
        .iter()
        .map(|delivery| delivery.message.attempt)
        .collect();
    assert_eq!(attempts, [2, 1, 1]);
    settle(&source, &again, &DONE).await;
    close(&source).await;
    world.until_committed(&[(0, 3), (1, 3)]).await;
}

#[actix::test]
async fn a_dead_letter_is_in_the_database_when_its_position_is_committed() {
    let Some(world) = World::new(1) else { return };
    world.fill(2).await;
    let source = world.source();
    let got = fetch_all(&source, 2).await;
    let dead = Disposition::DeadLetter {
        error: "no good".to_owned(),
        attempts: 3,
    };
    settle(&source, &got[..1], &dead).await;
    let dead_letters = world
        .db
        .db
        .reader()
        .dead_letters(DeadLetterFilter::default(), 10)
        .await
        .unwrap();
    assert_eq!(dead_letters.len(), 1);
    let dead_letter = &dead_letters[0];
    assert_eq!(
        (dead_letter.kind.as_str(), dead_letter.source.as_str()),
        ("kafka", world.topic.as_str())
    );
    assert_eq!(
        (
            dead_letter.original_id.as_str(),
            dead_letter.payload.as_slice()
        ),
        ("0/0", b"0".as_slice())
    );
    assert_eq!(
        (dead_letter.error.as_str(), dead_letter.attempts),
        ("no good", 3)
    );
    settle(&source, &got[1..], &DONE).await;
    world.until_committed(&[(0, 2)]).await;
    close(&source).await;
}

#[actix::test]
async fn a_fetch_that_waits_ends_with_records_and_with_the_stop() {
    let Some(world) = World::new(1) else { return };
    let source = world.source();
    let stop = StopSignal::new();
    let waits = |who| {
        let (source, mut stop) = (std::sync::Arc::clone(&source), stop.listen());
        actix::spawn(async move {
            let fetched = source.fetch(who, 10, &mut stop).await;
            fetched.unwrap().collect::<Vec<_>>()
        })
    };
    let (first, second) = (waits(one(1)), waits(one(2)));
    world.send(0, "x").await;
    let (got, other) = tokio::select! {
        got = first => (got.unwrap(), None),
        got = second => (got.unwrap(), Some(())),
    };
    assert_eq!(bodies(&got), [(0, "x".to_owned())]);
    assert!(other.is_none() || got.len() == 1);
    stop.quiet();
    settle(&source, &got, &DONE).await;
    let mut listener = stop.listen();
    let fetched = source.fetch(one(3), 10, &mut listener).await;
    assert_eq!(fetched.unwrap().len(), 0);
    close(&source).await;
}

#[actix::test]
async fn a_fetch_that_is_dropped_has_taken_nothing() {
    let Some(world) = World::new(1) else { return };
    let source = world.source();
    for number in 0..20 {
        let stop = StopSignal::new();
        let mut listener = stop.listen();
        let waiting = source.fetch(ANY, 10, &mut listener);
        let body = number.to_string();
        let sent = world.send(0, &body);
        // Dropped at any moment round its arrival.
        let fetched = tokio::select! {
            fetched = waiting => fetched.unwrap().collect(),
            _ = async {
                sent.await;
                tokio::time::sleep(Duration::from_millis(fastrand::u64(0..10))).await;
            } => Vec::new(),
        };
        let fetched = match fetched.is_empty() {
            true => fetch(&source, one(1), 10).await,
            false => fetched,
        };
        assert_eq!(numbers(&fetched), [number]);
        settle(&source, &fetched, &DONE).await;
    }
    assert!(is_dry(&source, ANY).await);
    close(&source).await;
    until("the end", || *source.shared.ended.borrow()).await;
}
