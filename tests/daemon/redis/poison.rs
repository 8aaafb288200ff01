//! Messages whose handler ends the process.

use std::time::Duration;

use serde_json::json;

use super::{List, entry, settings, shared_world};
use crate::process::Daemon;
use crate::servers::redis::Redis;
use crate::wait::{LONG_PATIENCE, PATIENCE, random_moment, wait_until};
use crate::world::World;

const MAX_ATTEMPTS: u32 = 3;

fn poisoned_world() -> Option<(World, List)> {
    let backoff = json!({ "base": "50ms", "max": "200ms" });
    shared_world(json!({ "max_attempts": MAX_ATTEMPTS, "backoff": backoff }))
}

/// Restarts the daemon each time it dies, as an init system would, until nothing is left to be done. Answers how often
/// it died.
fn keep_running(world: &World, list: &mut List) -> (Daemon, u32) {
    let mut deaths = 0;
    let mut daemon = world.spawn(&["run"]);
    wait_until("all work to be done", LONG_PATIENCE, || {
        if let Some(status) = daemon.has_ended() {
            assert_eq!(status.code(), None, "it ended by itself: {}", daemon.log());
            deaths += 1;
            daemon = world.spawn(&["run"]);
        }
        list.is_empty()
    });
    (daemon, deaths)
}

#[test]
fn what_aborts_the_daemon_is_a_dead_letter_and_its_neighbours_get_through() {
    let Some((world, mut list)) = poisoned_world() else {
        return;
    };
    let neighbour = |n: usize| match n % 10 {
        0 => format!("sleep:30:{n}"),
        _ => format!("neighbour-{n}"),
    };
    let neighbours: Vec<String> = (0..200).map(neighbour).collect();
    let mut messages = neighbours.clone();
    messages.insert(50, "abort:message".to_owned());
    list.push(&messages);

    let (mut daemon, deaths) = keep_running(&world, &mut list);
    daemon.wait_ready();
    daemon.stop();
    let (ledger, dead_letters) = (world.ledger(), world.dead_letters());
    assert_eq!(dead_letters.len(), 1, "{dead_letters:#?}");
    assert_eq!(ledger.attempts_of("abort:message"), [1, 2, 3]);
    assert_eq!(dead_letters[0]["payload"], "abort:message");
    assert_eq!(dead_letters[0]["kind"], "redis");
    assert_eq!(dead_letters[0]["attempts"], MAX_ATTEMPTS);
    assert!(
        dead_letters[0]["error"]
            .as_str()
            .unwrap()
            .contains("SIGABRT"),
        "{dead_letters:?}"
    );
    assert_eq!(deaths, MAX_ATTEMPTS);
    assert_eq!(ledger.missing(&neighbours), [""; 0]);
    let counted = ledger
        .lines
        .iter()
        .find(|l| l.attempt > 1 && !l.body.starts_with("abort:"));
    assert!(
        counted.is_none(),
        "an attempt of a neighbour was counted: {counted:?}"
    );
}

#[test]
fn a_death_is_counted_though_the_server_is_away_when_it_is_found() {
    let Some(server) = Redis::dedicated() else {
        return;
    };
    let world = World::new(settings(&server));
    let mut list = List::on(&server, "list".to_owned());
    let backoff = json!({ "base": "50ms", "max": "50ms" });
    let work = entry("list", json!({ "max_attempts": 2, "backoff": backoff }));
    world.partition("script1", &json!([work]), &json!([]));
    list.push(&["abort:message".to_owned()]);
    let mut first = world.spawn(&["run"]);
    first.wait_end(PATIENCE);
    server.pause();
    let mut daemon = world.start();
    daemon.wait_log("redis `default` is away");
    server.resume();
    // The second death is its last attempt.
    daemon.wait_end(PATIENCE);
    let daemon = world.start();
    list.wait_empty();
    daemon.stop();
    assert_eq!(world.ledger().attempts_of("abort:message"), [1, 2]);
    assert_eq!(world.dead_letters().len(), 1);
}

#[test]
fn an_operators_kills_are_never_charged() {
    let Some((world, mut list)) = poisoned_world() else {
        return;
    };
    list.push(&["block:3000:message".to_owned()]);
    let taken = |list: &mut List| {
        let keys = list.keys();
        keys.into_iter().find(|name| name.starts_with("batch:"))
    };
    let mut earlier = Vec::new();
    for _ in 0..=MAX_ATTEMPTS {
        let daemon = world.start();
        wait_until("it to be taken", PATIENCE, || {
            let now = taken(&mut list).filter(|batch| !earlier.contains(batch));
            now.map(|batch| earlier.push(batch)).is_some()
        });
        random_moment(Duration::from_millis(500));
        daemon.kill();
    }
    let daemon = world.start();
    list.wait_empty();
    daemon.stop();
    assert_eq!(world.ledger().attempts_of("block:3000:message"), [1]);
    assert!(world.dead_letters().is_empty());
}

#[test]
fn a_failing_message_is_a_dead_letter_and_runs_again_when_it_is_replayed() {
    let Some((world, mut list)) = poisoned_world() else {
        return;
    };
    list.push(&["fail:always", "fail2:twice", "plain"].map(str::to_owned));
    let daemon = world.start();
    list.wait_empty();
    let ledger = world.ledger();
    assert_eq!(ledger.attempts_of("fail:always"), [1, 2, 3]);
    assert_eq!(ledger.attempts_of("fail2:twice"), [1, 2, 3]);
    assert_eq!(ledger.attempts_of("plain"), [1]);
    let dead_letters = world.dead_letters();
    assert_eq!(dead_letters.len(), 1, "{dead_letters:?}");
    assert_eq!(
        dead_letters[0]["original_id"],
        ledger.of_body("fail:always")[0].id
    );
    let id = dead_letters[0]["id"].to_string();
    world.output(&["dead", "replay", &id]);
    wait_until("the replay to run", LONG_PATIENCE, || {
        world.ledger().attempts_of("fail:always").len() > 3
    });
    daemon.stop();
}
