//! PgBouncer between the daemon and PostgreSQL.

use serde_json::json;

use crate::engine::Engine;
use crate::servers::pgbouncer::PgBouncer;
use crate::servers::postgres;
use crate::wait::now_s;
use crate::world::World;

const MESSAGES: usize = 500;

fn world(pool_mode: &str) -> Option<(World, PgBouncer)> {
    let server = postgres::shared()?;
    let pooler = PgBouncer::before(server.port(), pool_mode)?;
    let server = format!(":{}/", server.port());
    let url = postgres::shared()?.database();
    let url = url.replace(&server, &format!(":{}/", pooler.port()));
    let world = World::at(Engine::Postgres, url, json!({}));
    let queue = json!([{
        "name": "work", "exec_cmd": "ledger", "table": "work", "progress": 4,
        "progress_lag_limit": 1_000_000, "progress_avg_msgcount": 1000, "status": 1,
    }]);
    world.partition("script1", &queue, &json!([]));
    Some((world, pooler))
}

#[test]
fn a_pooler_that_lends_sessions_for_a_transaction_is_refused() {
    for pool_mode in ["transaction", "statement"] {
        let Some((world, _pooler)) = world(pool_mode) else {
            return;
        };
        for command in [&["run"][..], &["migrate"], &["check", "--online"]] {
            let output = world.run(command);
            let said =
                String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
            assert_eq!(output.status.code(), Some(1), "{pool_mode}: {said}");
            assert!(
                said.contains("`pool_mode = session`"),
                "{pool_mode}: {said}"
            );
        }
    }
}

/// In the same way when other programs use its sessions at the same time, and keep some of them.
#[test]
fn a_pooler_in_use_by_others_is_refused_as_well() {
    let Some((world, _pooler)) = world("transaction") else {
        return;
    };
    let mut others: Vec<_> = (0..6).map(|_| world.database()).collect();
    for other in &mut others {
        other.execute("BEGIN; SELECT 1");
    }
    for other in &mut others[..4] {
        other.execute("COMMIT");
    }
    let output = world.run(&["migrate"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("`pool_mode = session`"), "{said}");
}

#[test]
fn a_pooler_that_gives_each_connection_a_session_works() {
    let Some((world, _pooler)) = world("session") else {
        return;
    };
    world.migrate();
    let messages: Vec<String> = (0..MESSAGES)
        .map(|n| match n % 10 {
            3 => format!("push:0:pushed-{n}"),
            _ => n.to_string(),
        })
        .collect();
    world.insert_tasks(&[("foreign".to_owned(), now_s())]);
    let daemon = world.start();
    world.send("work", &messages);
    world.wait_drained();
    let ledger = world.ledger();
    assert_eq!(ledger.missing(&messages), [""; 0]);
    assert_eq!(ledger.missing(&["foreign".to_owned()]), [""; 0]);
    let log = daemon.log();
    assert!(!log.contains(" is away"), "{log}");
    daemon.stop();
}
