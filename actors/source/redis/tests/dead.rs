//! Boots that die, or are taken for dead, and messages whose handlers end their process.

use super::*;
use crate::job::Disposition;
use crate::membership::Ownership;
use crate::source::{OutsideCrash, Recovery};

/// A boot that ends without a word.
async fn die(source: Arc<RedisSource>) {
    let health = Arc::downgrade(&source.health);
    let settling = Arc::downgrade(&source.settling);
    drop(source);
    until("the last of its tasks to end", || async {
        health.strong_count() + settling.strong_count() == 0
    })
    .await;
}

fn crash(delivery: &Delivery, source: &RedisSource, boot: &str, certain: bool) -> Recovery {
    let identity = source.identity(&delivery.message, &delivery.receipt);
    Recovery {
        boot: boot.to_owned(),
        deaths: vec![OutsideCrash {
            source: identity.queue().to_owned(),
            id: identity.id().to_owned(),
            attempt: u32::try_from(identity.fence()).unwrap(),
            certain,
            how: "SIGABRT".to_owned(),
        }],
    }
}

#[actix::test]
async fn what_a_silent_boot_held_is_released_once_and_in_order() {
    let Some(world) = World::shared().await else {
        return;
    };
    world.push(["1", "2", "3", "4", "5", "6", "7"]).await;
    let silent = world.source();
    let first = fetch(&silent, 3).await;
    let second = fetch(&silent, 3).await;
    settle(&silent, &first[..1], Disposition::Complete).await;
    until_lag(&silent, 6).await;
    let (one, other) = (world.source(), world.source());
    until("the first end to be reported", || async {
        !silent.settling.batches.lock().any_waits()
    })
    .await;
    die(silent).await;
    let mut found = Vec::new();
    while found.len() < 6 {
        found.extend(fetch(&one, 2).await);
        if found.len() < 6 {
            found.extend(fetch(&other, 2).await);
        }
    }
    let names: Vec<&str> = found.iter().map(|d| d.message.id.as_str()).collect();
    let mut sorted = bodies(&found);
    sorted.sort();
    assert_eq!(sorted, ["2", "3", "4", "5", "6", "7"]);
    for known in first[1..].iter().chain(&second) {
        assert!(
            names.contains(&known.message.id.as_str()),
            "it keeps its name"
        );
    }
    assert!(
        found.iter().all(|d| d.message.attempt == 1 && !d.suspect),
        "no crash is recorded"
    );
}

#[actix::test]
async fn the_messages_of_a_dead_boot_come_before_what_waits() {
    let Some(world) = World::shared().await else {
        return;
    };
    world.push(["1", "2", "3", "4", "5"]).await;
    let dead = world.source_of("dead");
    fetch(&dead, 2).await;
    fetch(&dead, 2).await;
    die(dead).await;
    let source = world.source();
    let recovery = Recovery {
        boot: "dead".to_owned(),
        deaths: Vec::new(),
    };
    source.recover(&recovery).await.unwrap();
    source.recover(&recovery).await.unwrap();
    let found = fetch_all(&source, 5).await;
    assert_eq!(bodies(&found), ["1", "2", "3", "4", "5"]);
    settle(&source, &found, Disposition::Complete).await;
    source.close(PATIENCE).await;
    assert_eq!(world.beside().await, [""; 0]);
}

#[actix::test]
async fn a_boot_that_was_taken_for_dead_changes_nothing_and_goes_on() {
    let Some(world) = World::shared().await else {
        return;
    };
    world.push(["1", "2", "3"]).await;
    let slow = world.source();
    let held = fetch(&slow, 2).await;
    assert_eq!(slow.ownership(&held[0].receipt), Ownership::Held);
    let judge = world.source();
    judge.registration.registered().await.unwrap();
    // Its heartbeats were late by the server's clock, and the other one judges.
    let boot = slow.registration.boot.in_generation(0);
    let _: i64 = world.ask(&["ZADD", &world.ours("boots"), "1", &boot]).await;
    judge.recoveries.recover_silent().await.unwrap();
    let taken = fetch(&judge, 2).await;
    assert_eq!(bodies(&taken), ["1", "2"]);

    settle(&slow, &held[..1], Disposition::Complete).await;
    settle(&slow, &held[1..], Disposition::Retry(Duration::ZERO)).await;
    until("it to learn that its claim is lost", || async {
        slow.ownership(&held[0].receipt) == Ownership::Lost
    })
    .await;
    assert_eq!(
        judge.lag().await.unwrap(),
        3,
        "the late results changed nothing"
    );
    let third = fetch(&slow, 2).await;
    assert_eq!(bodies(&third), ["3"]);
    assert_eq!(slow.ownership(&third[0].receipt), Ownership::Held);
    settle(&slow, &third, Disposition::Complete).await;
    settle(&judge, &taken, Disposition::Complete).await;
    assert_eq!(judge.lag().await.unwrap(), 0);
}

#[actix::test]
async fn what_ended_its_process_is_charged_waits_and_is_a_suspect_and_its_neighbours_are_not() {
    let Some(world) = World::shared().await else {
        return;
    };
    world.push(["1", "poison", "3"]).await;
    let dead = world.source_of("dead");
    let held = fetch(&dead, 100).await;
    let recovery = crash(&held[1], &dead, "dead", true);
    die(dead).await;
    let source = world.source();
    let recovered = Instant::now();
    source.recover(&recovery).await.unwrap();
    let neighbours = fetch(&source, 100).await;
    assert_eq!(bodies(&neighbours), ["1", "3"]);
    assert!(
        neighbours
            .iter()
            .all(|d| d.message.attempt == 1 && !d.suspect)
    );
    let poison = fetch(&source, 100).await;
    assert!(
        recovered.elapsed() >= Duration::from_millis(200),
        "it waits out its back-off"
    );
    assert_eq!(bodies(&poison), ["poison"]);
    assert!(poison[0].suspect);
    assert_eq!(
        (poison[0].message.attempt, &poison[0].message.id),
        (2, &held[1].message.id)
    );
    // Released it stays a suspect; failed in the usual way it is none any more.
    settle(&source, &poison, Disposition::Release).await;
    let poison = fetch(&source, 100).await;
    assert!(poison[0].suspect && poison[0].message.attempt == 2);
    settle(&source, &poison, Disposition::Retry(Duration::ZERO)).await;
    let poison = fetch(&source, 100).await;
    assert!(!poison[0].suspect && poison[0].message.attempt == 3);
    settle(&source, &poison, Disposition::Complete).await;
    settle(&source, &neighbours, Disposition::Complete).await;
    source.close(PATIENCE).await;
    assert_eq!(world.beside().await, [""; 0]);
}

#[actix::test]
async fn a_death_that_was_found_is_charged_before_its_heartbeats_are_missed() {
    let Some(world) = World::shared().await else {
        return;
    };
    world.push(["poison"]).await;
    let dead = world.source_of("dead");
    let held = fetch(&dead, 100).await;
    let recovery = crash(&held[0], &dead, "dead", true);
    let boot = dead.registration.boot.in_generation(0);
    die(dead).await;
    let source = world.source();
    source.registration.registered().await.unwrap();
    // The server was away when the death was found, and for longer than three heartbeats.
    source.recoveries.await_recovery(&recovery);
    let _: i64 = world.ask(&["ZADD", &world.ours("boots"), "1", &boot]).await;
    source.recoveries.recover_silent().await.unwrap();
    let poison = fetch(&source, 100).await;
    assert_eq!((poison[0].message.attempt, poison[0].suspect), (2, true));
    source.recover(&recovery).await.unwrap();
    settle(&source, &poison, Disposition::Complete).await;
    assert_eq!(source.lag().await.unwrap(), 0);
}

#[actix::test]
async fn a_death_is_found_after_others_were_given_the_messages() {
    let Some(world) = World::shared().await else {
        return;
    };
    world.push(["poison"]).await;
    let dead = world.source_of("dead");
    let held = fetch(&dead, 100).await;
    let recovery = crash(&held[0], &dead, "dead", true);
    die(dead).await;
    // Another host is faster than the reader of the slots, and dies of it too.
    let second = world.source_of("second");
    let taken = fetch(&second, 100).await;
    assert_eq!((taken[0].message.attempt, taken[0].suspect), (1, false));
    assert_eq!(taken[0].message.id, held[0].message.id);
    let second_recovery = crash(&taken[0], &second, "second", true);
    die(second).await;
    let source = world.source();
    for recovery in [&recovery, &second_recovery, &recovery] {
        source.recover(recovery).await.unwrap();
    }
    let other = world.source();
    other.recover(&second_recovery).await.unwrap();
    let poison = fetch(&source, 100).await;
    assert_eq!(
        (poison[0].message.attempt, poison[0].suspect),
        (3, true),
        "each death once"
    );
}

#[actix::test]
async fn of_a_batch_each_is_a_suspect_and_no_attempt_is_counted() {
    let Some(world) = World::shared().await else {
        return;
    };
    world.push(["1"]).await;
    let dead = world.source_of("dead");
    let recovery = crash(&fetch(&dead, 1).await[0], &dead, "dead", false);
    die(dead).await;
    let source = world.source();
    source.recover(&recovery).await.unwrap();
    let found = fetch(&source, 1).await;
    assert_eq!((found[0].message.attempt, found[0].suspect), (1, true));
}

#[actix::test]
async fn a_dead_letter_of_a_used_up_message_says_how_it_ended_its_process() {
    let Some(world) = World::shared().await else {
        return;
    };
    world.push(["poison"]).await;
    let dead = world.source_of("dead");
    let recovery = crash(&fetch(&dead, 1).await[0], &dead, "dead", true);
    die(dead).await;
    let source = world.source();
    source.recover(&recovery).await.unwrap();
    let end = Disposition::DeadLetter {
        error: crate::job::USED_UP.to_owned(),
        attempts: 1,
    };
    settle(&source, &fetch(&source, 1).await, end).await;
    let errors = world.db.lines("SELECT error AS line FROM dead_letter");
    assert!(errors[0].contains("SIGABRT"), "{errors:?}");
}
