//! What becomes of one entry.

use super::*;

#[test]
fn consumers_follow_their_entry_and_untouched_ones_stay() {
    let world = world(Engine::Sqlite).unwrap();
    let write = |grows: Value| {
        world.partition("script1", &json!([queue("stays", 2), grows]), &json!([]));
    };
    write(queue("grows", 1));
    let daemon = world.start();
    let present = |name: &str, n: u64| {
        wait_until("that number of consumers", PATIENCE, || {
            shown(&world, name)["consumers_present"] == n
        });
    };
    present("stays", 2);
    for (progress, n) in [(5, 5), (2, 2), (3, 3)] {
        write(queue("grows", progress));
        must_reload(&world);
        present("grows", n);
        assert_eq!(shown(&world, "grows")["progress"], n);
    }
    let grown = shown(&world, "grows")["resizes"].to_string();
    assert_eq!(grown.matches("its entry was changed").count(), 3, "{grown}");
    let stays = shown(&world, "stays");
    assert_eq!(
        (&stays["resizes"], &stays["consumers_present"]),
        (&json!([]), &json!(2))
    );
    daemon.stop();
}

#[test]
fn an_entry_of_one_consumer_has_its_messages_one_by_one_over_reloads() {
    let world = world(Engine::Sqlite).unwrap();
    let write = |entry: Value| world.partition("script1", &json!([entry]), &json!([]));
    write(queue("work", 1));
    let daemon = world.start();
    let messages: Vec<String> = (0..30).map(|n| format!("sleep:100:{n}")).collect();
    world.send("work", &messages);
    // By the pool that there is, and by another one.
    for round in 1..=6 {
        let before = world.ledger_len();
        wait_until("one to end", PATIENCE, || world.ledger_len() > before);
        let (key, value) = match round % 2 {
            0 => ("timeout", json!(format!("{round}m"))),
            _ => ("max_attempts", json!(round)),
        };
        write(with(queue("work", 1), key, value));
        must_reload(&world);
    }
    world.wait_drained();
    daemon.stop();
    let ledger = world.ledger();
    assert_eq!(ledger.missing(&messages), [""; 0]);
    assert!(ledger.doubled().is_empty());
    let mut ends: Vec<i64> = ledger.lines.iter().map(|line| line.at_us).collect();
    ends.sort_unstable();
    let side_by_side = ends
        .windows(2)
        .filter(|two| two[1] - two[0] < 99_000)
        .count();
    assert_eq!(side_by_side, 0, "each takes 100 ms: {ends:?}");
}

#[test]
fn what_runs_of_an_entry_that_goes_ends_and_what_waits_is_left() {
    let world = world(Engine::Sqlite).unwrap();
    let goes = json!([queue("goes", 1), queue("stays", 1)]);
    world.partition("script1", &goes, &json!([]));
    let mut daemon = world.start();
    world.send("goes", &["sleep:2000:runs".to_owned(), "waits".to_owned()]);
    let claimed = "SELECT count(*) AS n FROM queue_message WHERE owner <> ''";
    let mut database = world.database();
    wait_until("it to run", PATIENCE, || database.number(claimed) > 0);
    world.partition("script1", &json!([queue("stays", 1)]), &json!([]));
    assert!(must_reload(&world).contains("went: queue `goes`"));
    assert_eq!(shown(&world, "goes"), Value::Null);
    daemon.wait_log("queue `goes`: what it ran before the reload has ended");
    assert_eq!(world.ledger().attempts_of("sleep:2000:runs"), [1]);
    assert_eq!(world.ledger().of_body("waits").len(), 0);
    assert_eq!(database.number(claimed), 0, "it is nobody's");
    daemon.wait_log("1 messages lie in `goes`, and nobody consumes them");
    // A name that is gone cannot be sent to, and one that comes back is consumed.
    world.partition("script1", &goes, &json!([]));
    assert!(must_reload(&world).contains("came: queue `goes`"));
    wait_until("what waited", PATIENCE, || {
        world.ledger().of_body("waits").len() == 1
    });
    daemon.stop();
}
