//! Dead letters beside a scripted queue, in a database of the test.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::*;
use crate::job::{Disposition, SourceKind};
use crate::membership::Liveness;
use crate::source::Breadth;
use crate::store::rows::{DeadLetterFilter, EntryName, NewDeadLetter, Replay, ReplayTo};
use crate::store::write::{InsertDeadLetters, ReplayDeadLetters};
use crate::testing_support::{FakeSource, Seen, TestDb, single, soon, work};

const OWNER: &str = "script1/me";
const WHO: Fetcher = Fetcher {
    consumer: 1,
    breadth: Breadth::One,
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
async fn a_dead_letter_comes_to_a_consumer_that_waits_at_an_empty_queue_and_keeps_all_there_was() {
    let world = World::start().await;
    let fetched = async {
        let fetched = world.fetch(9).await;
        assert_eq!(payloads(&fetched), ["a"]);
        fetched
    };
    let (fetched, ()) = futures_util::future::join(fetched, world.replay(&["a"])).await;
    let message = &fetched[0].message;
    assert_eq!((message.id.as_str(), message.attempt), ("id of a", 1));
    assert_eq!(message.key.as_deref(), Some(&b"k"[..]));
    assert_eq!(
        message.headers,
        [("h".to_owned(), Bytes::from_static(b"v"))]
    );
    let from = SourceKind::DeadLetter {
        kind: "redis".into(),
        source: "list".into(),
    };
    assert_eq!(message.source.kind, from);
    world.settle(&fetched[0], Disposition::Complete).await;
    assert_eq!(world.rows(), 0);
    assert!(
        world.queue.ends().is_empty(),
        "the queue is not notified of it"
    );
}

#[actix::test]
async fn a_poll_for_dead_letters_on_a_blocked_thread_holds_up_no_message() {
    let world = World::start().await;
    world.replay(&["a"]).await;
    let mut due = world.source.due.subscribe();
    soon(due.wait_for(|due| *due)).await.unwrap();
    let polls = world.source.dead_letters.polls();
    for id in 1..=3 {
        world.queue.offer([id]);
        assert_eq!(payloads(&world.fetch(9).await), [format!("body {id}")]);
    }
    drop(polls);
    assert_eq!(payloads(&world.fetch(9).await), ["a"]);
}

#[actix::test]
async fn dead_letters_and_messages_take_turns_and_each_is_settled_where_it_came_from() {
    let world = World::start().await;
    world.replay(&["a", "b", "c"]).await;
    (1..=3).for_each(|id| world.queue.offer([id]));
    let mut due = world.source.due.subscribe();
    soon(due.wait_for(|due| *due)).await.unwrap();
    let mut order = Vec::new();
    let mut all = Vec::new();
    while all.len() < 6 {
        let fetched = world.fetch(1).await;
        order.extend(payloads(&fetched));
        all.extend(fetched);
    }
    assert_eq!(order, ["a", "body 1", "b", "body 2", "c", "body 3"]);
    assert_eq!((world.rows(), world.queue.out().len()), (3, 3));
    let ends = all.iter().map(|delivery| Settled {
        receipt: delivery.receipt,
        disposition: Disposition::Complete,
    });
    world.source.settle(ends.collect()).await.unwrap();
    assert_eq!((world.rows(), world.queue.out().len()), (0, 0));
    assert_eq!(world.queue.ended(&Disposition::Complete).len(), 3);
}

#[actix::test]
async fn many_dead_letters_do_not_hold_up_the_queue_nor_an_empty_queue_the_dead_letters() {
    let world = World::start().await;
    world.replay(&["x"; 200]).await;
    let begun = Instant::now();
    for _ in 0..199 {
        assert_eq!(payloads(&world.fetch(1).await), ["x"]);
    }
    assert!(
        begun.elapsed() < Duration::from_secs(6),
        "{:?}",
        begun.elapsed()
    );
    world.queue.offer([7]);
    let next: Vec<String> = payloads(&world.fetch(1).await);
    assert_eq!(next, ["body 7"], "it is the queue's turn");
    assert_eq!(payloads(&world.fetch(1).await), ["x"]);
}

/// A queue whose messages take a while from the server to the fetching consumer.
struct Slow(Arc<dyn Source>);

impl Source for Slow {
    fn open(&self) {}

    fn limit(&self) -> Option<watch::Receiver<Limit>> {
        self.0.limit()
    }

    fn fetch<'a>(
        &'a self,
        who: Fetcher,
        max: u32,
        stop: &'a mut StopListener,
    ) -> BoxFuture<'a, Result<Fetched, SourceError>> {
        async move {
            let fetched = self.0.fetch(who, max, stop).await;
            tokio::time::sleep(Duration::from_millis(700)).await;
            fetched
        }
        .boxed()
    }

    fn ownership(&self, receipt: &Receipt) -> Ownership {
        self.0.ownership(receipt)
    }

    fn halt(&self, _: &Receipt) {}

    fn identity<'a>(&'a self, message: &'a Message, receipt: &Receipt) -> Identity<'a> {
        self.0.identity(message, receipt)
    }

    fn settle(&self, ends: Vec<Settled>) -> BoxFuture<'_, Result<Vec<Settled>, SourceError>> {
        self.0.settle(ends)
    }

    fn lag(&self) -> BoxFuture<'_, Result<u64, SourceError>> {
        self.0.lag()
    }

    fn close(&self, within: Duration) -> BoxFuture<'_, ()> {
        self.0.close(within)
    }
}

#[actix::test]
async fn nothing_that_the_queue_gives_is_lost_when_dead_letters_come() {
    let world = World::with(|queue| Arc::new(Slow(queue))).await;
    let mut seen = Vec::new();
    for id in 0..50 {
        // At the same moment: a poll for dead letters, and a message.
        let come = async {
            world.replay(&["x"]).await;
            tokio::time::sleep(Duration::from_millis(20 * (id % 60))).await;
            world.queue.offer([i64::try_from(id).unwrap()]);
        };
        let both = async {
            let mut both = world.fetch(1).await;
            both.extend(world.fetch(1).await);
            both
        };
        let (fetched, ()) = futures_util::future::join(both, come).await;
        for delivery in &fetched {
            world.settle(delivery, Disposition::Complete).await;
        }
        seen.extend(payloads(&fetched));
    }
    assert_eq!(seen.iter().filter(|payload| *payload == "x").count(), 50);
    assert_eq!(seen.len(), 100);
    assert!(world.queue.out().is_empty() && world.rows() == 0);
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
async fn a_consumer_retries_dead_letters_by_the_rules_of_the_entry_and_keeps_their_old_name() {
    let world = World::start().await;
    let seen = Seen::new();
    let handler = {
        let seen = seen.clone();
        single(move |message| {
            seen.note((message.id.clone(), message.attempt));
            async move {
                match &message.payload[..] {
                    b"bad" => Err("still bad".into()),
                    _ => Ok(()),
                }
            }
        })
    };
    let work = crate::consumer::Work {
        source: Arc::<Replayed>::clone(&world.source),
        ..work(&world.queue, handler)
    };
    let stop = world.stop.listen();
    let consumer = actix_rt::spawn(work.run(stop));
    world.replay(&["bad", "good"]).await;
    world.queue.offer([1]);
    seen.wait_for(5).await;
    soon(async {
        while world.rows() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    world.stop.quiet();
    soon(consumer).await.unwrap();
    let mut seen = seen.all();
    seen.sort();
    let bad = |attempt| ("id of bad".to_owned(), attempt);
    let one = |id: &str| (id.to_owned(), 1);
    assert_eq!(seen, [one("1"), bad(1), bad(2), bad(3), one("id of good")]);
    let dead_letters = world
        .db
        .db
        .reader()
        .dead_letters(DeadLetterFilter::default(), 9);
    let dead_letters = dead_letters.await.unwrap();
    assert_eq!(dead_letters.len(), 1);
    let dead_letter = &dead_letters[0];
    assert_eq!(
        (dead_letter.kind.as_str(), dead_letter.source.as_str()),
        ("redis", "list")
    );
    assert_eq!(
        (dead_letter.original_id.as_str(), dead_letter.attempts),
        ("id of bad", 3)
    );
    assert_eq!(
        (dead_letter.first_ms, dead_letter.error.as_str()),
        (7, "still bad")
    );
    assert_eq!(world.queue.ended(&Disposition::Complete), [1]);
}

#[actix::test]
async fn a_queue_that_has_no_work_for_this_process_leaves_a_consumer_for_its_dead_letters() {
    let world = World::start().await;
    world.queue.set_limit(0, 8);
    let mut limit = world.source.limit().unwrap();
    let nobody = Limit {
        useful: 0,
        ceiling: 8,
    };
    assert_eq!(*limit.borrow_and_update(), nobody);
    world.replay(&["a"]).await;
    let one = Limit {
        useful: 1,
        ..nobody
    };
    assert_eq!(*soon(limit.wait_for(|now| *now == one)).await.unwrap(), one);
    world.queue.set_limit(4, 8);
    soon(limit.wait_for(|now| now.useful == 4)).await.unwrap();
    world.queue.set_limit(0, 8);
    let fetched = world.fetch(9).await;
    assert_eq!(payloads(&fetched), ["a"]);
    world.stop.quiet();
    assert!(world.fetch(9).await.is_empty());
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
    for halted in [2, 0] {
        world.source.halt(&fetched[halted].receipt);
    }
    let ownership = |at: usize| world.source.ownership(&fetched[at].receipt);
    assert_eq!(
        (ownership(1), ownership(2)),
        (Ownership::Blocked, Ownership::Held)
    );
    world.source.close(Duration::from_secs(1)).await;
    assert_eq!(world.queue.calls(), ["open", "close"]);
}

#[actix::test]
async fn a_dead_letter_of_an_earlier_life_does_not_start() {
    let world = World::start().await;
    world.replay(&["a"]).await;
    let fetched = world.fetch(1).await.remove(0);
    assert_eq!(world.source.ownership(&fetched.receipt), Ownership::Held);
    let identity = world.source.identity(&fetched.message, &fetched.receipt);
    assert_eq!(identity.queue(), replay_table("script1", "orders"));
    world.liveness.was_dead(crate::clock::Moment::now());
    assert_eq!(world.source.ownership(&fetched.receipt), Ownership::Lost);
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
