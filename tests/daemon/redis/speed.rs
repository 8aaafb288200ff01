//! How fast messages go through the whole daemon, beside a bare loop of the same client library with the same promise:
//! each batch is moved by one script and removed when it is done.
//!
//! `cargo build --release --example ledger && cargo test --release --test daemon redis::speed -- --ignored --nocapture`

use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use serde_json::json;

use super::{List, entry};
use crate::scrapes::{Scrapes, compare};
use crate::servers::redis::Redis;
use crate::world::World;

const MESSAGES: usize = 1_000_000;
/// Bytes of a message.
const LENGTH: usize = 100;
/// The first run of both warms up; the best of the others counts.
const RUNS: usize = 4;
/// As many as keep the server busy.
const CONSUMERS: usize = 4;
/// The sizes of batches that the bare loop tries.
const SIZES: [usize; 2] = [100, 500];
const AIM: f64 = 0.6;

const MOVE: &str = "local taken = redis.call('RPOP', KEYS[1], ARGV[1])
if taken then redis.call('RPUSH', KEYS[2], unpack(taken)) end
return taken or {}";

fn fill(list: &mut List) {
    let bodies: Vec<String> = (0..MESSAGES).map(|n| format!("{n:0>LENGTH$}")).collect();
    list.push(&bodies);
}

fn a_second(took: Duration) -> f64 {
    MESSAGES as f64 / took.as_secs_f64()
}

async fn bare_loop(mut connection: MultiplexedConnection, list: String, mine: String, size: usize) {
    let script = redis::Script::new(MOVE);
    loop {
        let mut invocation = script.key(&list);
        let invocation = invocation.key(&mine).arg(size);
        let taken: Vec<Vec<u8>> = invocation.invoke_async(&mut connection).await.unwrap();
        if taken.is_empty() {
            return;
        }
        std::hint::black_box(taken);
        let _: () = redis::cmd("DEL")
            .arg(&mine)
            .query_async(&mut connection)
            .await
            .unwrap();
    }
}

fn bare(server: &Redis, key: &str, size: usize) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let client = redis::Client::open(server.url()).unwrap();
        let mut loops = Vec::new();
        for n in 0..CONSUMERS {
            let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
            let connection = client
                .get_multiplexed_async_connection_with_config(&config)
                .await
                .unwrap();
            loops.push(bare_loop(
                connection,
                key.to_owned(),
                format!("{key}:bare:{n}"),
                size,
            ));
        }
        let begun = Instant::now();
        let loops: Vec<_> = loops.into_iter().map(tokio::spawn).collect();
        for ended in loops {
            ended.await.unwrap();
        }
        a_second(begun.elapsed())
    })
}

fn daemon(server: &Redis, list: &mut List, scraped: bool) -> f64 {
    let world =
        World::new(json!({ "redis": { "default": { "url": server.url() } }, "workers": 2 }));
    let noop = entry(
        &list.key,
        json!({ "exec_cmd": "noop", "progress": CONSUMERS }),
    );
    world.partition("script1", &json!([noop]), &json!([]));
    let daemon = world.start();
    // The start is not what is measured: batches grow from one message.
    let (from, begun) = (list.waiting(), Instant::now());
    let scrapes = scraped.then(|| Scrapes::of(&world));
    list.wait_empty();
    let took = begun.elapsed();
    drop(scrapes);
    daemon.stop();
    from as f64 / took.as_secs_f64()
}

#[test]
#[ignore = "a measurement, for a release build on a quiet machine"]
fn the_daemon_is_not_much_slower_than_a_bare_loop() {
    let Some(server) = Redis::dedicated() else {
        return;
    };
    let mut list = List::on(&server, "list".to_owned());
    let (mut best_bare, mut best_daemon, mut best_scraped) = (0.0_f64, 0.0_f64, 0.0_f64);
    for run in 0..RUNS {
        for size in SIZES {
            fill(&mut list);
            let speed = bare(&server, "list", size);
            println!("run {run}: bare loop, batches of {size}: {speed:.0} messages a second");
            if run > 0 {
                best_bare = best_bare.max(speed);
            }
        }
        fill(&mut list);
        let speed = daemon(&server, &mut list, true);
        println!("run {run}: daemon with a no-op handler, scraped: {speed:.0} messages a second");
        if run > 0 {
            best_scraped = best_scraped.max(speed);
        }
        fill(&mut list);
        let speed = daemon(&server, &mut list, false);
        println!("run {run}: daemon with a no-op handler: {speed:.0} messages a second");
        if run > 0 {
            best_daemon = best_daemon.max(speed);
        }
    }
    let share = best_daemon / best_bare;
    println!("best: {best_daemon:.0} of {best_bare:.0} messages a second, {share:.2}");
    assert!(share >= AIM, "{share:.2}");
    compare(best_scraped, best_daemon);
}
