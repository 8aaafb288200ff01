//! A server at the other end of a link of 100 Mbit/s: large messages are sent once, and hold up nobody.

use serde_json::json;

use super::{List, entry};
use crate::servers::redis::Redis;
use crate::servers::way::Way;
use crate::wait::{LONG_PATIENCE, wait_until};
use crate::world::World;

const BYTES_PER_SECOND: u32 = 12_500_000;
const MESSAGES: usize = 100;
const PAYLOAD: usize = 1 << 20;

#[test]
fn a_batch_handler_behind_a_slow_link_gets_all_once_and_other_queues_go_on() {
    let Some(server) = Redis::dedicated() else {
        return;
    };
    let way = Way::slow(server.port(), BYTES_PER_SECOND);
    let world = World::new(json!({
        "heartbeat_interval": "1s",
        "redis": { "default": { "url": way.url() } },
    }));
    let (mut large, mut small) = (
        List::on(&server, "large".to_owned()),
        List::on(&server, "small".to_owned()),
    );
    let batches = json!({
        "exec_cmd": "noop_batch", "batch_size": 100, "batch_bytes": 1 << 30, "progress": 1,
    });
    let entries = [
        entry("large", batches),
        entry("small", json!({ "name": "small", "progress": 1 })),
    ];
    world.partition("script1", &json!(entries), &json!([]));
    for n in 0..MESSAGES {
        large.push(&[format!("{n} {}", "x".repeat(PAYLOAD))]);
    }
    let daemon = world.start();
    let mut pushed = Vec::new();
    wait_until("all large ones to be consumed", LONG_PATIENCE, || {
        if small.is_empty() {
            let next = format!("plain-{}", pushed.len());
            small.push([&next]);
            pushed.push(next);
        }
        large.is_empty()
    });
    small.wait_empty();
    let log = daemon.log();
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    daemon.stop();
    assert!(pushed.len() > 1, "the other queue stood still");
    assert_eq!(world.ledger().missing(&pushed), [""; 0]);
    let (sent, payload) = (way.passed(), (MESSAGES * PAYLOAD) as u64);
    println!("{payload} bytes of messages: {sent} sent");
    assert!(sent < payload + payload / 5, "{sent} of {payload}");
}
