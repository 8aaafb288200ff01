//! Signals other than SIGTERM and SIGINT, and what a parent leaves to the daemon of signals.

use std::os::unix::process::CommandExt;

use rustix::process::Signal;
use serde_json::json;

use crate::cron::entry;
use crate::wait::{PATIENCE, wait_until};
use crate::world::World;

fn world() -> World {
    let world = World::new(json!({ "heartbeat_interval": "300ms", "shutdown_deadline": "30s" }));
    let queue = json!([{
        "name": "work", "exec_cmd": "ledger", "table": "work", "progress": 2, "progress_lag_limit": 1000,
        "progress_avg_msgcount": 1000, "status": 1,
    }]);
    world.partition("script1", &queue, &json!([]));
    world
}

#[test]
fn signals_without_a_meaning_end_nothing() {
    let world = world();
    let mut daemon = world.start();
    for (signal, name) in [(Signal::USR1, "SIGUSR1"), (Signal::USR2, "SIGUSR2")] {
        daemon.signal(signal);
        daemon.wait_log(&format!("{name} is ignored"));
    }
    world.send("work", &["after".to_owned()]);
    wait_until("the message", PATIENCE, || world.ledger_len() == 1);
    daemon.stop();
}

#[test]
fn sigquit_stops_in_order_and_charges_nothing() {
    let world = world();
    world.send("work", &["sleep:500:message".to_owned()]);
    let mut daemon = world.start();
    wait_until("the message to begin", PATIENCE, || world.ledger_len() == 1);
    daemon.signal(Signal::QUIT);
    let (status, _) = daemon.wait_end(PATIENCE);
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    let left = "SELECT count(*) AS n FROM queue_message";
    assert_eq!(world.database().number(left), 0, "it was waited for");
    let again = world.start();
    assert!(
        !again.log().contains("ended the process"),
        "{}",
        again.log()
    );
    again.stop();
}

#[test]
fn a_parent_that_ignores_sigchld_and_blocks_signals_changes_nothing() {
    let world = world();
    let crontab = json!([entry("* * * * * *", "abort:x")]);
    world.partition("script1", &json!([]), &crontab);
    let mut command = world.command(&["run"]);
    // SAFETY: both calls are async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGCHLD, libc::SIG_IGN);
            let mut all = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
            Ok(())
        });
    }
    let mut daemon = world.spawn_command(command);
    daemon.wait_ready();
    let mut database = world.database();
    let ended = "SELECT count(*) AS n FROM crontab_log WHERE status <> 'running'";
    wait_until("a run to end", PATIENCE, || database.number(ended) > 0);
    let killed = "SELECT count(*) AS n FROM crontab_log WHERE status = 'killed'";
    assert!(database.number(killed) > 0, "{}", daemon.log());
    daemon.stop();
}
