//! How far behind: cases from the field.

use std::time::Duration;

use rdkafka::producer::{FutureRecord, Producer};

use super::{
    ANY, DONE, PATIENCE, World, close, fetch_all, is_dry, place, producer, send, settle, until,
};
use crate::job::Disposition;
use crate::source::{Limit, Source};
use crate::stop::StopSignal;

impl World {
    async fn lag(&self, source: &super::KafkaSource) -> u64 {
        // Until there is a connection.
        loop {
            match source.lag().await {
                Ok(lag) => return lag,
                Err(cause) => log::debug!("{cause}"),
            }
            tokio::time::sleep(super::POLL_INTERVAL).await;
        }
    }

    async fn until_lag(&self, source: &super::KafkaSource, wanted: u64) {
        let begun = tokio::time::Instant::now();
        loop {
            let lag = self.lag(source).await;
            if lag == wanted {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{lag}, not {wanted}");
            tokio::time::sleep(super::POLL_INTERVAL).await;
        }
    }
}

#[actix::test]
async fn what_is_in_flight_counts_once() {
    let Some(world) = World::new(3) else { return };
    world.fill(10).await;
    let source = world.source();
    assert_eq!(
        world.lag(&source).await,
        30,
        "a group without positions has all before it"
    );
    let got = fetch_all(&source, 25).await;
    assert_eq!(world.lag(&source).await, 30);
    settle(&source, &got[..1], &DONE).await;
    assert_eq!(world.lag(&source).await, 29, "before it is committed");
    settle(
        &source,
        &got[1..2],
        &Disposition::Retry(Duration::from_secs(60)),
    )
    .await;
    settle(&source, &got[2..], &Disposition::Release).await;
    assert_eq!(world.lag(&source).await, 29);
    close(&source).await;
    let ceiling = source.limit().unwrap().borrow().ceiling;
    assert_eq!(ceiling, 3, "the topic's partitions");
}

#[actix::test]
async fn the_lag_is_that_of_the_whole_group() {
    let Some(world) = World::new(4) else { return };
    world.fill(5).await;
    let (one, other) = (world.source(), world.source());
    for source in [&one, &other] {
        let mut limit = source.limit().unwrap();
        limit.wait_for(|limit| limit.useful == 2).await.unwrap();
    }
    let got = fetch_all(&one, 10).await;
    settle(&one, &got, &DONE).await;
    for source in [&one, &other] {
        world.until_lag(source, 10).await;
        let limit = *source.limit().unwrap().borrow();
        assert_eq!(
            limit,
            Limit {
                useful: 2,
                ceiling: 4
            }
        );
    }
    close(&one).await;
    close(&other).await;
}

#[actix::test]
async fn the_marks_of_transactions_are_no_lag() {
    let Some(world) = World::new(1) else { return };
    let name = world.server.name();
    let producer = producer(world.server, &[("transactional.id", &name)]);
    producer.init_transactions(PATIENCE).unwrap();
    for round in 0..4 {
        producer.begin_transaction().unwrap();
        for _ in 0..2 {
            let record = FutureRecord::<(), str>::to(&world.topic).payload("x");
            producer.send(record, PATIENCE).await.unwrap();
        }
        match round {
            2 => producer.abort_transaction(PATIENCE).unwrap(),
            _ => producer.commit_transaction(PATIENCE).unwrap(),
        }
    }
    let source = world.source();
    let got = fetch_all(&source, 6).await;
    let offsets: Vec<i64> = got.iter().map(|delivery| place(delivery).1).collect();
    assert_eq!(
        offsets,
        [0, 1, 3, 4, 9, 10],
        "marks and what was taken back are gaps"
    );
    world.until_lag(&source, 12).await;
    settle(&source, &got, &DONE).await;
    // Consumers go on waiting for more, and so find that there is none.
    assert!(is_dry(&source, ANY).await);
    world.until_lag(&source, 0).await;
    // The last mark is passed as well: others of the group count by what is committed.
    world.until_committed(&[(0, 12)]).await;
    world.send(0, "y").await;
    world.until_lag(&source, 1).await;
    close(&source).await;
}

/// Waits for records on behalf of a pool that has nothing to do, until `check` ends.
async fn while_all_wait(sources: &[&super::KafkaSource], check: impl Future<Output = ()>) {
    let stop = StopSignal::new();
    let waiting = sources.iter().map(|source| {
        let mut listener = stop.listen();
        async move {
            loop {
                assert_eq!(source.fetch(ANY, 9, &mut listener).await.unwrap().len(), 0);
            }
        }
    });
    tokio::select! {
        _ = futures_util::future::join_all(waiting) => unreachable!("they wait for ever"),
        () = check => {}
    }
}

#[actix::test]
async fn what_never_comes_is_no_lag_for_either_daemon_of_a_group() {
    let Some(world) = World::new(4) else { return };
    let name = world.server.name();
    let producer = producer(world.server, &[("transactional.id", &name)]);
    producer.init_transactions(PATIENCE).unwrap();
    // Nothing but what is taken back, on each partition.
    producer.begin_transaction().unwrap();
    for partition in 0..4 {
        send(&producer, &world.topic, partition, "x").await;
    }
    producer.abort_transaction(PATIENCE).unwrap();
    let (one, other) = (world.source(), world.source());
    for source in [&one, &other] {
        let mut limit = source.limit().unwrap();
        limit.wait_for(|limit| limit.useful == 2).await.unwrap();
    }
    while_all_wait(&[&one, &other], async {
        world
            .until_committed(&[(0, 2), (1, 2), (2, 2), (3, 2)])
            .await;
        for source in [&one, &other] {
            world.until_lag(source, 0).await;
        }
    })
    .await;
    // Deleted before a consumer has them, while no member reads.
    world.fill(5).await;
    world.until_lag(&one, 20).await;
    world.server.delete_records(&world.topic, 4);
    for source in [&one, &other] {
        world.until_lag(source, 0).await;
    }
    close(&one).await;
    close(&other).await;
}

#[actix::test]
async fn a_new_group_that_begins_at_the_end_has_no_lag_and_skips_nothing_later() {
    let Some(mut world) = World::new(2) else {
        return;
    };
    world.fill(5).await;
    let latest = [("auto.offset.reset", "latest")];
    let source = world.source_with(&latest);
    let mut limit = source.limit().unwrap();
    limit.wait_for(|limit| limit.useful == 2).await.unwrap();
    assert_eq!(world.lag(&source).await, 0);
    world.until_committed(&[(0, 5), (1, 5)]).await;
    world.send(1, "new").await;
    let got = fetch_all(&source, 1).await;
    assert_eq!(got[0].message.id, "1/5");
    settle(&source, &got, &DONE).await;

    // Added later, and filled before a member notices: it begins at its first record.
    world.server.add_partitions(&world.topic, 3);
    world.partitions = 3;
    // The other one would notice them in minutes.
    world.producer = producer(world.server, &[]);
    assert_eq!(world.send(2, "early").await, 0);
    world.until_lag(&source, 1).await;
    let got = fetch_all(&source, 1).await;
    assert_eq!(got[0].message.id, "2/0");
    settle(&source, &got, &DONE).await;
    close(&source).await;

    // The group is not new any more.
    world.send(0, "while no member was there").await;
    let source = world.source_with(&latest);
    let got = fetch_all(&source, 1).await;
    assert_eq!(got[0].message.id, "0/5");
    settle(&source, &got, &DONE).await;
    close(&source).await;
}

#[actix::test]
async fn without_its_topic_the_lag_cannot_be_read() {
    let Some(world) = World::new(1) else { return };
    world.server.delete_topic(&world.topic);
    let source = world.source();
    until("a connection", || source.shared.client().is_some()).await;
    let mut refused = source.lag().await;
    while let Ok(lag) = refused {
        // Its deletion takes a moment.
        assert_eq!(lag, 0);
        refused = source.lag().await;
    }
    let why = refused.unwrap_err().to_string();
    assert!(why.contains("Unknown"), "{why}");
    close(&source).await;
}
