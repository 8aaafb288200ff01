//! Dead letters beside a scripted queue, in a database of the test.

mod consuming;
mod fetching;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::job::Disposition;
use crate::membership::Liveness;
use crate::source::Streams;
use crate::store::rows::{DeadLetterFilter, EntryName, NewDeadLetter, Replay, ReplayTo};
use crate::store::write::{InsertDeadLetters, ReplayDeadLetters};
use crate::testing_support::{FakeSource, TestDb, soon};

const OWNER: &str = "script1/me";
const WHO: Fetcher = Fetcher {
    consumer: 1,
    streams: Streams::One,
    bytes: u32::MAX,
};

struct World {
    db: TestDb,
    queue: Arc<FakeSource>,
    source: Arc<Replayed>,
    liveness: Arc<Liveness>,
    stop: StopSignal,
}

impl World {
    async fn start() -> Self {
        Self::with(|queue| queue).await
    }

    async fn with(wrap: impl FnOnce(Arc<dyn Source>) -> Arc<dyn Source>) -> Self {
        tokio::time::pause();
        let db = TestDb::start();
        let liveness = Arc::new(Liveness::new(Duration::from_secs(86_400)));
        let entry = EntryName {
            name: "orders".to_owned(),
            exec_cmd: "order".to_owned(),
        };
        let table = replay_table("script1", "orders");
        let dead_letters = TableSource::new(
            db.db.clone(),
            OWNER.to_owned(),
            Arc::clone(&liveness),
            &table,
            entry,
        );
        let due = Arc::new(DueReplays::new(db.db.clone()));
        let queue = FakeSource::new();
        let source = Arc::new(Replayed::new(
            wrap(Arc::<FakeSource>::clone(&queue)),
            dead_letters,
            due.of(table),
        ));
        actix_rt::spawn(async move { due.run().await });
        Self {
            db,
            queue,
            source,
            liveness,
            stop: StopSignal::new(),
        }
    }

    /// Dead letters of the entry, made to run again.
    async fn replay(&self, payloads: &[&'static str]) {
        let dead_letter = |payload: &&'static str| NewDeadLetter {
            kind: "redis",
            source: "list".to_owned(),
            entry: EntryName {
                name: "orders".to_owned(),
                exec_cmd: "order".to_owned(),
            },
            original_id: format!("id of {payload}"),
            payload: Bytes::from_static(payload.as_bytes()),
            key: Some(Bytes::from_static(b"k")),
            headers: vec![("h".to_owned(), Bytes::from_static(b"v"))],
            error: "e".to_owned(),
            attempts: 5,
            partition: "script1".to_owned(),
            first_ms: 7,
        };
        let db = &self.db.db;
        let dead_letters = payloads.iter().map(dead_letter).collect();
        db.write(InsertDeadLetters { dead_letters }).await.unwrap();
        let heads = db
            .reader()
            .dead_letter_heads(DeadLetterFilter::default(), 0, 1000);
        let to = ReplayTo::Queue(replay_table("script1", "orders"));
        let replays = heads.await.unwrap().into_iter().map(|head| Replay {
            id: head.id,
            to: to.clone(),
            payload: None,
        });
        let replay = ReplayDeadLetters {
            dead_letters: replays.collect(),
            order: None,
        };
        let rows = db.write(replay).await.unwrap().rows;
        assert!(rows.len() == payloads.len() && rows.iter().all(Option::is_some));
    }

    async fn fetch(&self, max: u32) -> Vec<Delivery> {
        let mut stop = self.stop.listen();
        let fetched = soon(self.source.fetch(WHO, max, &mut stop)).await;
        fetched.unwrap().collect()
    }

    async fn settle(&self, delivery: &Delivery, disposition: Disposition) {
        let receipt = delivery.receipt;
        self.source
            .settle(vec![Settled {
                receipt,
                disposition,
            }])
            .await
            .unwrap();
    }

    fn rows(&self) -> i64 {
        self.db.number("SELECT count(*) AS n FROM queue_message")
    }
}

fn payloads(deliveries: &[Delivery]) -> Vec<String> {
    let text = |delivery: &Delivery| String::from_utf8(delivery.message.payload.to_vec()).unwrap();
    deliveries.iter().map(text).collect()
}

#[actix::test]
async fn a_stop_ends_the_wait_and_what_comes_later_is_left() {
    let world = World::start().await;
    let stop = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        world.stop.quiet();
    };
    let (fetched, ()) = futures_util::future::join(world.fetch(9), stop).await;
    assert!(fetched.is_empty());
    world.replay(&["a"]).await;
    world.queue.offer([1]);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(world.fetch(9).await.is_empty());
    assert_eq!((world.rows(), world.queue.out().len()), (1, 0));
    assert_eq!(
        world.db.lines("SELECT owner AS line FROM queue_message"),
        [""]
    );
}

#[actix::test]
async fn the_lag_counts_dead_letters_and_messages() {
    let world = World::start().await;
    world.queue.set_lag(Some(40));
    world.replay(&["a", "b"]).await;
    assert_eq!(world.source.lag().await.unwrap(), 42);
    world.queue.set_lag(None);
    assert!(world.source.lag().await.is_err(), "half of it is no lag");
}

#[actix::test]
async fn what_the_queue_reports_is_passed_on() {
    let world = World::start().await;
    world.queue.keep_order();
    world.source.open();
    world.queue.offer([1, 2]);
    world.replay(&["a"]).await;
    let mut fetched = Vec::new();
    while fetched.len() < 3 {
        fetched.extend(world.fetch(9).await);
    }
    fetched.sort_by_key(|delivery| is_dead_letter(&delivery.receipt));
    for blocked in [2, 0] {
        world.source.block(&fetched[blocked].receipt);
    }
    let ownership = |at: usize| world.source.ownership(&fetched[at].receipt);
    assert_eq!(
        (ownership(1), ownership(2)),
        (Ownership::Blocked, Ownership::Held)
    );
    world.source.close(Duration::from_secs(1)).await;
    assert_eq!(world.queue.calls(), ["open", "close"]);
}

#[test]
fn each_entry_of_each_partition_has_a_table_of_its_own() {
    assert_eq!(replay_table("script1", "orders"), "dead:script1:orders");
    let long = "长".repeat(200);
    let tables = [
        replay_table("script1", "orders"),
        replay_table("script2", "orders"),
        replay_table("script1", &long),
        replay_table("script1", &format!("{long}a")),
        replay_table("script2", &long),
    ];
    for (at, table) in tables.iter().enumerate() {
        assert!(
            table.len() <= LONGEST_TABLE && table.starts_with(REPLAY_PREFIX),
            "{table}"
        );
        assert!(!tables[..at].contains(table), "{table}");
    }
    assert_eq!(tables[2], replay_table("script1", &long), "always the same");
}
