//! Tasks at their time, and their ends.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{World, item, second};
use crate::clock::now_ms;
use crate::testing_support::soon;

#[actix::test]
async fn a_task_starts_on_time_and_ends_durably() {
    let world = World::start().await;
    let id = world.push_one("later", 30).await;
    sleep(Duration::from_secs(29)).await;
    assert_eq!(world.ran.len(), 0);
    let ran = world.ran.wait_for(1).await;
    assert!((0..=5).contains(&ran[0].2), "late by {} ms", ran[0].2);
    world.until(3, 1).await;
    let rows = world.db.lines(&format!(
        "SELECT name || '|' || result || '|' || owner AS line FROM delay_queue_log WHERE id = {id}"
    ));
    assert_eq!(rows, [r#"n|{"status":true,"data":"later"}|"#]);
    assert_eq!(world.stop_within(Duration::from_secs(25)).await, 0);
    assert_eq!(world.stop_within(Duration::from_secs(25)).await, 0);
}

/// Many more than are handed to the workers at once.
#[actix::test]
async fn all_tasks_due_at_once_start_then() {
    let world = World::start().await;
    world.foreign(300, "job", "theirs", now_ms() / 1000 + 3);
    let ran = world.ran.wait_for(300).await;
    assert_eq!(ran.len(), 300);
    assert!(
        ran.iter().all(|(.., late)| (0..=5).contains(late)),
        "{ran:?}"
    );
}

#[actix::test]
async fn a_failed_task_is_retried_and_then_dead() {
    let world = World::start().await;
    world
        .push(vec![
            item("fail", 0),
            item("fail once", 0),
            item("panic", 0),
        ])
        .await
        .unwrap();
    world.until(4, 2).await;
    world.until(3, 1).await;
    let mut ran: Vec<(String, u32)> = world
        .ran
        .all()
        .into_iter()
        .map(|(p, n, _)| (p, n))
        .collect();
    ran.sort();
    let expected = [
        ("fail", 1),
        ("fail", 2),
        ("fail", 3),
        ("fail once", 1),
        ("fail once", 2),
        ("panic", 1),
        ("panic", 2),
        ("panic", 3),
    ];
    assert!(
        ran.iter().map(|(p, n)| (p.as_str(), *n)).eq(expected),
        "{ran:?}"
    );
    let dead_letters = world.db.lines(
        "SELECT payload || '|' || attempts || '|' || exec_cmd AS line FROM dead_letter ORDER BY payload",
    );
    assert_eq!(dead_letters, ["fail|3|job", "panic|3|job"]);
}

#[actix::test]
async fn rows_of_other_programs_run_within_a_second() {
    let world = World::start().await;
    world.foreign(1, "job", "now", second());
    let begun = Instant::now();
    world.ran.wait_for(1).await;
    assert!(begun.elapsed() <= Duration::from_secs(1));
    world.foreign(1, "job", "old", 1);
    let begun = Instant::now();
    world.ran.wait_for(2).await;
    assert!(
        begun.elapsed() <= Duration::from_millis(1300),
        "{:?}",
        begun.elapsed()
    );
}

#[actix::test]
async fn a_row_without_handler_becomes_a_dead_letter() {
    let world = World::start().await;
    world.foreign(1, "jbo", "x", second());
    world.until(4, 1).await;
    let dead_letters = world
        .db
        .lines("SELECT exec_cmd || '|' || error AS line FROM dead_letter");
    assert!(
        dead_letters[0].contains("did you mean `job`"),
        "{dead_letters:?}"
    );
    assert_eq!(world.ran.len(), 0);
}

#[actix::test]
async fn nothing_starts_while_the_heartbeats_are_late() {
    let world = World::with(10, Duration::ZERO).await;
    world.push_one("x", 0).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(world.ran.len(), 0);
    assert_eq!(world.stop_within(Duration::from_secs(20)).await, 0);
    assert_eq!(world.in_status(1), 1);
}

#[actix::test]
async fn a_claim_before_a_judged_death_never_starts() {
    let world = World::start().await;
    world.push_one("x", 1).await;
    world.config.liveness.was_dead(crate::clock::Moment::now());
    let begun = Instant::now();
    let ran = world.ran.wait_for(1).await;
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(ran.len(), 1, "by a new claim");
    world.until(3, 1).await;
    assert_eq!(world.db.number("SELECT fence AS n FROM delay_queue_log"), 2);
}

#[actix::test]
async fn lateness_and_waiting_tasks_are_counted() {
    let world = World::start().await;
    let stats = &world.config.stats;
    assert_eq!(stats.counts(), None, "not counted yet");
    world.foreign(5, "job", "late", now_ms().div_euclid(1000) - 7);
    world.until(3, 5).await;
    let due_ms = now_ms() + 3_600_000;
    world.push_one("later", 3600).await;
    let lateness = stats.lateness(now_ms());
    assert_eq!(lateness.started, 5);
    assert!((7000..9000).contains(&lateness.worst_ms), "{lateness:?}");
    let counts = soon(async {
        loop {
            if let Some(counts) = stats.counts() {
                return counts;
            }
            sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    assert_eq!(counts.waiting, 1);
    assert!((0..1000).contains(&(counts.oldest_due_ms.unwrap() - due_ms)));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(
        stats.lateness(now_ms()).started,
        0,
        "that was more than a minute ago"
    );
    assert_eq!(world.stop_within(Duration::from_secs(5)).await, 0);
}
