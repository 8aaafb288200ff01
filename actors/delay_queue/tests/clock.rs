//! A clock that is set back.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{World, second};
use crate::clock::jumps;

#[actix::test]
async fn a_corrected_clock_runs_put_off_retries() {
    let world = World::start().await;
    let ahead_s = second() + 86_400;
    world.db.sql(&format!(
        "INSERT INTO delay_queue_log (name, exec_cmd, params, status, attempts, exec_time, due_ms)
         VALUES ('n', 'job', 'failed before', 1, 1, {ahead_s}, {ahead_s}000)"
    ));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(world.ran.len(), 0);
    jumps::jump(-10);
    let begun = Instant::now();
    world.ran.wait_for(1).await;
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
    world.until(3, 1).await;
}

#[actix::test]
async fn a_corrected_clock_releases_early_claims() {
    let world = World::start().await;
    world.foreign(1, "job", "x", second() + 31);
    jumps::jump(29);
    world.until(2, 1).await;
    jumps::jump(-29);
    world.until(1, 1).await;
    sleep(Duration::from_secs(20)).await;
    assert_eq!(world.ran.len(), 0);
    world.ran.wait_for(1).await;
}
