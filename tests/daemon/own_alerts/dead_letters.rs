//! Dead letters, grouped by queue and error.

use super::*;

/// The number in an alert of dead letters.
fn dead_letters_said(alert: &Alert) -> u64 {
    let Some(first) = alert.details.first() else {
        return 0;
    };
    let (number, rest) = first.split_once(' ').unwrap();
    assert!(rest.ends_with(" since the last word"), "{alert:?}");
    number.parse().unwrap()
}

#[test]
fn dead_letters_are_grouped_by_queue_and_error_and_resolved_in_the_end() {
    let receiver = Receiver::start();
    let rules = json!({ "dead_letters": { "resolve_after_seconds": 10 } });
    let world = World::new(json!({
        "alert": receiver.settings(rules),
        "delayed": { "ledger": { "max_attempts": 1 } },
    }));
    let queues = json!([queue("one", "ledger", 1000), queue("two", "ledger", 1000)]);
    world.partition("script1", &queues, &json!([]));
    let mut database = world.migrate();
    world.send(
        "one",
        &[
            "fail:a".to_owned(),
            "fail:b".to_owned(),
            "panic:c".to_owned(),
        ],
    );
    world.send("two", &["fail:d".to_owned()]);
    world.insert_tasks(&[("fail:e".to_owned(), 1)]);
    let daemon = world.start();
    for (subject, dead_letters) in [
        ("queue one", 3),
        ("queue two", 1),
        ("delayed task ledger", 1),
    ] {
        let firing = receiver.wait_for("firing", |alert| alert.subject == subject);
        assert_eq!(firing.rule, "dead_letters");
        assert!(firing.details[1].contains("`dead list`"), "{firing:?}");
        let resolved = receiver.wait_for("resolved", |alert| alert.subject == subject);
        assert_eq!(resolved.summary, firing.summary);
        // A poll may come in between the dead letters of one queue: then the end reports the others.
        let mut all = receiver.alerts();
        all.retain(|alert| alert.subject == subject);
        assert_eq!(
            all.iter().map(dead_letters_said).sum::<u64>(),
            dead_letters,
            "{all:?}"
        );
    }
    assert_eq!(database.number("SELECT count(*) FROM dead_letter"), 5);
    daemon.stop();
}

#[test]
fn dead_letters_right_before_a_stop_are_reported_by_the_stop() {
    let receiver = Receiver::start();
    let world = World::new(json!({ "alert": receiver.settings(json!({})) }));
    world.partition(
        "script1",
        &json!([queue("work", "ledger", 1000)]),
        &json!([]),
    );
    let mut database = world.migrate();
    let daemon = world.start();
    // No poll comes between the dead letter and the stop, unless by chance.
    world.send("work", &["sleep:300:x".to_owned(), "fail:last".to_owned()]);
    wait_until("the dead letter", PATIENCE, || {
        database.number("SELECT count(*) FROM dead_letter") == 1
    });
    daemon.stop();
    let firing = receiver.wait("firing", "dead_letters");
    assert_eq!(firing.details[0], "1 dead letter since the last word");
    let of_dead_letters = receiver.alerts();
    assert!(
        of_dead_letters.iter().all(|alert| alert.kind == "firing"),
        "{of_dead_letters:?}"
    );
}

#[test]
fn a_message_that_ends_the_process_reaches_the_rule() {
    let receiver = Receiver::start();
    let world = World::new(json!({ "alert": receiver.settings(json!({})) }));
    world.partition(
        "script1",
        &json!([queue("work", "ledger", 1000)]),
        &json!([]),
    );
    world.migrate();
    world.send("work", &["abort:x".to_owned()]);
    let mut first = world.spawn(&["run"]);
    wait_until("its death", PATIENCE, || first.has_ended().is_some());
    let daemon = world.start();
    let firing = receiver.wait("firing", "dead_letters");
    assert_eq!(firing.subject, "queue work");
    assert!(
        firing.details.iter().any(|line| line.contains("SIGABRT")),
        "{firing:?}"
    );
    daemon.stop();
}
