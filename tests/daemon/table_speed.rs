//! How fast messages of a `table` queue go through the whole daemon on PostgreSQL, beside a bare loop of the same promise:
//! one connection claims 500 rows, then deletes them, each in a transaction.
//!
//! `cargo build --release --example ledger && cargo test --release --test daemon table_speed -- --ignored --nocapture`

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

use crate::engine::{Engine, OwnServer};
use crate::scrapes::{Scrapes, compare};
use crate::wait::{LONG_PATIENCE, wait_until};
use crate::world::World;

const MESSAGES: usize = 300_000;
/// Bytes of a message.
const LENGTH: usize = 100;
/// The first run of both warms up; the best of the others counts.
const RUNS: usize = 4;
const CONSUMERS: usize = 4;
const BATCH: i64 = 500;
const POLL_INTERVAL: Duration = Duration::from_millis(100);
const AIM: f64 = 0.5;

const CLAIM: &str = "
    WITH c AS MATERIALIZED (
        SELECT id FROM queue_message
        WHERE owner = '' AND queue = $2
          AND due_ms <= (extract(epoch from statement_timestamp()) * 1000)::bigint
        ORDER BY due_ms, id LIMIT $3
        FOR UPDATE SKIP LOCKED)
    UPDATE queue_message AS t SET owner = $1, fence = t.fence + 1
    FROM c WHERE t.id = c.id
    RETURNING t.id, t.payload";

/// What was deleted before is gone from the table: else each run would be slower than the one before.
fn fill(world: &World, engine: Engine) {
    let numbers = engine.numbers(MESSAGES);
    let mut database = world.database();
    database.execute("TRUNCATE queue_message");
    database.execute(&format!(
        "INSERT INTO queue_message (queue, payload, due_ms, created_ms)
         SELECT 'work', decode(lpad(n::text, {LENGTH}, '0'), 'escape'), 0, 0 FROM ({numbers}) AS numbers"
    ));
    database.execute("VACUUM ANALYZE queue_message");
}

fn left(world: &World) -> i64 {
    world
        .database()
        .number("SELECT count(*) AS n FROM queue_message")
}

fn a_second(messages: i64, took: Duration) -> f64 {
    messages as f64 / took.as_secs_f64()
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn runtime() -> Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap()
}

fn bare(url: &str) -> f64 {
    runtime().block_on(async {
        let client = connect(url).await;
        let claim = client.prepare(CLAIM).await.unwrap();
        let delete = "DELETE FROM queue_message WHERE id = ANY($1) AND owner = $2";
        let delete = client.prepare(delete).await.unwrap();
        let (begun, mut done) = (Instant::now(), 0);
        loop {
            let claimed = client.query(&claim, &[&"bare", &"work", &BATCH]).await;
            let claimed = claimed.unwrap();
            if claimed.is_empty() {
                return a_second(done, begun.elapsed());
            }
            for row in &claimed {
                std::hint::black_box(row.get::<_, &[u8]>(1));
            }
            let ids: Vec<i64> = claimed.iter().map(|row| row.get(0)).collect();
            client.execute(&delete, &[&ids, &"bare"]).await.unwrap();
            done += i64::try_from(ids.len()).unwrap();
        }
    })
}

fn daemon(world: &World, url: &str, scraped: bool) -> f64 {
    let runtime = runtime();
    let client = runtime.block_on(connect(url));
    let daemon = world.start();
    // The start is not what is measured: batches grow from one message.
    let (from, begun) = (left(world), Instant::now());
    let scrapes = scraped.then(|| Scrapes::of(world));
    // To count what is left each time would keep a processor busy, which the bare loop has for itself.
    let any = "SELECT EXISTS (SELECT 1 FROM queue_message)";
    wait_until("all messages to be done", LONG_PATIENCE, || {
        let row = runtime.block_on(async {
            tokio::time::sleep(POLL_INTERVAL).await;
            client.query_one(any, &[]).await.unwrap()
        });
        !row.get::<_, bool>(0)
    });
    let took = begun.elapsed();
    drop(scrapes);
    daemon.stop();
    a_second(from, took)
}

#[test]
#[ignore = "a measurement, for a release build on a quiet machine"]
fn the_daemon_is_not_much_slower_than_a_bare_loop() {
    let Some(server) = OwnServer::of(Engine::Postgres) else {
        return;
    };
    let url = server.database();
    let world = World::at(Engine::Postgres, url.clone(), json!({}));
    let entry = json!({
        "name": "work", "exec_cmd": "noop", "table": "work", "progress": CONSUMERS,
        "progress_lag_limit": 1_000_000_000, "progress_avg_msgcount": 1000, "status": 1,
    });
    world.partition("script1", &json!([entry]), &json!([]));
    world.output(&["migrate"]);
    let (mut best_bare, mut best_daemon, mut best_scraped) = (0.0_f64, 0.0_f64, 0.0_f64);
    for run in 0..RUNS {
        fill(&world, Engine::Postgres);
        let speed = bare(&url);
        println!("run {run}: bare loop, batches of {BATCH}: {speed:.0} messages a second");
        if run > 0 {
            best_bare = best_bare.max(speed);
        }
        fill(&world, Engine::Postgres);
        let speed = daemon(&world, &url, true);
        println!("run {run}: daemon with a no-op handler, scraped: {speed:.0} messages a second");
        if run > 0 {
            best_scraped = best_scraped.max(speed);
        }
        fill(&world, Engine::Postgres);
        let speed = daemon(&world, &url, false);
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
