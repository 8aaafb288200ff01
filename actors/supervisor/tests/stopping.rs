//! A stop: what runs, what is released, the deadline.

use super::*;

impl World {
    /// A message and a delayed task run, and wait for the barrier.
    async fn two_jobs_wait(&self) {
        self.children().await;
        self.send("wait 1").await;
        self.push("wait 2").await;
        self.ran.wait_for(2).await;
    }

    fn rows(&self, of: &str) -> i64 {
        self.files
            .number(&format!("SELECT count(*) AS n FROM {of}"))
    }
}

#[test]
fn a_stop_waits_for_jobs_and_releases_the_rest() {
    let (code, world) = run(false, |world| async move {
        world.two_jobs_wait().await;
        world.begin_stop();
        sleep(Duration::from_secs(5)).await;
        assert_eq!(world.boot_state(), 1, "what runs has time");
        world.barrier.open();
    });
    assert_eq!((code, world.claimed()), (0, 0));
    assert_eq!(world.rows("queue_message"), 0);
    assert_eq!(world.rows("delay_queue_log WHERE status = 3"), 1);
}

#[test]
fn what_still_runs_at_the_deadline_is_released() {
    let (code, world) = run(false, |world| async move {
        world.two_jobs_wait().await;
        world.begin_stop();
    });
    assert_eq!((code, world.claimed(), world.boot_state()), (0, 0, 2));
    assert_eq!(world.rows("queue_message"), 1);
    assert_eq!(world.rows("delay_queue_log WHERE status = 1"), 1);
}

#[test]
fn the_daemon_ends_with_its_supervisor() {
    let (code, _) = run(false, |world| async move {
        world.children().await;
        world.supervisor.do_send(Crash);
    });
    assert_eq!(code, 1);
}

#[test]
fn a_stop_right_at_the_start_is_clean() {
    let (code, world) = run(false, |world| async move { world.begin_stop() });
    assert_eq!((code, world.slot_files()), (0, 0));
}

#[test]
fn a_stop_without_a_database_ends_at_the_deadline() {
    let (code, world) = run(true, |world| async move {
        let begun = tokio::time::Instant::now();
        sleep(Duration::from_secs(60)).await;
        world.begin_stop();
        assert!(begun.elapsed() >= Duration::from_secs(60));
    });
    assert_eq!(
        (code, world.slot_files()),
        (1, 1),
        "the next daemon finds its slots"
    );
}
