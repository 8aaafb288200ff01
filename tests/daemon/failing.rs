//! Handlers that fail and panic, in messages and in delayed tasks alike.

use serde_json::json;

use crate::engine::{Engine, on_each_database};
use crate::wait::{LONG_PATIENCE, wait_until};
use crate::world::World;

const MAX_ATTEMPTS: u32 = 4;
const KINDS: [&str; 2] = ["queue", "delay"];

on_each_database! { world =>
    failures_and_panics_are_dead_letters_after_their_attempts_and_hold_up_nobody,
}

fn world(engine: Engine) -> Option<World> {
    let backoff = json!({ "base": "50ms", "max": "200ms" });
    let world = World::on(
        engine,
        json!({
            "delayed": { "ledger": { "max_attempts": MAX_ATTEMPTS, "backoff": backoff } },
        }),
    )?;
    let queue = json!([{
        "name": "work", "exec_cmd": "ledger", "table": "work", "progress": 2, "progress_lag_limit": 1000,
        "progress_avg_msgcount": 1000, "status": 1, "max_attempts": MAX_ATTEMPTS, "backoff": backoff,
    }]);
    world.partition("script1", &queue, &json!([]));
    Some(world)
}

fn failures_and_panics_are_dead_letters_after_their_attempts_and_hold_up_nobody(world: World) {
    let hopeless = |kind: &str| ["fail", "panic"].map(|what| format!("{what}:{kind}"));
    let hopeful = |kind: &str| format!("fail2:{kind}");
    let neighbours = |kind: &str| (0..50).map(|n| format!("{kind}-{n}")).collect::<Vec<_>>();
    let all = |kind: &str| {
        let mut bodies = neighbours(kind);
        bodies.splice(20..20, hopeless(kind));
        bodies.insert(10, hopeful(kind));
        bodies
    };
    world.send("work", &all("queue"));
    let tasks: Vec<_> = all("delay").into_iter().map(|params| (params, 1)).collect();
    world.insert_tasks(&tasks);
    let daemon = world.start();
    wait_until("all to have their end", LONG_PATIENCE, || {
        world.dead_letters().len() == 4
    });
    world.wait_drained();
    daemon.stop();

    let ledger = world.ledger();
    let dead_letters = world.dead_letters();
    assert_eq!(dead_letters.len(), 4, "{dead_letters:?}");
    for kind in KINDS {
        for body in hopeless(kind) {
            let attempts: Vec<u32> = (1..=MAX_ATTEMPTS).collect();
            assert_eq!(ledger.attempts_of(&body), attempts, "{body}");
            let dead_letter = dead_letters
                .iter()
                .find(|dead_letter| dead_letter["payload"] == body.as_str())
                .unwrap();
            assert_eq!(dead_letter["kind"], kind);
            assert_eq!(dead_letter["exec_cmd"], "ledger");
            assert_eq!(dead_letter["attempts"], MAX_ATTEMPTS);
            let error = dead_letter["error"].as_str().unwrap();
            assert!(error.contains("the body says"), "{dead_letter}");
            assert_eq!(
                error.contains("panicked"),
                body.starts_with("panic"),
                "{dead_letter}"
            );
        }
        assert_eq!(ledger.attempts_of(&hopeful(kind)), [1, 2, 3]);
        for neighbour in neighbours(kind) {
            assert_eq!(ledger.attempts_of(&neighbour), [1]);
        }
        // Nobody waited for a retry: all first attempts come before any dead letter's last one.
        let of_kind: Vec<_> = ledger.of_kind(kind).collect();
        let last_first = of_kind.iter().rposition(|line| line.attempt == 1).unwrap();
        let first_last = of_kind
            .iter()
            .position(|line| line.attempt == MAX_ATTEMPTS)
            .unwrap();
        assert!(last_first < first_last, "{of_kind:#?}");
    }
    let failed = "SELECT count(*) AS n FROM delay_queue_log WHERE status = 4 AND result LIKE '%\"status\":false%'";
    assert_eq!(world.database().number(failed), 2);
}
