//! Dead letters and messages take turns, and neither holds up the other.

use tokio::time::Instant;

use super::*;
use crate::job::SourceKind;

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

    fn block(&self, _: &Receipt) {}

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
