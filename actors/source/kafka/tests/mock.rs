//! Clusters inside the process, for development.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::{DONE, close, fetch_all, one, send, settle, source, until};
use crate::config::{Brokers, KafkaSettings};
use crate::source::kafka::{Clusters, Inside};
use crate::store::rows::NewMessage;
use crate::task::points;
use crate::testing_support::TestDb;

fn clusters(inside: Inside) -> Clusters {
    let settings = || KafkaSettings {
        brokers: Brokers::Mock(NonZeroU16::MIN),
        ..KafkaSettings::default()
    };
    let all = ["default", "other"].map(|name| (name.to_owned(), settings()));
    Clusters::new(&all.into(), inside)
}

#[actix::test]
async fn a_cluster_inside_the_process_is_sent_to_and_read_from() {
    let db = TestDb::start();
    let clusters = clusters(Inside::Daemon);
    let source = source(&clusters, "orders", "g", &db);
    let producer = clusters.producer("default").unwrap();
    for number in 0..5 {
        send(&producer, "orders", 0, &number.to_string()).await;
    }
    let got = fetch_all(&source, 5).await;
    assert_eq!(super::numbers(&got), [0, 1, 2, 3, 4]);
    settle(&source, &got, &DONE).await;
    let other = clusters.producer("other").unwrap();
    assert_eq!(
        send(&other, "orders", 0, "x").await,
        0,
        "each name is a cluster of its own"
    );
    close(&source).await;
}

#[actix::test]
async fn what_is_sent_keeps_its_key_and_headers() {
    let db = TestDb::start();
    let clusters = clusters(Inside::Daemon);
    let message = |n: usize| NewMessage {
        payload: Bytes::from(n.to_string()),
        key: (n == 1).then(|| Bytes::from_static(b"k\xff")),
        headers: vec![("trace".to_owned(), Bytes::from(n.to_string()))],
    };
    clusters
        .produce("default", "orders", (0..3).map(message).collect())
        .await
        .unwrap();
    let source = source(&clusters, "orders", "g", &db);
    let got = fetch_all(&source, 3).await;
    settle(&source, &got, &DONE).await;
    let of = |body: &str| {
        got.iter()
            .find(|delivery| delivery.message.payload == body)
            .unwrap()
    };
    assert_eq!(of("1").message.key.as_deref(), Some(b"k\xff".as_slice()));
    assert_eq!(of("2").message.key, None);
    assert_eq!(of("2").message.headers, message(2).headers);
    close(&source).await;
}

#[actix::test]
async fn a_partition_that_goes_waits_until_its_queue_is_back() {
    let db = TestDb::start();
    let clusters = clusters(Inside::Daemon);
    let source = source(&clusters, "orders", "g", &db);
    let producer = clusters.producer("default").unwrap();
    send(&producer, "orders", 0, "x").await;
    let mut claimed = None;
    until("a claim", || {
        claimed = source
            .shared
            .assignments()
            .claim(one(1), 10, Instant::now());
        claimed.is_some()
    })
    .await;
    let (partition, mut claim) = claimed.unwrap();
    claim.poll();
    let shared = Arc::clone(&source.shared);
    let removes = std::thread::spawn(move || shared.remove(&[partition]));
    until("the partition to go", || {
        source.shared.assignments().is_leaving(partition)
    })
    .await;
    assert!(!removes.is_finished());
    assert!(source.shared.fill((partition, claim)).is_none());
    assert_eq!(removes.join().unwrap(), 0, "it was notified");
    close(&source).await;
}

#[test]
fn another_process_gets_the_reason_why_it_cannot_reach_it() {
    let refused = clusters(Inside::Elsewhere)
        .producer("default")
        .err()
        .unwrap();
    let why = refused.to_string();
    assert!(
        why.contains("`kafka.default` is `mock://1`, a cluster inside the daemon's process"),
        "{why}"
    );
    let unknown = clusters(Inside::Daemon).producer("defualt").err().unwrap();
    assert!(
        unknown.to_string().contains("they have default, other"),
        "{unknown}"
    );
}

#[actix::test]
async fn a_member_that_panics_is_made_anew_and_skips_nothing() {
    let db = TestDb::start();
    let clusters = clusters(Inside::Daemon);
    let topic = "of a panic";
    let topic = topic.replace(' ', "-");
    let source = source(&clusters, &topic, "g", &db);
    let producer = clusters.producer("default").unwrap();
    for number in 0..3 {
        send(&producer, &topic, 0, &number.to_string()).await;
    }
    let got = fetch_all(&source, 3).await;
    settle(&source, &got, &DONE).await;
    for (number, place) in [(3, "kafka member"), (4, "kafka waking")] {
        points::arm(place, &topic);
        send(&producer, &topic, 0, &number.to_string()).await;
        until("the panic", || !points::is_armed(place, &topic)).await;
    }
    send(&producer, &topic, 0, "5").await;
    let mut numbers = super::numbers(&fetch_all(&source, 3).await);
    // What was finished and not committed before the panic may come again; nothing is left out.
    while !numbers.contains(&5) {
        numbers.extend(super::numbers(&fetch_all(&source, 1).await));
    }
    assert!(
        [3, 4, 5].iter().all(|number| numbers.contains(number)),
        "{numbers:?}"
    );
    close(&source).await;
}
