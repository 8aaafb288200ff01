//! A daemon starts, with its database and without.

use super::*;

#[test]
fn a_daemon_starts_works_and_stops_clean() {
    let (code, world) = run(false, |world| async move {
        world.children().await;
        assert_eq!(world.boot_state(), 1);
        world.send("message").await;
        world.push("task").await;
        world.ran.wait_for(2).await;
        world.begin_stop();
        world.begin_stop();
    });
    assert_eq!(code, 0);
    assert_eq!(
        (world.boot_state(), world.claimed(), world.slot_files()),
        (2, 0, 0)
    );
}

#[test]
fn a_daemon_starts_when_its_database_comes_back() {
    let (code, world) = run(true, |world| async move {
        sleep(Duration::from_secs(600)).await;
        world.away.store(false, Ordering::SeqCst);
        world.children().await;
        world.send("message").await;
        world.ran.wait_for(1).await;
        world.begin_stop();
    });
    assert_eq!((code, world.boot_state()), (0, 2));
}

#[test]
fn claims_of_a_silent_daemon_run_here() {
    let (code, world) = run(false, |world| async move {
        world.children().await;
        world.files.sql(
            "INSERT INTO boot (owner, partition_name, host, pid, state, started_ms, heartbeat_ms, interval_ms)
             VALUES ('script9/gone', 'script9', 'elsewhere', 1, 1, 0, 0, 5000);
             INSERT INTO delay_queue_log (name, exec_cmd, params, status, exec_time, owner, fence)
             VALUES ('n', 'job', 'theirs', 2, 1, 'script9/gone', 3);",
        );
        let begun = tokio::time::Instant::now();
        world.ran.wait_for(1).await;
        assert!(
            begun.elapsed() <= Duration::from_secs(25),
            "{:?}",
            begun.elapsed()
        );
        world.begin_stop();
    });
    assert_eq!((code, world.ran.all()), (0, vec!["theirs".to_owned()]));
}
