//! How fast records go through the whole daemon, beside a bare loop of the same client library, which promises nothing.
//!
//! `cargo build --release --example ledger && cargo test --release --test daemon kafka::speed -- --ignored --nocapture`

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use serde_json::json;

use super::place::Place;
use crate::scrapes::{Scrapes, compare};
use crate::servers::kafka::Kafka;
use crate::wait::{LONG_PATIENCE, wait_until};

const RECORDS: usize = 12_000_000;
/// Records that are made at a time.
const PORTION: usize = 200_000;
const PARTITIONS: i32 = 8;
/// Bytes of a record.
const LENGTH: usize = 100;
/// The first run of each warms up; the best of the others counts.
const RUNS: usize = 4;
const AIM: f64 = 0.7;
/// Commits come each second, for four seconds or more.
const BETWEEN_POLLS: Duration = Duration::from_millis(20);

/// As far as the positions show. The start is not measured: batches grow from one record.
fn daemon(place: &Place<'_>, handler: &str, scraped: bool) -> f64 {
    let group = place.server.name();
    let more = json!({ "exec_cmd": handler, "group_id": group, "progress": 4 });
    place.queue_of("script1", &more);
    let observer: BaseConsumer = place
        .server
        .client()
        .set("group.id", &group)
        .create()
        .unwrap();
    let daemon = place.world.start();
    let scrapes = scraped.then(|| Scrapes::of(&place.world));
    let done = || {
        // Each poll is work for the broker, which is on the same machine.
        std::thread::sleep(BETWEEN_POLLS);
        place.committed(&observer).values().sum::<i64>()
    };
    // Commits come each second, and each shows how far it was at that moment: from the first to the last but the final
    // one.
    let all = i64::try_from(RECORDS).unwrap();
    let mut seen: Vec<(i64, Instant)> = Vec::new();
    wait_until("all to be done", LONG_PATIENCE, || {
        let done = done();
        let is_news = done > 0 && seen.last().is_none_or(|(before, _)| done > *before);
        if is_news && done < all {
            seen.push((done, Instant::now()));
        }
        done == all
    });
    drop(scrapes);
    daemon.stop();
    assert!(seen.len() >= 2, "too few records for this machine");
    let ((from, begun), (until, ended)) = (seen[0], seen[seen.len() - 1]);
    a_second(usize::try_from(until - from).unwrap(), ended - begun)
}

/// From the first record to the last.
fn bare(place: &Place<'_>) -> f64 {
    let mut config = place.server.client();
    config
        .set("group.id", place.server.name())
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("fetch.queue.backoff.ms", "10")
        .set("fetch.wait.max.ms", "100");
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(&[&place.topic]).unwrap();
    let (mut got, mut begun) = (0, Instant::now());
    while got < RECORDS {
        if let Some(message) = consumer.poll(Duration::from_secs(1)) {
            std::hint::black_box(message.unwrap());
            if got == 0 {
                begun = Instant::now();
            }
            got += 1;
        }
    }
    a_second(RECORDS, begun.elapsed())
}

fn a_second(records: usize, took: Duration) -> f64 {
    records as f64 / took.as_secs_f64()
}

#[test]
#[ignore = "a measurement, for a release build on a quiet machine"]
fn the_daemon_is_not_much_slower_than_a_bare_loop() {
    let Some(server) = Kafka::dedicated() else {
        return;
    };
    let place = Place::new(&server, PARTITIONS, &json!({}));
    let portion: Vec<String> = (0..PORTION).map(|n| format!("{n:0>LENGTH$}")).collect();
    (0..RECORDS / PORTION).for_each(|_| place.produce(&portion));
    let mut best = [0.0_f64; 4];
    for run in 0..RUNS {
        let speeds = [
            bare(&place),
            daemon(&place, "noop", false),
            daemon(&place, "noop_batch", false),
            daemon(&place, "noop", true),
        ];
        println!(
            "run {run}: bare loop, daemon, daemon with a batch handler, daemon that is scraped: {speeds:.0?} records a second"
        );
        if run > 0 {
            best.iter_mut()
                .zip(speeds)
                .for_each(|(best, speed)| *best = best.max(speed));
        }
    }
    let [bare, daemon, batches, scraped] = best;
    println!(
        "best: {:.2} of the bare loop, with batches {:.2}",
        daemon / bare,
        batches / bare
    );
    assert!(daemon / bare >= AIM, "{:.2}", daemon / bare);
    compare(scraped, daemon);
}
