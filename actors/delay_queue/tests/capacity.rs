//! How many tasks are claimed and run, and which of them.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{World, item, second};

#[actix::test]
async fn overdue_rows_take_half_of_the_capacity() {
    let world = World::before_the_first_poll(20, Duration::from_secs(3600));
    world.foreign(100, "job", "wait old", second() - 30);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(world.crowd.now(), 10);
    assert_eq!(world.in_status(2), 10, "no more is claimed than may run");
    world.push_one("new", 0).await;
    world.ran.wait_for(11).await;
    world.barrier.open();
    world.until(3, 101).await;
    assert!(world.crowd.most() <= 20);
}

#[actix::test]
async fn no_more_tasks_run_than_capacity_allows() {
    let world = World::with(10, Duration::from_secs(3600)).await;
    let pushes = (0..10).map(|_| world.push((0..20).map(|_| item("wait", 0)).collect()));
    for pushed in futures_util::future::join_all(pushes).await {
        pushed.unwrap();
    }
    world.foreign(50, "job", "wait", second());
    sleep(Duration::from_secs(10)).await;
    assert_eq!(world.crowd.now(), 10);
    assert!(world.in_status(2) <= 20);
    world.barrier.open();
    world.until(3, 250).await;
    assert_eq!(world.crowd.most(), 10);
    assert_eq!(world.ran.len(), 250, "each once");
}

/// Rows due evenly from now on, as our own pushes leave them.
fn load(world: &World, a_second: u32, seconds: u32, params: &str) {
    let from_ms = (second() + 1) * 1000;
    let rows = a_second * seconds;
    world.db.sql(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {rows})
         INSERT INTO delay_queue_log (name, exec_cmd, params, status, exec_time, due_ms)
         SELECT 'load', 'job', '{params}', 1, ({from_ms} + i * 1000 / {a_second}) / 1000, {from_ms} + i * 1000 / {a_second} FROM n"
    ));
}

/// Runs `overdue` tasks that are overdue, and others that become due evenly, `a_second` each second, with room for 40.
/// Returns how many of the former ran within `seconds`, and how late each of the latter was.
async fn both_kinds(
    (overdue, params): (u32, &str),
    a_second: u32,
    seconds: u32,
) -> (World, usize, Vec<i64>) {
    let world = World::with(40, Duration::from_secs(3600)).await;
    world.foreign(overdue, "job", params, second() - 30);
    load(&world, a_second, seconds, &format!("{params} "));
    sleep(Duration::from_secs(u64::from(seconds))).await;
    let ran = world.ran.all();
    let ran_late = ran.iter().filter(|(of, ..)| of == params).count();
    let on_time = ran.iter().filter(|(of, ..)| of != params);
    let mut late: Vec<i64> = on_time.map(|(.., late)| *late).collect();
    late.sort_unstable();
    (world, ran_late, late)
}

/// Tasks that take no time: what limits is the room of what is claimed ahead, which carries 40 rows a second.
async fn overdue_drain_and_others_are_on_time(a_second: u32) {
    let (world, overdue, late) = both_kinds((400, ""), a_second, 20).await;
    assert_eq!(overdue, 400);
    let due_by_then = usize::try_from(a_second * 18).unwrap();
    assert!(late.len() >= due_by_then, "{}", late.len());
    let (p50, p99) = (late[late.len() / 2], late[late.len() * 99 / 100]);
    assert!(p50 <= 5 && p99 <= 20, "p50 {p50} ms, p99 {p99} ms");
    drop(world);
}

#[actix::test]
async fn overdue_rows_drain_at_half_the_load() {
    overdue_drain_and_others_are_on_time(20).await;
}

#[actix::test]
async fn overdue_rows_drain_at_the_full_load() {
    overdue_drain_and_others_are_on_time(40).await;
}

#[actix::test]
async fn overdue_rows_drain_at_twice_the_load() {
    overdue_drain_and_others_are_on_time(80).await;
}

/// Tasks of a second each: what limits is the room of what runs, which carries 40 rows a second.
async fn overdue_have_a_share(a_second: u32, overdue: std::ops::RangeInclusive<usize>) {
    let (world, ran, late) = both_kinds((4000, "sleep 1"), a_second, 40).await;
    let others = late.len();
    assert!(overdue.contains(&ran), "{ran} overdue, {others} on time");
    let wanted = usize::try_from(a_second.min(20) * 37).unwrap();
    assert!(others >= wanted, "{ran} overdue, {others} on time");
    assert!(world.crowd.most() <= 40);
}

#[actix::test]
async fn overdue_rows_get_half_at_half_load() {
    overdue_have_a_share(20, 600..=820).await;
}

#[actix::test]
async fn overdue_rows_get_a_quarter_at_full_load() {
    overdue_have_a_share(40, 300..=600).await;
}

#[actix::test]
async fn overdue_rows_get_a_quarter_at_twice_load() {
    overdue_have_a_share(80, 300..=600).await;
}

#[actix::test]
async fn rows_without_capacity_are_released_for_others() {
    let world = World::with(10, Duration::from_secs(3600)).await;
    world
        .push((0..8).map(|_| item("wait", 0)).collect())
        .await
        .unwrap();
    world.foreign(20, "job", "wait", second() + 2);
    sleep(Duration::from_secs(10)).await;
    assert_eq!((world.crowd.now(), world.in_status(2)), (10, 10));
    let fences = world
        .db
        .number("SELECT sum(fence) AS n FROM delay_queue_log");
    sleep(Duration::from_secs(60)).await;
    let later = world
        .db
        .number("SELECT sum(fence) AS n FROM delay_queue_log");
    assert_eq!(later, fences, "nothing is claimed while nothing ends");
    world.barrier.open();
    world.until(3, 28).await;
    assert_eq!(world.ran.len(), 28, "each once");
}

#[actix::test]
async fn a_refused_end_holds_neither_capacity_nor_stop() {
    let world = World::with(4, Duration::from_secs(3600)).await;
    world.db.sql(
        "CREATE TRIGGER refuse BEFORE UPDATE ON delay_queue_log WHEN NEW.status = 3 AND NEW.params = 'bad'
         BEGIN SELECT RAISE(ABORT, 'as the test wants it'); END",
    );
    world.foreign(8, "job", "bad", second());
    world.ran.wait_for(8).await;
    world.foreign(20, "job", "good", second());
    world.until(3, 20).await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!((world.ran.len(), world.in_status(2)), (28, 8), "each once");
    let begun = Instant::now();
    assert_eq!(world.stop_within(Duration::from_secs(600)).await, 0);
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
}
