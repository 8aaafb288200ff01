//! Records whose handler ended a process.

use std::time::Duration;

use super::{DONE, World, close, fetch, fetch_all, is_dry, one, settle, until};
use crate::job::Disposition;
use crate::source::{Source, outside};
use crate::store::rows::{BootRow, Crash, Victim};
use crate::store::write::{BeginBoot, ReapGone};
use crate::testing_support::rules;

impl World {
    /// As a scan finds it: the process of a boot ended while it ran this record.
    async fn set_earlier_attempts(&self, source: &super::KafkaSource, record: &super::Delivery) {
        let owner = format!("script1/{}", uuid::Uuid::new_v4().simple());
        let boot = BootRow {
            owner: owner.clone(),
            partition: "script1".to_owned(),
            host: "here".to_owned(),
            pid: 1,
            interval_ms: 5000,
            version: "0.1.0",
        };
        self.db.db.write(BeginBoot(boot)).await.unwrap();
        let crash = Crash {
            victim: Victim::Outside(
                outside(&source.identity(&record.message, &record.receipt)).unwrap(),
            ),
            how: "SIGABRT".to_owned(),
            certain: true,
            max_attempts: 3,
            backoff: rules().backoff,
        };
        let crashes = vec![crash];
        let reap = ReapGone { owner, crashes };
        let reaped = self.db.db.write(reap).await.unwrap();
        assert_eq!(reaped.crashes, 1);
    }
}

#[actix::test]
async fn a_crashed_record_comes_marked_after_its_back_off() {
    let Some(world) = World::new(2) else { return };
    world.fill(3).await;
    let source = world.source();
    let got = fetch_all(&source, 6).await;
    let victim = got
        .iter()
        .find(|delivery| delivery.message.id == "0/1")
        .unwrap();
    world.set_earlier_attempts(&source, victim).await;
    world.set_earlier_attempts(&source, victim).await;
    // As if this process had been killed.
    close(&source).await;
    drop(got);

    let source = world.source();
    let begun = tokio::time::Instant::now();
    let mut seen = Vec::new();
    while seen.len() < 6 {
        let batch = fetch(&source, one(1), 100).await;
        seen.extend(
            batch
                .iter()
                .map(|d| (d.message.id.clone(), d.message.attempt, d.suspect)),
        );
        settle(&source, &batch, &DONE).await;
    }
    let place = seen.iter().position(|(id, ..)| id == "0/1").unwrap();
    assert_eq!(seen[place], ("0/1".to_owned(), 3, true));
    assert!(
        place > 3,
        "its partition waits, the other does not: {seen:?}"
    );
    assert!(
        seen.iter()
            .filter(|(_, attempt, suspect)| *attempt > 1 || *suspect)
            .count()
            == 1
    );
    let of_partition: Vec<&str> = seen
        .iter()
        .map(|(id, ..)| id.as_str())
        .filter(|id| id.starts_with("0/"))
        .collect();
    assert_eq!(of_partition, ["0/0", "0/1", "0/2"]);
    // One second after the second death; the start took its time.
    assert!(begun.elapsed() < Duration::from_secs(30));
    until("the deaths to be forgotten", || {
        world.db.number("SELECT count(*) AS n FROM death") == 0
    })
    .await;
    close(&source).await;
}

#[actix::test]
async fn what_the_last_commit_lets_be_forgotten_is_forgotten_before_the_end() {
    let Some(world) = World::new(1) else { return };
    world.fill(1).await;
    let source = world.source();
    let got = fetch_all(&source, 1).await;
    world.set_earlier_attempts(&source, &got[0]).await;
    close(&source).await;

    let source = world.source();
    let again = fetch_all(&source, 1).await;
    assert!(again[0].suspect);
    settle(&source, &again, &DONE).await;
    // Mostly before the next commit of each second.
    close(&source).await;
    assert_eq!(world.db.number("SELECT count(*) AS n FROM death"), 0);
}

#[actix::test]
async fn nothing_is_given_out_while_the_database_does_not_return_the_deaths() {
    let Some(world) = World::new(1) else { return };
    world.db.sql("ALTER TABLE death RENAME TO elsewhere");
    world.fill(1).await;
    let source = world.source();
    let mut limit = source.limit().unwrap();
    limit.wait_for(|limit| limit.useful == 1).await.unwrap();
    assert!(is_dry(&source, one(1)).await);
    world.db.sql("ALTER TABLE elsewhere RENAME TO death");
    let got = fetch_all(&source, 1).await;
    settle(&source, &got, &DONE).await;
    close(&source).await;
}

#[actix::test]
async fn a_crashed_record_comes_when_due_though_nothing_else_happens() {
    let Some(world) = World::new(1) else { return };
    world.fill(3).await;
    let source = world.source();
    let got = fetch_all(&source, 3).await;
    world.set_earlier_attempts(&source, &got[0]).await;
    close(&source).await;

    // Those behind it stay in librdkafka's queue, whose callback comes only when it was empty.
    let source = world.source();
    let again = fetch_all(&source, 3).await;
    assert_eq!(again[0].message.id, "0/0");
    assert!(again[0].suspect);
    settle(&source, &again, &DONE).await;
    close(&source).await;
}

#[actix::test]
async fn attempts_of_a_topic_that_was_deleted_while_nobody_looked_are_not_those_of_its_successor() {
    let Some(world) = World::new(1) else { return };
    world.fill(1).await;
    let source = world.source();
    let got = fetch_all(&source, 1).await;
    // Nothing is ever committed: no position carries a topic id.
    settle(
        &source,
        &got,
        &Disposition::Retry(Duration::from_secs(3600)),
    )
    .await;
    assert_eq!(world.db.number("SELECT count(*) AS n FROM death"), 1);
    close(&source).await;

    let source = world.source();
    assert!(
        is_dry(&source, one(1)).await,
        "it waits for its second attempt"
    );
    close(&source).await;

    world.server.delete_topic(&world.topic);
    world.server.create_topic(&world.topic, 1);
    world.fill(1).await;
    let source = world.source();
    let got = fetch_all(&source, 1).await;
    assert_eq!((&*got[0].message.id, got[0].message.attempt), ("0/0", 1));
    until("the old row to be forgotten", || {
        world.db.number("SELECT count(*) AS n FROM death") == 0
    })
    .await;
    settle(&source, &got, &DONE).await;
    close(&source).await;
}
