//! `send` onto a Redis list, which is `LPUSH` and needs nothing else of ours.

use std::fs;

use serde_json::json;

use super::{List, entry, settings, shared_world};
use crate::idempotency::{KEY, refused};
use crate::servers::redis::Redis;
use crate::world::World;

#[test]
fn messages_of_the_command_line_and_of_a_file_are_pushed_in_their_order() {
    let Some((world, mut list)) = shared_world(json!({})) else {
        return;
    };
    assert_eq!(
        world.output(&["send", "work", "a b", "行"]),
        "sent to `work`: 2\n"
    );
    let lines: String = (0..3000).map(|n| format!("line {n}\n")).collect();
    fs::write(world.path("lines.txt"), lines).unwrap();
    let said = world.output(&["send", "work", "--file", "lines.txt"]);
    assert_eq!(said, "sent to `work`: 3000\n");
    let key = list.key.clone();
    let mut all: Vec<String> = list.ask(&["LRANGE", &key, "0", "-1"]);
    all.reverse();
    assert_eq!(all[..2], ["a b", "行"]);
    assert!(
        all[2..]
            .iter()
            .enumerate()
            .all(|(n, line)| *line == format!("line {n}"))
    );
    assert_eq!(all.len(), 3002);
    assert!(
        !world.path("data").exists(),
        "the daemon's own database is not asked"
    );
    let _: u64 = list.ask(&["DEL", &key]);
}

#[test]
fn a_list_that_takes_no_more_stops_the_file_and_where_is_reported() {
    let Some(server) = Redis::dedicated() else {
        return;
    };
    let mut list = List::on(&server, "full".to_owned());
    let world = World::new(settings(&server));
    world.partition("script1", &json!([entry("full", json!({}))]), &json!([]));
    let line = "x".repeat(10_000);
    fs::write(world.path("lines.txt"), format!("{line}\n").repeat(5000)).unwrap();
    let _: String = list.ask(&["CONFIG", "SET", "maxmemory", "20mb"]);
    let output = world.run(&["send", "work", "--file", "lines.txt"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let waiting = list.waiting();
    let before: u64 = said.split(' ').next().unwrap().parse().unwrap();
    assert!(0 < before && before == waiting, "{waiting}: {said}");
    let wanted = format!(
        "{before} messages sent, lines 1 to {before} of `lines.txt`; lines {} to ",
        before + 1
    );
    assert!(
        said.starts_with(&wanted) && said.contains("some of them can be in the queue"),
        "{said}"
    );
    let rest = format!("`tail -n +{} lines.txt` is the rest", before + 1);
    assert!(said.contains(&rest), "{said}");
}

#[test]
fn a_redis_message_with_a_key_is_sent_again_only_where_it_may_be_unsent() {
    let Some((world, mut list)) = shared_world(json!({})) else {
        return;
    };
    let send = [&["send", "work", "a"][..], &KEY].concat();
    assert_eq!(world.output(&send), "sent to `work`: 1\n");
    assert!(world.output(&send).starts_with("sent to `work`: 0, as "));
    assert_eq!(list.waiting(), 1);
    // As if the sender had died before it wrote down that it had sent.
    let mut database = world.database();
    database.execute("UPDATE idempotency_key SET state = 1, owner = 'x', claimed_ms = 1");
    assert_eq!(world.output(&send), "sent to `work`: 1\n");
    assert_eq!(list.waiting(), 2, "at least once");
    refused(
        &world,
        &[&["send", "work", "b"][..], &KEY].concat(),
        "another `payload`",
    );
    let key = list.key.clone();
    let _: u64 = list.ask(&["DEL", &key]);
    // A list of another type takes nothing: the key is free for what is right.
    let _: String = list.ask(&["SET", &key, "x"]);
    let unsent = world.run(&["send", "work", "a", "--idempotency-key", "k"]);
    assert_eq!(unsent.status.code(), Some(1));
    let _: u64 = list.ask(&["DEL", &key]);
    assert!(
        world
            .output(&["send", "work", "a", "--idempotency-key", "k"])
            .starts_with("sent to `work`: 1")
    );
    assert_eq!(list.waiting(), 1);
    let _: u64 = list.ask(&["DEL", &key]);
}
